"""Captured steps, on a stand-in whose graphs do on each launch what was captured, and not before."""

import gc
from collections.abc import Iterator
from ctypes import byref, c_void_p
from typing import Any

import numpy as np
import pytest
from small_training import SmallTraining

import fake_cupy
from fake_cupy import cupy, no_transfers
from minitorch.cuda import cublas, kernels
from minitorch.cuda.gemm import gemm
from minitorch.cuda.graph import CapturedStep, DeviceScalar, StepNumber, capturing, preserved
from minitorch.errors import DeviceError


@pytest.fixture(autouse=True)
def _installed() -> Iterator[None]:
    with fake_cupy.installed():
        yield


@pytest.fixture
def a() -> Any:
    return cupy.arange(6, dtype=np.float32).reshape(2, 3)


def begin_cublas() -> None:
    """What CuPy does at its first product: it fails, and CUDA gives the capture up."""
    cublas.check(cublas.load().cublasCreate_v2(byref(c_void_p())), "cublasCreate")


def captured(work: Any, *arrays: Any) -> CapturedStep:
    step = CapturedStep(work)
    with preserved(arrays):
        step.warm_up()
    step.capture()
    return step


def test_each_launch_does_the_work_once(a: Any) -> None:
    """Neither warm-up nor capture change what is preserved; each launch does the work on what the arrays hold then."""
    host, total = a.get(), cupy.zeros((), np.float32)

    def work() -> Any:
        nonlocal total
        total += (a * 2).sum()
        return total

    step = captured(work, a, total)
    assert total.item() == 0
    assert step.launch() is total
    assert total.item() == 2 * host.sum()
    a += 1
    step.launch()
    assert total.item() == 4 * host.sum() + 12


def test_what_the_step_makes_is_its_own(a: Any) -> None:
    """Results are garbage before the first launch, then always in the same place, in memory that no other code gets."""
    step = captured(lambda: {"y": cupy.exp(a), "parts": (a[0], a + 1)})
    assert step._graph.shared_bytes == 0
    first = step.launch()
    y = first["y"]
    np.testing.assert_array_equal(y.get(), np.exp(a.get()))
    a.fill(0)
    assert step.launch()["y"] is y
    np.testing.assert_array_equal(y.get(), np.ones((2, 3)))


def test_a_product_needs_no_warm_up(a: Any) -> None:
    """What cuBLAS needs before a capture is there, also for the first product of all."""
    step = CapturedStep(lambda: gemm(a, a.T))
    step.capture()
    np.testing.assert_array_equal(step.launch().get(), a.get() @ a.get().T)


def test_results_outlive_the_step(a: Any) -> None:
    """An array that a step made stays valid when the step is gone: it keeps the pool that its memory is in."""
    step = captured(lambda: a + 1)
    y = step.launch()
    del step
    gc.collect()
    np.testing.assert_array_equal(y.get(), a.get() + 1)


def test_a_graph_keeps_its_memory(a: Any) -> None:
    """Also where nothing that the step made is left to Python."""
    step = CapturedStep(lambda: a.__setitem__(..., a * a))
    step.capture()
    gc.collect()
    step.launch()
    np.testing.assert_array_equal(a.get(), np.arange(6, dtype=np.float32).reshape(2, 3) ** 2)


def test_scalars_change_between_launches(a: Any) -> None:
    """What the host sets and what the step counts is read anew by each launch, and moves nothing."""
    lr, count = DeviceScalar(0.5, np.float32), DeviceScalar(0, np.int64)

    def work() -> Any:
        count.advance()
        return a * lr.array * count.array

    step = CapturedStep(work)
    with preserved([count.array]):
        step.warm_up()
    step.capture()
    with no_transfers():
        lr.set(2.0)
        step.launch()
        lr.set(2.0)
        y = step.launch()
    np.testing.assert_array_equal(y.get(), a.get() * 4)
    assert count.array.item() == 2
    count.set(0)
    assert count.array.item() == 0


def test_setting_the_same_value_costs_nothing() -> None:
    """A learning rate that stays is not written again; after it was counted on, it is."""
    scalar = DeviceScalar(1, np.int64)
    scalar.array.fill(7)  # behind its back, to see whether it is written
    scalar.set(1)
    assert scalar.array.item() == 7
    scalar.advance()
    scalar.set(1)
    assert scalar.array.item() == 1


def test_numbers_of_several_steps_are_written_by_one_launch(a: Any) -> None:
    """Each step of a graph reads its own; eagerly it is the one of now."""
    number = StepNumber(3.0)

    def work() -> Any:
        for place in range(4 if capturing() else 1):
            number.place = place
            a.__imul__(number.array)
        number.place = 0

    step = CapturedStep(work)
    step.warm_up(1)
    np.testing.assert_array_equal(a.get(), 3 * np.arange(6, dtype=np.float32).reshape(2, 3))
    step.capture()
    with no_transfers():
        number.write([1.0, 2.0, 0.5, 0.25])
        fake_cupy.machine.launches.clear()
        number.write([1.0, 2.0, 0.5, 0.25])
        assert fake_cupy.machine.launches == []
        number.write([1.0, 2.0, 0.5, 2.0])
        assert fake_cupy.machine.launches == ["set_numbers"]
        step.launch()
    np.testing.assert_array_equal(a.get(), 6 * np.arange(6, dtype=np.float32).reshape(2, 3))


