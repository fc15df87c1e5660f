"""`Window`: where a kernel stands and what it meets, against counting it out."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from minitorch.cpu.window import Window
from minitorch.errors import ConfigError

sizes = st.integers(1, 9)
windows = st.builds(
    Window,
    st.tuples(st.integers(1, 4), st.integers(1, 4)),
    st.tuples(st.integers(1, 3), st.integers(1, 3)),
    st.tuples(st.integers(0, 3), st.integers(0, 3)),
    st.tuples(st.integers(1, 3), st.integers(1, 3)),
)


def counted(size, kernel, stride, pad, dilation):
    """At how many places all of the kernel lies in the padded line of pixels."""
    reach = (kernel - 1) * dilation + 1
    return len([start for start in range(-pad, size + pad - reach + 1) if (start + pad) % stride == 0])


@given(windows, sizes, sizes)
def test_positions(window, height, width):
    """As many positions as there are places for the kernel in the padded image; below 1 where there is none."""
    axes = zip((height, width), window.kernel, window.stride, window.pad, window.dilation, strict=True)
    assert tuple([max(0, n) for n in window.positions((height, width))]) == tuple([counted(*axis) for axis in axes])


@given(windows, sizes, sizes)
def test_least_size(window, down, across):
    """The smallest image with so many positions: one pixel less gives fewer."""
    height, width = window.least_size((down, across))
    assert window.positions((height, width)) == (down, across)
    assert window.positions((height - 1, width - 1)) == (down - 1, across - 1)


@given(windows, sizes, st.integers(0, 1), st.integers(0, 3))
def test_meets(window, size, axis, k):
    """Element k of the kernel meets, at each position in the first slice, the pixel in the second; elsewhere none."""
    k = min(k, window.kernel[axis] - 1)
    count = max(0, window.positions((size, size))[axis]) + 1  # one more, as where pooling reaches over the edge
    at, pixels = window.meets(axis, k, size, count)
    step, pad, gap = window.stride[axis], window.pad[axis], window.dilation[axis]
    met = [(i, i * step - pad + k * gap) for i in range(count)]
    expected = [(i, pixel) for i, pixel in met if 0 <= pixel < size]
    assert list(zip(range(count)[at], range(size)[pixels], strict=True)) == expected


def test_of_takes_ints_and_pairs():
    """An int stands for both directions."""
    assert Window.of("f", 3, (2, 1), 0, [1, 2]) == Window((3, 3), (2, 1), (0, 0), (1, 2))


@pytest.mark.parametrize(
    ("sizes", "text"),
    [
        ((0,), r"f: kernel_size is 0; it must be an int from 1, or a pair \(height, width\) of them"),
        ((3, 0), "f: stride is 0; it must be an int from 1"),
        ((3, 1, -1), "f: pad is -1; it must be an int from 0"),
        ((3, 1, 0, (1, 0)), r"f: dilation is \(1, 0\)"),
        (((1, 2, 3),), r"f: kernel_size is \(1, 2, 3\)"),
        ((2.0,), "f: kernel_size is 2.0"),
        ((True,), "f: kernel_size is True"),
        (("33",), "f: kernel_size is '33'"),
    ],
)
def test_of_checks(sizes, text):
    """What is no size, or too small, is named with its value and the rule."""
    with pytest.raises(ConfigError, match=text):
        Window.of("f", *sizes)
