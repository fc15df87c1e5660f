"""Products on the host: equal to NumPy's, and the same bits for any number of threads."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from minitorch.cpu import threads
from minitorch.cpu.matmul import matmul

Array = np.ndarray[Any, Any]


@pytest.fixture(autouse=True)
def _threads_put_back() -> Iterator[None]:
    before = threads.get_num_threads()
    yield
    threads.set_num_threads(before)


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
}


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
