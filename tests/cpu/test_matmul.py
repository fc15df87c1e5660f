"""Products on the host: equal to NumPy's, and the same bits for any number of threads."""

from typing import Any

import numpy as np
import pytest

from minitorch import using_config
from minitorch.cpu import threads
from minitorch.cpu.matmul import matmul
from minitorch.cpu.onednn import gemm, library

Array = np.ndarray[Any, Any]


def normal(*shape: int, dtype: Any = np.float32) -> Array:
    return np.random.default_rng(0).standard_normal(shape).astype(dtype)


CASES = {
    "wide": (normal(100, 784), normal(784, 1000)),
    "high": (normal(2048, 128), normal(128, 200)),
    "left transposed": (normal(100, 784).T, normal(100, 1000)),
    "right transposed": (normal(100, 1000), normal(784, 1000).T),
    "float64": (normal(300, 400, dtype=np.float64), normal(400, 500, dtype=np.float64)),
    "stack": (normal(16, 4, 128, 32), normal(16, 4, 32, 128)),
    "stack of one": (normal(1, 40, 128, 64), normal(1, 40, 64, 128)),
    "stack that broadcasts": (normal(40, 128, 64), normal(64, 128)),
    "odd sizes": (normal(333, 555), normal(555, 777)),
    "small": (normal(3, 4), normal(4, 5)),
    "vector": (normal(2000), normal(2000, 3000)),
    "integers": (np.arange(6).reshape(2, 3), np.arange(6).reshape(3, 2)),
    "two dtypes": (normal(300, 400), normal(400, 500, dtype=np.float64)),
    "empty": (normal(0, 4), normal(4, 5)),
    "one row": (normal(1, 5000), normal(5000, 1000)),
    "rows with gaps": (normal(200, 900)[:, 7:807], normal(800, 400)),
    "columns with gaps": (normal(200, 800), normal(400, 900).T[7:807]),
    "every other element": (normal(200, 1600)[:, ::2], normal(800, 400)),
    "backwards": (normal(200, 800)[::-1], normal(800, 400)),
    "many tasks": (normal(1024, 512), normal(512, 3000)),
    "between small and shared": (normal(128, 128), normal(128, 256)),
}
BY_ONEDNN = {
    "wide", "high", "left transposed", "right transposed", "odd sizes", "rows with gaps", "columns with gaps",
    "many tasks", "between small and shared",
}  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_equals_numpy(case: str) -> None:
    """Values, shape and dtype are those of NumPy's product, however it is cut."""
    a, b = CASES[case]
    y, wanted = matmul(a, b), np.matmul(a, b)
    assert y.dtype == wanted.dtype
    np.testing.assert_allclose(y, wanted, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("case", CASES)
def test_bits_do_not_depend_on_the_number_of_threads(case: str) -> None:
    """One, two or three threads give the same bits."""
    results = []
    for n in (1, 2, 3):
        threads.set_num_threads(n)
        results.append(matmul(*CASES[case]).tobytes())
    assert results[0] == results[1] == results[2]


def test_sizes_that_do_not_fit_are_numpys_error() -> None:
    """Large matrices whose inner sizes differ raise ValueError as NumPy does."""
    with pytest.raises(ValueError, match="mismatch in its core dimension"):
        matmul(normal(1000, 500), normal(501, 1000))


@pytest.mark.skipif(library.find().library is None, reason="needs oneDNN: pip install minitorch[fast]")
@pytest.mark.parametrize("case", CASES)
def test_large_products_of_float32_by_onednn(case: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """It takes those that it is faster for; the numbers are NumPy's, and what was in the result is not read."""
    calls: list[tuple[int, ...]] = []
    whole = gemm.multiply
    monkeypatch.setattr(gemm, "multiply", lambda a, b, out: (out.fill(np.nan), calls.append(a.shape), whole(a, b, out)))
    y = matmul(*CASES[case])
    assert bool(calls) == (case in BY_ONEDNN)
    calls.clear()
    with using_config("use_onednn", False):
        np.testing.assert_allclose(y, matmul(*CASES[case]), rtol=1e-4, atol=1e-4)
    assert not calls


@pytest.mark.skipif(library.find().library is None, reason="needs oneDNN: pip install minitorch[fast]")
def test_special_values_by_onednn() -> None:
    """NaN and infinities come out in their rows, as of NumPy."""
    a, b = np.ones((200, 300), np.float32), np.ones((300, 400), np.float32)
    a[3, 5], a[7, 9], b[11, 13] = np.nan, np.inf, 0
    a[8, 11] = np.inf  # times 0 is NaN
    assert gemm.takes(a, b)
    with np.errstate(invalid="ignore"):
        np.testing.assert_array_equal(matmul(a, b), np.matmul(a, b))
