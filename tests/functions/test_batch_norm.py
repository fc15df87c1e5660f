"""Batch normalisation: its two modes, its running averages, derivatives to second order, and errors."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import minitorch
import minitorch.functions as F
from minitorch import Variable
from minitorch.errors import DataError, ShapeError
from minitorch.utils import directional_check

SHAPES = [(6, 3), (2, 3, 4, 5)]
both_shapes = pytest.mark.parametrize("shape", SHAPES, ids=str)
both_modes = pytest.mark.parametrize("train", [True, False], ids=["train", "test"])


def inputs(shape, dtype=np.float64):
    """The images, gamma, beta, and running averages."""
    rng = np.random.default_rng(0)
    c = shape[1]
    x, gamma, beta = rng.normal(3.0, 2.0, shape), rng.normal(1.0, 0.5, c), rng.standard_normal(c)
    return [a.astype(dtype) for a in (x, gamma, beta, rng.standard_normal(c), rng.uniform(0.5, 2.0, c))]


def axes(x):
    return (0, *range(2, x.ndim))


@both_shapes
def test_train_mode(shape, device):
    """Each channel gets the mean beta and the deviation gamma; the averages move, with the unbiased variance."""
    x, gamma, beta, mean, var = inputs(shape)
    running = [device.put(mean), device.put(var)]
    y = device.get(F.batch_norm(*[device.put(a) for a in (x, gamma, beta)], *running, decay=0.7, eps=1e-12).data)
    np.testing.assert_allclose(y.mean(axis=axes(x)), beta, atol=1e-12)
    np.testing.assert_allclose(y.std(axis=axes(x)), np.abs(gamma), rtol=1e-10)
    np.testing.assert_allclose(device.get(running[0]), 0.7 * mean + 0.3 * x.mean(axis=axes(x)), rtol=1e-12)
    np.testing.assert_allclose(device.get(running[1]), 0.7 * var + 0.3 * x.var(axis=axes(x), ddof=1), rtol=1e-12)


@both_shapes
def test_test_mode(shape, device):
    """The running averages normalise, and stay as they are."""
    x, gamma, beta, mean, var = inputs(shape)
    running = [device.put(mean), device.put(var)]
    with minitorch.test_mode():
        y = F.batch_norm(*[device.put(a) for a in (x, gamma, beta)], *running, eps=0.1)
    m, v, g, b = (a.reshape(-1, *[1] * (x.ndim - 2)) for a in (mean, var, gamma, beta))
    np.testing.assert_allclose(device.get(y.data), (x - m) / np.sqrt(v + 0.1) * g + b, rtol=1e-12)
    np.testing.assert_array_equal(device.get(running[0]), mean)
    np.testing.assert_array_equal(device.get(running[1]), var)


@both_modes
@both_shapes
def test_derivatives(shape, train, device):
    """Gradients for images, gamma and beta are right to second order, in both modes."""
    x, gamma, beta, mean, var = [device.put(a) for a in inputs(shape)]
    with minitorch.using_config("train", train):
        directional_check(lambda *args: F.batch_norm(*args, mean.copy(), var.copy(), eps=0.1), [x, gamma, beta])


@settings(max_examples=25)
@given(st.integers(2, 9), st.integers(1, 5), st.none() | st.tuples(st.integers(1, 6), st.integers(1, 6)), st.booleans())
def test_as_pytorch(n, channels, size, train):
    """Output, gradients and running averages in float32 equal PyTorch's, to 1e-5 of the largest of each."""
    torch = pytest.importorskip("torch")
    arrays = inputs((n, channels, *(size or ())), np.float32)
    ours = [Variable(a) for a in arrays[:3]]
    theirs = [torch.tensor(a, requires_grad=True) for a in arrays[:3]]
    averages, torch_averages = [a.copy() for a in arrays[3:]], [torch.tensor(a) for a in arrays[3:]]
    with minitorch.using_config("train", train):
        y = F.batch_norm(*ours, *averages, eps=1e-2)
    torch_y = torch.nn.functional.batch_norm(
        theirs[0], *torch_averages, *theirs[1:], training=train, momentum=0.1, eps=1e-2
    )
    g = np.random.default_rng(1).standard_normal(y.shape, np.float32)
    y.grad = Variable(g)
    y.backward()
    torch_y.backward(torch.tensor(g))
    found = [y.data, *[a.grad.data for a in ours], *averages]
    expected = [torch_y.detach(), *[a.grad for a in theirs], *torch_averages]
    for one, other in zip(found, expected, strict=True):
        other = other.numpy()
        np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-5 * max(1.0, np.abs(other).max()))


