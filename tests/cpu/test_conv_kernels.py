"""Convolution on the host: its three kernels against plain sums, however it is cut, and for any number of threads."""

import itertools

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

import minitorch
from minitorch.cpu import columns, conv
from minitorch.cpu.window import Window


def weighted_sum(x, W, g, window, groups):
    """`<conv2d(x, W), g>` pixel by pixel, and its derivatives for x, W and g: all that there is to know."""
    gx, gW, y = np.zeros_like(x), np.zeros_like(W), np.zeros_like(g)
    (kh, kw), (sh, sw), (dh, dw), (ph, pw) = window.kernel, window.stride, window.dilation, window.pad
    channels, out = W.shape[1], len(W) // groups
    for i, j, u, v in itertools.product(*map(range, g.shape[2:]), range(kh), range(kw)):
        row, column = i * sh + u * dh - ph, j * sw + v * dw - pw
        if not (0 <= row < x.shape[2] and 0 <= column < x.shape[3]):
            continue
        for k in range(groups):
            ins, outs = slice(k * channels, (k + 1) * channels), slice(k * out, (k + 1) * out)
            y[:, outs, i, j] += x[:, ins, row, column] @ W[outs, :, u, v].T
            gx[:, ins, row, column] += g[:, outs, i, j] @ W[outs, :, u, v]
            gW[outs, :, u, v] += g[:, outs, i, j].T @ x[:, ins, row, column]
    return y, gx, gW


def small(least, most):
    return st.tuples(st.integers(least, most), st.integers(least, most))


@st.composite
def convolutions(draw):
    """Arrays and geometry of some convolution that has a place."""
    groups = draw(st.sampled_from([1, 1, 2, 3]))
    window = Window(draw(small(1, 3)), draw(small(1, 3)), draw(small(0, 3)), draw(small(1, 2)))
    n, height, width = draw(st.integers(0, 4)), draw(st.integers(1, 9)), draw(st.integers(1, 9))
    channels, out = draw(st.integers(1, 3)), draw(st.integers(1, 4))
    positions = window.positions((height, width))
    assume(min(positions) > 0)
    rng = np.random.default_rng(0)
    x = rng.standard_normal((n, channels * groups, height, width))
    W = rng.standard_normal((out * groups, channels, *window.kernel))
    return x, W, rng.standard_normal((n, len(W), *positions)), window, groups


cuts = st.fixed_dictionaries(
    {
        "columns.COLUMN_BYTES": st.sampled_from([200, 2000, 1 << 20]),
        "columns.POSITIONS": st.sampled_from([1, 20, 768]),
        "columns.FEWEST": st.sampled_from([1, 192]),
        "columns.SHARED_ROWS": st.sampled_from([1, 32]),
        "few_places.PLACES": st.sampled_from([0, 0, 1000]),
        "few_places.WEIGHTS": st.just(0),
        "conv.OUT_CHANNELS": st.sampled_from([1, 128]),
        "conv.COLUMN_ROWS": st.sampled_from([1, 512]),
    }
)


@given(convolutions(), cuts)
def test_kernels(case, cut):
    """Forward and both adjoints are what plain sums give, whatever the tiles, the blocks and the layout."""
    x, W, g, window, groups = case
    with pytest.MonkeyPatch.context() as patch:
        for name, value in cut.items():
            patch.setattr(f"minitorch.cpu.{name}", value)
        found = (
            conv.conv2d(x, W, None, window, groups),
            conv.deconv2d(g, W, None, window, groups, x.shape[2:]),
            conv.conv2d_weight(x, g, window, groups),
        )
    for one, expected in zip(found, weighted_sum(x, W, g, window, groups), strict=True):
        np.testing.assert_allclose(one, expected, rtol=1e-10, atol=1e-12)


CASES = {
    "shared columns": ((6, 16, 14, 14), (24, 16, 3, 3), Window((3, 3), pad=(1, 1)), 1),
    "stride": ((6, 16, 15, 15), (24, 16, 3, 3), Window((3, 3), (2, 2), (1, 1)), 1),
    "large images": ((2, 3, 64, 64), (8, 3, 7, 7), Window((7, 7), (2, 2), (3, 3)), 1),
    "1x1": ((5, 32, 7, 7), (16, 32, 1, 1), Window((1, 1)), 1),
    "few places": ((2, 128, 7, 7), (64, 128, 3, 3), Window((3, 3), (2, 2), (1, 1)), 1),
    "few places, many tasks": ((3, 256, 8, 8), (384, 256, 3, 3), Window((3, 3), pad=(1, 1)), 1),
    "many channels": ((1, 256, 7, 7), (256, 256, 3, 3), Window((3, 3), pad=(1, 1)), 1),
    "groups": ((4, 16, 9, 9), (16, 4, 3, 3), Window((3, 3)), 4),
}


@pytest.mark.parametrize("name", CASES)
def test_same_bits_for_any_number_of_threads(name):
    """The number of threads changes no bit of the output or of a gradient."""
    images, kernels, window, groups = CASES[name]
    rng = np.random.default_rng(0)
    x, W = rng.standard_normal(images, np.float32), rng.standard_normal(kernels, np.float32)
    b = rng.standard_normal(len(W), np.float32)
    g = rng.standard_normal((len(x), len(W), *window.positions(images[2:])), np.float32)
    results = []
    for n in (1, 2, 3, 7):
        minitorch.set_num_threads(n)
        y = conv.conv2d(x, W, b, window, groups)
        gx = conv.deconv2d(g, W, None, window, groups, images[2:])
        results.append((y.tobytes(), gx.tobytes(), conv.conv2d_weight(x, g, window, groups).tobytes()))
    assert all(result == results[0] for result in results)


def test_columns_of_one_image_are_shared_between_rows_of_the_kernel():
    """The case for which columns are made once for all rows of the kernel is taken by the usual 3×3 convolution."""
    plan = columns.Plan.of(np.zeros((64, 32, 26, 26), np.float32), Window((3, 3)), 1, (24, 24))
    assert (plan.shared, plan.images) == (True, 1)


def test_small_images_are_taken_together():
    """Images of few pixels share a product, so that weights are not read for each of them."""
    plan = columns.Plan.of(np.zeros((64, 512, 7, 7), np.float32), Window((3, 3), pad=(1, 1)), 1, (7, 7))
    assert plan.images > 4
    assert [(t.first, t.last) for t in plan.tiles(0, plan.images + 1)] == [
        (0, plan.images),
        (plan.images, plan.images + 1),
    ]


def test_results_are_of_memory_of_their_own():
    """What a kernel returns stays when the next call writes to the memory that is used again."""
    rng = np.random.default_rng(0)
    x, W = rng.standard_normal((2, 4, 6, 6)), rng.standard_normal((3, 4, 1, 1))
    window = Window((1, 1))
    y = conv.conv2d(x, W, None, window, 1)
    kept = y.copy()
    conv.conv2d(x + 1, W, None, window, 1)
    np.testing.assert_array_equal(y, kept)
    assert not np.shares_memory(y, x)
