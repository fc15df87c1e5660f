"""Activations of large arrays on the host: the same as of small ones, which the table of primitives checks."""

import numpy as np
import pytest

import minitorch.functions as F
from minitorch import Variable
from minitorch.cpu.activation import BLOCK, LARGE


@pytest.mark.parametrize("f", [F.sigmoid, F.relu])
@pytest.mark.parametrize("size", [LARGE, 2 * BLOCK + 5])
def test_large_arrays_are_as_small_ones(f, size):
    """Value and gradient of a large array are those of its elements taken a few at a time."""
    rng = np.random.default_rng(0)
    a, g = rng.standard_normal((2, size)).astype(np.float32)
    x = Variable(a)
    y = f(x)
    y.grad = Variable(g)
    y.backward()
    for at in (slice(0, 7), slice(size // 2, size // 2 + 7), slice(size - 7, size)):
        part = Variable(a[at].astype(np.float64))
        few = f(part)
        few.grad = Variable(g[at].astype(np.float64))
        few.backward()
        np.testing.assert_allclose(y.data[at], few.data, rtol=1e-6, atol=1e-7)
        np.testing.assert_allclose(x.grad.data[at], part.grad.data, rtol=1e-5, atol=1e-7)
    assert y.dtype == x.grad.dtype == np.float32