def test_a_large_mean_does_not_hide_the_variance():
    """Variance and gradient are those of the deviations, also where the mean is a thousand times larger."""
    x, gamma, beta, mean, var = inputs((64, 3, 4, 4), np.float32)
    shifted, plain = Variable(x + 2048), Variable((x + 2048) - 2048)  # which rounds both alike
    for images in (shifted, plain):
        y = F.batch_norm(images, gamma, beta, mean.copy(), var.copy())
        (y * y * y).sum().backward()
    np.testing.assert_allclose(shifted.grad.data, plain.grad.data, rtol=1e-2, atol=2e-3)


def test_recording_a_backward_leaves_the_averages(device):
    """A second derivative computes the statistics again, but moves no average again."""
    x, gamma, beta, mean, var = [device.put(a) for a in inputs((5, 3))]
    images = Variable(x)
    y = F.batch_norm(images, Variable(gamma), beta, mean, var)
    kept = device.get(mean).copy()
    y.backward(create_graph=True)
    (images.grad * images.grad).sum().backward()
    np.testing.assert_array_equal(device.get(mean), kept)


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
@both_modes
def test_dtype(dtype, train):
    """The output has the dtype of the images, and each gradient that of its argument; float16 does not overflow."""
    x = Variable(np.linspace(-600, 600, 96).reshape(4, 3, 2, 4).astype(dtype))
    gamma, beta = Variable(np.ones(3, np.float32)), Variable(np.zeros(3, np.float32))
    mean, var = np.zeros(3, np.float32), np.full(3, 1e5, np.float32)
    with minitorch.using_config("train", train):
        y = F.batch_norm(x, gamma, beta, mean, var)
    y.backward()
    assert (y.dtype, x.grad.dtype, gamma.grad.dtype, beta.grad.dtype) == (dtype, dtype, np.float32, np.float32)
    assert np.isfinite(y.data).all()
    assert y.data.std() > 0.5


def test_one_sample(device):
    """One number for a channel is its own mean: what is left is beta, and the variance does not divide by zero."""
    x, gamma, beta, mean, var = [device.put(a) for a in inputs((1, 3))]
    y = F.batch_norm(x, gamma, beta, mean, var)
    np.testing.assert_array_equal(device.get(y.data)[0], device.get(beta))
    assert np.isfinite(device.get(var)).all()


def test_averages_in_variables(device):
    """The running averages may be Variables; the arrays in them move."""
    x, gamma, beta, mean, var = [device.put(a) for a in inputs((6, 3))]
    held = Variable(mean, requires_grad=False), Variable(var, requires_grad=False)
    before = device.get(mean).copy()
    F.batch_norm(x, gamma, beta, *held)
    assert held[0].data is mean
    assert not np.array_equal(device.get(mean), before)


def test_errors():
    """Shapes that do not fit, and an empty batch, are named."""
    x, gamma, beta, mean, var = inputs((6, 3))
    with pytest.raises(
        ShapeError, match=r"batch_norm: gamma \(2,\), beta \(3,\), mean \(3,\) and var \(3,\) do not fit"
    ):
        F.batch_norm(x, gamma[:2], beta, mean, var)
    with pytest.raises(
        ShapeError, match=r"do not fit x \(3,\); x is \(N, C\) or \(N, C, H, W\), the others are \(C,\)"
    ):
        F.batch_norm(x[0], gamma, beta, mean, var)
    with pytest.raises(DataError, match=r"batch_norm: the batch \(0, 3\) is empty; it has no mean: use test_mode\(\)"):
        F.batch_norm(x[:0], gamma, beta, mean, var)
    with minitorch.test_mode():
        assert F.batch_norm(x[:0], gamma, beta, mean, var).shape == (0, 3)
