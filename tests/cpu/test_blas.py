"""What the BLAS library does in one pass is what NumPy does in several, with the library and without."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from minitorch.cpu import blas

Array = np.ndarray[Any, Any]


def normal(*shape: int, dtype: Any = np.float32) -> Array:
    return np.random.default_rng(sum(shape)).standard_normal(shape).astype(dtype)


def read_only(a: Array) -> Array:
    a.flags.writeable = False
    return a


@pytest.fixture(params=["with the library", "without"])
def _library(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    if request.param == "without":
        monkeypatch.setattr(blas, "_function", lambda *args: None)


PAIRS = {
    "float32": (normal(1000), normal(1000)),
    "float64": (normal(10, 7, dtype=np.float64), normal(10, 7, dtype=np.float64)),
    "float16": (normal(30, dtype=np.float16), normal(30, dtype=np.float16)),
    "two dtypes": (normal(30, dtype=np.float64), normal(30)),
    "one number": (np.array(0.5), np.array(-2.0)),
    "empty": (normal(0, 3), normal(0, 3)),
    "large": (normal(70_000), normal(70_000)),
    "x transposed": (normal(4, 5).T, normal(5, 4)),
    "y transposed": (normal(5, 4), normal(4, 5).T),
    "every second": (normal(40)[::2], normal(40)[::2]),
    "backwards": (normal(20)[::-1], normal(20)),
    "x read-only": (read_only(normal(20)), normal(20)),
    "not aligned": (np.frombuffer(b"\0" + normal(20).tobytes(), np.float32, offset=1), normal(20)),
}


@pytest.mark.usefixtures("_library")
@pytest.mark.parametrize("case", PAIRS)
@pytest.mark.parametrize(("a", "b"), [(0.3, -2.0), (1.0, 1.0), (np.float32(0.5), np.float64(0.25)), (2, 0)])
def test_axpby(case: str, a: float, b: float) -> None:
    """`y` becomes `a * x + b * y`, whatever the dtype and the layout, and `x` stays."""
    x, y = PAIRS[case][0], PAIRS[case][1].copy(order="K")
    before, wanted = x.copy(), float(a) * x + float(b) * y
    blas.axpby(a, x, b, y)
    np.testing.assert_array_equal(x, before)
    np.testing.assert_allclose(y, wanted, rtol=0.02 if y.dtype == np.float16 else 1e-5, atol=1e-6)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_cut_changes_no_bit(dtype: Any) -> None:
    """Pieces give the bits of the whole, wherever it is cut."""
    x, y = normal(2, 100, dtype=dtype)
    whole = y.copy()
    blas.axpby(0.3, x, 0.7, whole)
    for cut in range(100):
        pieces = y.copy()
        blas.axpby(0.3, x[:cut], 0.7, pieces[:cut])
        blas.axpby(0.3, x[cut:], 0.7, pieces[cut:])
        assert pieces.tobytes() == whole.tobytes()


def test_the_library_of_numpys_wheels_is_found() -> None:
    """Where NumPy carries its own OpenBLAS, the functions are there: without them all is slower, and nobody sees."""
    if not list(Path(np.__file__).parents[1].glob("numpy.libs/*openblas*")):
        pytest.skip("NumPy carries no OpenBLAS here")
    assert blas.get_num_threads() is not None
    assert all(blas._function("axpby", np.dtype(dtype), "ixaixai") for dtype in ("float32", "float64"))


@pytest.mark.usefixtures("_library")
def test_a_factor_of_zero_hides_nothing():
    """0 times nan is nan, so that a rate of zero shows a gradient that is none."""
    nan, y = np.full(3, np.nan, np.float32), np.ones(3, np.float32)
    blas.axpby(0.0, nan, 1.0, y)
    assert np.isnan(y).all()
    blas.axpby(1.0, np.ones(3, np.float32), 0.0, y)
    assert np.isnan(y).all()
