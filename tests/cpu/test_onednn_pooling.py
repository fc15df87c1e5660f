"""The gradient of max pooling by oneDNN: that of NumPy, ties and borders included."""

import numpy as np
import pytest

import minitorch
import minitorch.functions as F
from minitorch import Variable, using_config
from minitorch.cpu import threads
from minitorch.cpu.onednn import library, pooling
from minitorch.cpu.window import Window

pytestmark = pytest.mark.skipif(library.find().library is None, reason="needs oneDNN: pip install minitorch[fast]")

# Kernel, stride, padding, whether every pixel is covered.
WINDOWS = {
    "apart": (2, 2, 0, False),
    "overlapping": (3, 2, 1, False),
    "what is left over": (3, 3, 0, False),
    "covering all": (3, 2, 0, True),
    "uneven": ((2, 3), (1, 2), (0, 1), False),
}


def gradient(x, g, window):
    """Of the max pooling of x, where `g` comes in."""
    kernel, stride, pad, cover_all = window
    image = Variable(x)
    y = F.pooling(image, kernel, stride, pad, cover_all=cover_all)
    y.grad = Variable(g[:, :, : y.shape[2], : y.shape[3]].copy())
    y.backward()
    return image.grad.data


def images(shape=(5, 32, 19, 20)):
    """Few different numbers, so that there are ties, and a gradient large enough for any window."""
    rng = np.random.default_rng(0)
    return np.round(rng.standard_normal(shape)).astype(np.float32), rng.standard_normal(shape).astype(np.float32)


@pytest.mark.parametrize("name", WINDOWS)
def test_as_without(name, monkeypatch):
    """The first largest pixel gets the gradient, for any window, and with any number of threads the same."""
    x, g = images()
    monkeypatch.setattr(pooling, "IN_TASK", 1 << 14)  # so that there are several runs, of different lengths
    took = []
    whole = pooling.max_pool_gradient
    monkeypatch.setattr(pooling, "max_pool_gradient", lambda *a: took.append(whole(*a)) or took[-1])
    before, results = threads.get_num_threads(), []
    try:
        for n in (1, 2, 3):
            minitorch.set_num_threads(n)
            results.append(gradient(x, g, WINDOWS[name]))
    finally:
        minitorch.set_num_threads(before)
    assert all(np.array_equal(result, results[0]) for result in results)
    assert len(took) == 3
    assert all(result is not None for result in took)
    with using_config("use_onednn", False):
        np.testing.assert_allclose(results[0], gradient(x, g, WINDOWS[name]), rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_what_is_not_finite_goes_the_way_of_numpy(value):
    """NaN wins over numbers, and windows without a number give their gradient to their first pixel."""
    x, g = images()
    x[1, 2] = value
    window = WINDOWS["overlapping"]
    found = gradient(x, g, window)
    with using_config("use_onednn", False):
        np.testing.assert_array_equal(found, gradient(x, g, window))


def test_little_and_few_channels_are_left_to_numpy():
    """Small images, and images of fewer channels than a vector has numbers."""
    window = Window((2, 2), (2, 2))
    for shape in ((1, 16, 8, 8), (8, 3, 112, 112)):
        x = np.ones(shape, np.float32)
        y = np.ones((*shape[:2], shape[2] // 2, shape[3] // 2), np.float32)
        assert pooling.max_pool_gradient(y, x, y, window) is None
