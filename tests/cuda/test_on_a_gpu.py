"""What only a real device can show: that cuBLAS is called rightly, and that graphs hold what was captured."""

from typing import Any

import numpy as np
import pytest
from small_training import SmallTraining

import minitorch
from minitorch.cuda import kernels
from minitorch.cuda.gemm import gemm
from minitorch.cuda.graph import CapturedStep, preserved
from minitorch.errors import DeviceError

pytestmark = pytest.mark.gpu

SHAPES = [
    ((3, 4), (4, 5)), ((2, 3, 4), (4, 5)), ((2, 3, 4), (2, 4, 5)), ((3, 4), (2, 4, 5)), ((4,), (4, 5)),
    ((300, 200), (200, 100)),
]  # fmt: skip


@pytest.fixture
def cupy() -> Any:
    return pytest.importorskip("cupy")


def numbers(*shape: int, dtype: Any = np.float32, seed: int = 0) -> np.ndarray[Any, Any]:
    """Small whole numbers, of which every order of sums gives the same bits."""
    return np.random.default_rng(seed).integers(-4, 5, shape).astype(dtype)


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.float16])
@pytest.mark.parametrize("shapes", SHAPES, ids=str)
def test_cublas_computes_products(cupy: Any, shapes: Any, dtype: Any) -> None:
    """Plain, transposed and accumulated."""
    a, b = numbers(*shapes[0], dtype=dtype), numbers(*shapes[1], dtype=dtype, seed=1)
    on_device = cupy.asarray(a), cupy.asarray(b)
    y = gemm(*on_device)
    np.testing.assert_array_equal(y.get(), a @ b)
    gemm(*on_device, out=y, alpha=-1.0, beta=2.0)
    np.testing.assert_array_equal(y.get(), a @ b)
    if a.ndim > 1:
        transposed = cupy.asarray(np.ascontiguousarray(a.swapaxes(-1, -2)))
        np.testing.assert_array_equal(gemm(transposed, on_device[1], alpha=2.0, transpose_a=True).get(), 2 * (a @ b))


@pytest.mark.parametrize("compute", ["tf32", "bf16", "fp16"])
def test_reduced_precision_is_near(cupy: Any, compute: str) -> None:
    """A product in a reduced mode differs by no more than its rounding."""
    rng = np.random.default_rng(0)
    a, b = (rng.normal(size=(256, 256)).astype(np.float32) for _ in range(2))
    y = gemm(cupy.asarray(a), cupy.asarray(b), compute=compute).get()
    assert np.abs(y - a @ b).max() < 0.5


def test_a_training_step_is_replayed(cupy: Any) -> None:
    """A captured step trains as the eager one does, and two captured ones to the same bits."""
    eager, one, other = (SmallTraining(cupy) for _ in range(3))
    steps = []
    for training in (one, other):
        step = CapturedStep(training.work)
        with preserved(training.state):
            step.warm_up()
        step.capture()
        steps.append(step)
    for _ in range(3):
        expected, *losses = eager.work(), *(step.launch() for step in steps)
        np.testing.assert_allclose(losses[0].get(), expected.get(), rtol=1e-4)
        np.testing.assert_array_equal(losses[0].get(), losses[1].get())
    for e, a, b in zip(eager.state, one.state, other.state, strict=True):
        np.testing.assert_allclose(a.get(), e.get(), rtol=1e-3, atol=1e-5)
        np.testing.assert_array_equal(a.get(), b.get())


def test_embeddings_are_captured(cupy: Any) -> None:
    """Sorting and adding rows by number can be captured."""
    g, ids = cupy.asarray(numbers(50, 7)), cupy.asarray(np.random.default_rng(1).integers(0, 9, 50))
    step = CapturedStep(lambda: kernels.add_rows(g, ids, 9))
    step.warm_up()
    step.capture()
    np.testing.assert_array_equal(step.launch().get(), kernels.add_rows(g.get(), ids.get(), 9))


def test_a_failed_capture_leaves_the_device_working(cupy: Any) -> None:
    """What CuPy and CUDA refuse comes as an error that says why; the next capture works."""
    a = cupy.asarray(numbers(3, 3))
    for work in (lambda: a @ a, lambda: a.sum().item(), lambda: a.get()):
        with pytest.raises(DeviceError, match="the step cannot be captured"):
            CapturedStep(work).capture()
    step = CapturedStep(lambda: gemm(a, a))
    step.warm_up()
    step.capture()
    np.testing.assert_array_equal(step.launch().get(), (a @ a).get())


def test_random_bits_are_those_of_the_host(cupy: Any) -> None:
    """Device and host draw the same."""
    minitorch.random.set_state((7, 3, 1))
    expected = minitorch.random.bits("dropout", 10_001)
    actual = kernels.random_bits("dropout", 10_001, seed=7, step=cupy.asarray(np.int64(3)), draw=1)
    np.testing.assert_array_equal(actual.get(), expected)
