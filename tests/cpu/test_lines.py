"""Sums along lines: as of NumPy, for any dtype, length and layout."""

import numpy as np
import pytest

import minitorch
from minitorch.cpu import threads
from minitorch.cpu.lines import sum_lines, sum_products
from minitorch.ops.linalg import bias_gradient


@pytest.mark.parametrize(("of", "into"), [("f4", "f4"), ("f8", "f8"), ("f2", "f4"), ("f4", "f8")])
@pytest.mark.parametrize("shape", [(3, 5, 7), (2, 3, 1), (4, 2, 2000), (0, 3, 5), (2, 3, 0)])
def test_sums_are_those_of_numpy(shape, of, into):
    """Whole lines and products of two, into arrays that may be views."""
    a, b = np.random.default_rng(0).standard_normal((2, *shape)).astype(of)
    out = np.full((*shape[:2], 2), np.nan, into)
    sum_lines(a, out[..., 0])
    sum_products(a, b, out[..., 1])
    a, b = a.astype("f8"), b.astype("f8")
    near = {"rtol": 1e-3, "atol": 0.1} if of == "f2" else {"rtol": 1e-5, "atol": 1e-4}
    np.testing.assert_allclose(out[..., 0], a.sum(axis=-1), **near)
    np.testing.assert_allclose(out[..., 1], (a * b).sum(axis=-1), **near)


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.float16])
def test_gradient_of_a_bias(dtype):
    """The sum over images and pixels of each channel, in its dtype, and the same bits for any number of threads."""
    g = np.random.default_rng(0).standard_normal((40, 6, 31, 33)).astype(dtype)
    before, found = threads.get_num_threads(), []
    try:
        for n in (1, 2, 3):
            minitorch.set_num_threads(n)
            found.append(bias_gradient(g))
    finally:
        minitorch.set_num_threads(before)
    assert all(np.array_equal(each, found[0]) for each in found)
    assert found[0].dtype == dtype
    expected = g.astype(np.float64).sum(axis=(0, 2, 3))
    np.testing.assert_allclose(found[0], expected, rtol=1e-3 if dtype == np.float16 else 1e-4, atol=1e-3)
    np.testing.assert_allclose(bias_gradient(g.transpose(0, 1, 3, 2)), found[0], rtol=1e-2, atol=1e-2)
