"""Pooling: as PyTorch's, where the gradient goes, what padding counts for, derivatives, and errors."""

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

import minitorch.functions as F
from minitorch import Variable
from minitorch.cpu.window import Window
from minitorch.errors import ConfigError, ShapeError
from minitorch.utils import directional_check

ones = np.ones


def pairs(least, most):
    return st.tuples(st.integers(least, most), st.integers(least, most))


def value_and_gradient(y, x, g):
    y.grad = Variable(g)
    y.backward()
    return y.data, x.grad.data


@settings(max_examples=60)
@given(pairs(1, 12), pairs(1, 4), pairs(1, 4), pairs(0, 2), st.sampled_from(["max", "max over the edge", "average"]))
def test_as_pytorch(size, kernel, stride, pad, kind):
    """Output and gradient in float32 equal PyTorch's for any size, kernel, stride and pad, ties included."""
    torch = pytest.importorskip("torch")
    pad = (min(pad[0], kernel[0] // 2), min(pad[1], kernel[1] // 2))  # PyTorch takes no more
    assume(min(Window(kernel, stride, pad).positions(size)) > 0)
    data = np.random.default_rng(0).integers(0, 4, (2, 3, *size)).astype(np.float32)  # with many ties
    x, torch_x = Variable(data), torch.tensor(data, requires_grad=True)
    if kind == "average":
        y = F.average_pooling(x, kernel, stride, pad)
        torch_y = torch.nn.functional.avg_pool2d(torch_x, kernel, stride, pad)
    else:
        y = F.pooling(x, kernel, stride, pad, cover_all=kind != "max")
        torch_y = torch.nn.functional.max_pool2d(torch_x, kernel, stride, pad, ceil_mode=kind != "max")
    g = np.random.default_rng(1).standard_normal(y.shape, np.float32)
    found, gradient = value_and_gradient(y, x, g)
    torch_y.backward(torch.tensor(g))
    np.testing.assert_allclose(found, torch_y.detach().numpy(), rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(gradient, torch_x.grad.numpy(), rtol=1e-5, atol=1e-5)


def test_second_derivatives(device):
    """Derivatives of gradients are right to second order, the kernel being square or not."""
    x = device.put(np.random.default_rng(0).standard_normal((2, 3, 6, 7)))
    directional_check(lambda x: F.pooling(x, (3, 2), (2, 1), 1), [x])
    directional_check(lambda x: F.pooling(x, 3, 2, cover_all=True) ** 2, [x])
    directional_check(lambda x: F.average_pooling(x, (3, 2), (2, 1), (1, 0)) ** 2, [x])
    directional_check(lambda x: F.global_average_pooling(x) ** 2, [x])


def test_the_first_of_equal_pixels_gets_the_gradient(device):
    """Among equal largest pixels, row by row, the first wins, in overlapping positions too."""
    x = Variable(device.put([[[[1.0, 2.0, 2.0], [2.0, 2.0, 2.0]]]]))
    y = F.pooling(x, 2)
    y.backward()
    np.testing.assert_array_equal(device.get(x.grad.data), [[[[0, 2, 0], [0, 0, 0]]]])
    x.cleargrad()
    F.pooling(x, (2, 3)).backward()
    np.testing.assert_array_equal(device.get(x.grad.data), [[[[0, 1, 0], [0, 0, 0]]]])


def test_padding_never_wins(device):
    """The largest of negative pixels is one of them, not the padding."""
    y = F.pooling(device.put(np.full((1, 1, 2, 2), -3.0)), 3, 2, 1)
    np.testing.assert_array_equal(device.get(y.data), np.full((1, 1, 1, 1), -3.0))


def test_padding_counts_in_the_mean(device):
    """The divisor is the size of the kernel, also where part of it lies in the padding."""
    y = F.average_pooling(device.put(ones((1, 1, 2, 2))), 2, 1, 1)
    np.testing.assert_array_equal(device.get(y.data)[0, 0], [[0.25, 0.5, 0.25], [0.5, 1, 0.5], [0.25, 0.5, 0.25]])


def test_a_kernel_that_is_not_square(device):
    """Rows and columns are not taken for each other, forward or backward."""
    x = Variable(device.put(np.arange(12.0).reshape(1, 1, 3, 4)))
    y = F.average_pooling(x, (3, 1))
    y.backward()
    np.testing.assert_array_equal(device.get(y.data), [[[[4, 5, 6, 7]]]])
    np.testing.assert_allclose(device.get(x.grad.data), np.full((1, 1, 3, 4), 1 / 3))


def test_over_the_edge(device):
    """With `cover_all` the pixels at the lower and right edge are seen, and no position lies in padding alone."""
    x = device.put(np.arange(25.0).reshape(1, 1, 5, 5))
    assert F.pooling(x, 2, 2).shape == (1, 1, 2, 2)
    np.testing.assert_array_equal(
        device.get(F.pooling(x, 2, 2, cover_all=True).data)[0, 0], [[6, 8, 9], [16, 18, 19], [21, 23, 24]]
    )
    assert F.pooling(x, 1, 3, cover_all=True).shape == (1, 1, 2, 2)
    assert F.pooling(device.put(ones((1, 1, 112, 112))), 3, 2, cover_all=True).shape == (1, 1, 56, 56)


def test_nan_and_integers(device):
    """NaN is larger than everything; images of integers are pooled as such."""
    y = F.pooling(device.put([[[[1.0, np.nan], [3.0, 4.0]]]]), 1, 2)
    assert device.get(y.data).tolist() == [[[[1.0]]]]
    assert np.isnan(device.get(F.pooling(device.put([[[[1.0, np.nan], [3.0, 4.0]]]]), 2).data)).all()
    y = F.pooling(device.put(np.array([[[[-7, -5], [-6, -9]]]], np.int32)), 3, 1, 1)
    assert (y.dtype, device.get(y.data).max()) == (np.int32, -5)


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_dtype(dtype):
    """Output and gradient have the dtype of the images."""
    for pool in (lambda x: F.pooling(x, 2), lambda x: F.average_pooling(x, 2), F.global_average_pooling):
        x = Variable(ones((1, 2, 4, 4), dtype))
        y = pool(x)
        y.backward()
        assert (y.dtype, x.grad.dtype) == (dtype, dtype)


def test_an_empty_batch(device):
    """No images give no images."""
    x = Variable(device.put(ones((0, 2, 4, 4))))
    for pool in (F.pooling, F.average_pooling):
        y = pool(x, 2, 2)
        y.backward()
        assert (y.shape, x.grad.shape) == ((0, 2, 2, 2), (0, 2, 4, 4))


@pytest.mark.parametrize(
    ("call", "error", "text"),
    [
        (
            lambda: F.pooling(ones((2, 4, 4)), 2),
            ShapeError,
            r"pooling: x has shape \(2, 4, 4\); images are \(N, C, H, W\); for one image use x\[None\]",
        ),
        (lambda: F.pooling(ones((1, 1, 2, 5)), 3), ShapeError, r"pooling: a kernel of \(3, 3\) reaches over \(3, 3\)"),
        (
            lambda: F.pooling(ones((1, 1, 5, 5)), (3, 2), 1, 2),
            ConfigError,
            r"pooling: pad \(2, 2\) is as large as the kernel \(3, 2\), so it could meet no pixel at all; use less pad",
        ),
        (lambda: F.pooling(ones((1, 1, 5, 5)), 2, 0), ConfigError, "pooling: stride is 0"),
        (lambda: F.average_pooling(ones((4, 4)), 2), ShapeError, r"average_pooling: x has shape \(4, 4\)"),
        (lambda: F.average_pooling(ones((1, 1, 2, 2)), 3), ShapeError, "average_pooling: a kernel of"),
        (lambda: F.global_average_pooling(ones((4, 4))), ShapeError, r"global_average_pooling: x has shape \(4, 4\)"),
    ],
)
def test_errors(call, error, text):
    """What does not fit is named, with the shapes, the rule and what to do."""
    with pytest.raises(error, match=text):
        call()