def test_a_number_has_to_be_on_the_device_before_a_capture(a: Any) -> None:
    """The memory that it is in must not be that of the graph."""
    number = StepNumber(3.0)
    with pytest.raises(DeviceError, match=r"a number of the step is not on the device yet; do a step eagerly before"):
        CapturedStep(lambda: a * number.array).capture()


def test_a_training_step_is_replayed_bit_for_bit() -> None:
    """Products, kernels, dropout by a counter on the device and an update, captured: as the same work done eagerly."""
    eager, replayed = SmallTraining(cupy), SmallTraining(cupy)
    step = captured(replayed.work, *replayed.state)
    for i in range(3):
        for training in (eager, replayed):
            training.lr.set(0.1 / (i + 1))
        with no_transfers():
            expected, actual = eager.work(), step.launch()
        np.testing.assert_array_equal(actual.get(), expected.get())
    for mine, other in zip(replayed.state, eager.state, strict=True):
        np.testing.assert_array_equal(mine.get(), other.get())
    assert replayed.totals.get()[2] == 12


@pytest.mark.parametrize(
    ("work", "reason"),
    [
        (
            lambda a: a @ a.T,
            r"a matrix product went to CuPy's cuBLAS, .* by minitorch.cuda.gemm \(NotImplementedError: ",
        ),
        (
            lambda a: a.sum().item(),
            r"it reads a value back, or sends one to the device, or waits; keep such numbers on",
        ),
        (lambda a: cupy.asarray(np.ones(3)), r"it reads a value back, or sends one to the device, or waits"),
        (
            lambda a: kernels.dropped(a, 0.5, seed=0, step=cupy.zeros((), np.int64), draw=0),
            r"a kernel is used for the first",
        ),
        (lambda a: cupy.cuda.get_current_stream().synchronize(), r"it does what CUDA does not capture"),
        (
            lambda a: begin_cublas(),
            r"a matrix product went to CuPy's cuBLAS, .* \(DeviceError: cuBLAS: cublasCreate: CUBLAS_STATUS_NOT_INITIA",
        ),
    ],
)
def test_what_cannot_be_captured_is_said(a: Any, work: Any, reason: str) -> None:
    """A failure names its cause and keeps the error of CuPy; the device goes on working, and there is no graph."""
    step = CapturedStep(lambda: work(a))
    with pytest.raises(DeviceError, match=rf"the step cannot be captured: {reason}") as caught:
        step.capture()
    assert caught.value.__cause__ is not None
    assert gc.isenabled()
    assert not step.captured
    assert cupy.cuda.get_current_stream() is cupy.cuda.Stream.null
    assert gemm(a, a.T).sum().item() == 83
    with pytest.raises(DeviceError, match=r"CapturedStep.launch: there is no graph; call capture\(\) first"):
        step.launch()


def test_errors_of_the_work_itself_pass(a: Any) -> None:
    """What has nothing to do with the capture is not wrapped; afterwards the step can be captured."""
    fail = True

    def work() -> Any:
        if fail:
            raise ZeroDivisionError("mine")
        return a + 1

    step = CapturedStep(work)
    with pytest.raises(ZeroDivisionError, match="mine"):
        step.capture()
    fail = False
    step.capture()
    np.testing.assert_array_equal(step.launch().get(), a.get() + 1)


def test_a_capture_that_cuda_gave_up_is_said(a: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where CUDA reports at the end only, or refuses to end a capture that failed, the step can be used again."""
    step = CapturedStep(lambda: a + 1)
    stream = type(step._stream)
    real_end = stream.end_capture

    def invalidated(self: Any) -> Any:
        real_end(self)
        raise cupy.cuda.runtime.CUDARuntimeError("cudaErrorStreamCaptureInvalidated: operation failed")

    with monkeypatch.context() as patch:
        patch.setattr(stream, "end_capture", invalidated)
        with pytest.raises(DeviceError, match=r"CUDA gave up the capture \(cudaErrorStreamCaptureInvalidated"):
            step.capture()
        failing = CapturedStep(lambda: a @ a.T)
        with pytest.raises(DeviceError, match=r"a matrix product went to CuPy's"):
            failing.capture()
    step.capture()
    np.testing.assert_array_equal(step.launch().get(), a.get() + 1)


def test_collection_is_off_during_a_capture(a: Any) -> None:
    """And on again afterwards, unless it was off before."""
    seen = []
    step = CapturedStep(lambda: seen.append(gc.isenabled()))
    step.capture()
    gc.disable()
    try:
        step.capture()
        assert not gc.isenabled()
    finally:
        gc.enable()
    assert seen == [False, False]


def test_capturing_again_drops_the_graph_before(a: Any) -> None:
    """A step captured anew is launched anew."""
    scale = 1
    step = CapturedStep(lambda: a * scale)
    step.capture()
    scale = 3
    step.capture()
    np.testing.assert_array_equal(step.launch().get(), a.get() * 3)


def test_without_a_device() -> None:
    """The error of a missing device comes at once."""
    with fake_cupy.installed(devices=0), pytest.raises(DeviceError, match="finds no CUDA device"):
        CapturedStep(lambda: None)
