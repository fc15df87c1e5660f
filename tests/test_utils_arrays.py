"""`minitorch.utils`: the functions of plain arrays that DeZero's users know."""

import numpy as np
import pytest

from minitorch import utils
from minitorch.errors import ConfigError

X = np.arange(24.0).reshape(2, 3, 4)


@pytest.mark.parametrize("shape", [(2, 3, 4), (1, 3, 1), (3, 1), (4,), (1,), ()])
def test_sum_to(shape, device):
    """An array comes back summed to the shape: what broadcasting the result would undo."""
    y = device.get(utils.sum_to(device.put(X), shape))
    assert y.shape == shape
    stretched = [i for i in range(3) if i < 3 - len(shape) or shape[i - 3 + len(shape)] == 1]
    np.testing.assert_array_equal(y, X.sum(axis=tuple(stretched)).reshape(shape))


def test_logsumexp(device):
    """The logarithm of the sum of exponentials over axis 1, which is kept, without overflow."""
    x = X + 1e4
    y = device.get(utils.logsumexp(device.put(x)))
    np.testing.assert_allclose(y, np.log(np.exp(X).sum(axis=1, keepdims=True)) + 1e4, rtol=1e-12)
    assert utils.logsumexp(X, axis=(0, 2)).shape == (1, 3, 1)


def test_pair():
    """An integer stands for both; a pair is a pair; anything else is refused."""
    assert utils.pair(3) == (3, 3)
    assert utils.pair((1, 2)) == (1, 2)
    for wrong in ((1, 2, 3), 1.5, [1, 2]):
        with pytest.raises(ConfigError, match=r"pair: got .*; give an integer, or a tuple of two"):
            utils.pair(wrong)
