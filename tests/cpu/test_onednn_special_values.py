"""Infinities, NaN and the largest numbers: with oneDNN each function and its gradients are what they are without."""

import numpy as np
import pytest

import minitorch.functions as F
from minitorch import Variable, using_config
from minitorch.cpu.onednn import eltwise, library
from minitorch.ops.lstm_sequence import lstm_sequence

pytestmark = [
    pytest.mark.skipif(library.find().library is None, reason="needs oneDNN: pip install minitorch[fast]"),
    pytest.mark.filterwarnings("ignore::RuntimeWarning"),  # np.errstate is that of one thread
]

inf, nan = np.inf, np.nan
SPECIAL = [inf, -inf, nan, 3.4e38, -3.4e38, 1e-45, -0.0]
GELUS = {
    "gelu": F.gelu,
    "gelu_tanh": lambda x: F.gelu(x, approximate="tanh"),
    "linear with gelu": lambda x: F.linear(x.reshape(-1, 1), np.ones((1, 1), np.float32), None, F.gelu),
}


def normal(*shape):
    """Normal numbers of this shape."""
    return np.random.default_rng(0).normal(size=shape).astype(np.float32)


def value_and_gradients(f, *arrays):
    """What `f` of the arrays gives, and the gradients of its sum."""
    xs = [Variable(a.copy()) for a in arrays]
    y = f(*xs)
    y.backward()
    return [y.data, *[x.grad.data for x in xs]]


def check_as_without(f, *arrays, tolerance=1e-3):
    """Assert that value and gradients are those without oneDNN, infinities and NaN at the same places."""
    found = value_and_gradients(f, *arrays)
    with using_config("use_onednn", False):
        expected = value_and_gradients(f, *arrays)
    for a, b in zip(found, expected, strict=True):
        np.testing.assert_allclose(a, b, rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("name", GELUS)
def test_gelu(name):
    """Infinity and what is near the largest number stay as they are; NaN hides neither."""
    a = np.zeros(max(eltwise.LEAST.values()), np.float32)
    special = [*SPECIAL, 1.8e38, 1.6e38, 1e20, -1e20, 100, -100]
    a[: len(special)] = special
    check_as_without(GELUS[name], a)
    y = GELUS[name](a).data.ravel()
    np.testing.assert_array_equal(y[:7], [inf, nan, nan, np.float32(3.4e38), 0, 0, 0])


def test_gelu_in_place():
    """Also where the result goes to where the argument is."""
    z = np.full(1 << 13, -1, np.float32)
    z[:4] = inf, nan, 3e38, 100
    eltwise.apply("gelu_erf", z, z)
    np.testing.assert_array_equal(z[:4], np.array([inf, nan, 3e38, 100], np.float32))
    np.testing.assert_allclose(z[4:], -0.15865526, rtol=1e-6)


@pytest.mark.parametrize("bad", [inf, -inf, nan, 1e20])
def test_layer_norm(bad):
    """One such number in a row makes that row what it is without; constant rows are the shift."""
    x = normal(256, 128)
    x[0, 0], x[1], x[2] = bad, 0, 7
    check_as_without(F.layer_norm, x, *normal(2, 128))


@pytest.mark.parametrize("bad", [inf, nan, 3e38])
def test_product(bad):
    """What is multiplied by zero is NaN where it is no finite number."""
    a, b = normal(512, 256), normal(256, 256)
    a[3, 5] = b[7, 9] = bad
    a[20], b[:, 30] = 0, 0
    check_as_without(F.matmul, a, b)
    check_as_without(lambda a, b: F.linear(a, b, np.ones(256, np.float32), F.relu), a, b)


@pytest.mark.parametrize("place", [0, 2], ids=["x", "b"])
@pytest.mark.parametrize("bad", [inf, nan])
def test_convolution(bad, place):
    """Such a number in an image or a bias reaches what it reaches without."""
    arrays = normal(8, 32, 12, 12), normal(32, 32, 3, 3), normal(32)
    arrays[place].flat[0] = bad
    check_as_without(F.conv2d, *arrays)


def test_convolution_multiplies_nothing_by_padding():
    """There an infinite weight makes no NaN, as it would with the zeros that NumPy multiplies: as in PyTorch."""
    x, W = np.ones((8, 32, 12, 12), np.float32), normal(32, 32, 3, 3)
    W[0, 0, 0, 0] = inf
    y = F.conv2d(x, W, pad=1).data
    assert np.isfinite(y[:, 0, 0]).all()
    assert np.isinf(y[:, 0, 1:, 1:]).all()
    with using_config("use_onednn", False):
        y = F.conv2d(x, W, pad=1).data
    assert np.isnan(y[:, 0, 0]).all()
    assert np.isinf(y[:, 0, 1:, 1:]).all()


@pytest.mark.parametrize("pad", [0, 1])
@pytest.mark.parametrize("bad", [inf, -inf, nan, 3e38, -3e38])
def test_max_pooling(bad, pad):
    """The gradient goes to the first of the largest, of infinities and NaN too."""
    x = normal(8, 32, 16, 16)
    x[0, 0, 0, 0], x[1, 1, 4:6, 4:6], x[2] = bad, bad, bad
    x[3, 0], x[3, 0, ::2] = 0, -0.0
    check_as_without(lambda x: F.pooling(x, 3, 2, pad), x)


@pytest.mark.parametrize("place", range(6), ids=["x", "Wx", "b", "h", "c", "W"])
@pytest.mark.parametrize("bad", [inf, -inf, nan, 100, -100])
def test_lstm(bad, place):
    """Gates are full open or closed, and NaN goes on, as without."""
    arrays = normal(8, 32, 64), normal(64, 256) / 8, normal(256), normal(32, 64), normal(32, 64), normal(64, 256) / 8
    arrays[place].flat[3] = bad
    check_as_without(lstm_sequence, *arrays)
