"""`CapturedStep`: work on device arrays, recorded once as a CUDA graph and repeated by one launch.

A graph repeats what the device did, with the same addresses: nothing that Python decides, and no number that Python
holds, can differ between launches. What must differ is kept in device memory: see `DeviceScalar` and `StepNumber`.
"""

import gc
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np

from minitorch.cuda import kernels
from minitorch.cuda.array_module import require_cupy
from minitorch.cuda.cublas import prepare
from minitorch.errors import DeviceError

Array = Any  # a CuPy array


class CapturedStep:
    """`work`, a function of no arguments that works on device arrays, to be repeated by launches of a graph.

        step = CapturedStep(work)
        with preserved(params):
            step.warm_up()
        step.capture()
        loss = step.launch()

    Inside `work` nothing may move between host and device or wait for it, and matrix products go by `cuda.gemm`. Arrays
    that it makes belong to memory of the graph's own, so what `launch` returns is written over by the next launch; and
    arrays from elsewhere that it uses must stay where they are as long as the graph is launched.

    Args:
        work: what to repeat. What it returns, arrays in any structure, is what `launch` returns.

    Raises:
        MissingExtraError: CuPy is not installed.
        DeviceError: there is no device.
    """

    def __init__(self, work: Callable[[], Any]) -> None:
        self._cupy = require_cupy()
        self._work = work
        self._stream = self._cupy.cuda.Stream(non_blocking=True)  # the default stream cannot be captured
        self._graph: Any = None
        self._result: Any = None
        self._memory: Any = None  # of the graph, which does not keep it

    @property
    def captured(self) -> bool:
        """Whether there is a graph to launch."""
        return self._graph is not None

    def warm_up(self, times: int = 2) -> Any:
        """Do the work as it is, so that every kernel it uses is compiled and loaded; returns what it returned last.

        Twice, since what it makes at first, such as the state of an optimizer, may have it take another path later.
        """
        result = None
        with self._on_stream():
            prepare()
            for _ in range(times):
                result = self._work()
        return result

    def capture(self) -> None:
        """Record the work. It is not done: the first launch does it first.

        What Python does in it, such as counting, is done now, once, and never again.

        Raises:
            DeviceError: it does something that cannot be captured; the message says what. There is no graph then, and
                the device is as before.
        """
        self._graph = self._result = None
        self._memory = _private_allocator(self._cupy)
        with self._on_stream():
            prepare()
            self._result, self._graph = self._captured()
            self._graph.upload(self._stream)

    def _captured(self) -> tuple[Any, Any]:
        with _no_garbage_collection(), self._cupy.cuda.using_allocator(self._memory):
            self._stream.begin_capture()  # relaxed: the pool may have to grow
            try:
                result = self._work()
            except BaseException as error:
                given_up = self._abandon()
                reason = _reason(error, given_up)
                if reason is None:
                    raise
                raise DeviceError(f"the step cannot be captured: {reason} ({type(error).__name__}: {error})") from error
            try:
                return result, self._stream.end_capture()
            except RuntimeError as error:
                raise DeviceError(
                    "the step cannot be captured: something in it waited for the device, or left work on another "
                    f"stream, and CUDA gave up the capture ({error})"
                ) from error

    def _abandon(self) -> bool:
        """End a capture that failed; its graph, if there is one, is dropped. Tells whether CUDA had given it up."""
        try:
            self._stream.end_capture()
        except RuntimeError:
            self._stream = self._cupy.cuda.Stream(non_blocking=True)
            return True
        return False

    def launch(self) -> Any:
        """Do the work once on the current stream; returns what it returned at the capture, with the values of now.

        Raises:
            DeviceError: there is no graph: `capture` was not called, or failed.
        """
        if self._graph is None:
            raise DeviceError("CapturedStep.launch: there is no graph; call capture() first")
        self._graph.launch(self._cupy.cuda.get_current_stream())
        return self._result

    @contextmanager
    def _on_stream(self) -> Iterator[None]:
        """Work on the stream of the capture, after what the current stream has to do, and before what it gets later."""
        outside = self._cupy.cuda.get_current_stream()
        self._stream.wait_event(outside.record())
        try:
            with self._stream:
                yield
        finally:
            outside.wait_event(self._stream.record())


def capturing() -> bool:
    """Whether work that this thread gives to the device now is recorded, and not done."""
    cupy = sys.modules.get("cupy")
    return cupy is not None and bool(cupy.cuda.get_current_stream().is_capturing())


class DeviceScalar:
    """A number in device memory: kernels and graphs read it anew each time, and the host may set it in between.

    Args:
        value: what it is at first.
        dtype: of the array.

    Attributes:
        array: 0-d, always the same.
    """

    def __init__(self, value: float, dtype: Any) -> None:
        self.array = require_cupy().full((), value, dtype)
        self._known: float | None = value

    def set(self, value: float) -> None:
        """Make it `value`, outside captured work; without a transfer, and at no cost if it is so already."""
        if value != self._known:
            self.array.fill(value)
            self._known = value

    def moved(self, by: float) -> None:
        """Note that a launch has added `by`, by work that was captured on `array`."""
        if self._known is not None:
            self._known += by

    def advance(self, by: float = 1) -> None:
        """Add `by` on the device: inside a captured step, at each launch."""
        self.array += by
        self._known = None  # how often it is launched the host does not see


class StepNumber:
    """A number that the host knows before each step, such as a learning rate: float32 in device memory.

    Eager steps read place 0. A graph of several steps reads a place for each, all of which are written before it is
    launched: by one launch whose arguments they are, so that nothing is copied and nobody waits.

    Args:
        now: what it is in the step under way.

    Attributes:
        now: the same; whoever owns the number sets it before the step.
        place: which step of a graph is being captured.
    """

    def __init__(self, now: float) -> None:
        self.now = now
        self.place = 0
        self._array: Array = None
        self._known: list[float] = []

    @property
    def array(self) -> Array:
        """Where the step under way reads it: 0-d; eagerly it is written first, if it is not there yet."""
        if not capturing():
            self.write([self.now])
        elif self._array is None:
            raise DeviceError("a number of the step is not on the device yet; do a step eagerly before the capture")
        return self._array[self.place]

    def write(self, values: Sequence[float]) -> None:
        """Make it, in the steps that one launch does, one of `values` after the other; outside captured work."""
        if self._array is None:
            self._array = require_cupy().empty(kernels.NUMBERS, np.float32)
        if self._known[: len(values)] != list(values):
            kernels.write_numbers(self._array, values)
            self._known[: len(values)] = values


@contextmanager
def preserved(arrays: Iterable[Array]) -> Iterator[None]:
    """Put the arrays back, in place, to what they were before the block: for a warm-up that is not to count."""
    kept = [(a, a.copy()) for a in arrays]
    try:
        yield
    finally:
        for a, before in kept:
            a[...] = before


def _private_allocator(cupy: Any) -> Callable[[int], Any]:
    """Memory from a new pool that nobody else uses; each block keeps the pool.

    Blocks of the pool that all code shares would, once Python has freed them, be given to others and written to while
    the graph uses them. And CuPy gives the memory of a pool back when the pool goes, although arrays are left in it.
    """
    pool = cupy.cuda.MemoryPool()

    def allocate(size: int) -> Any:
        block = pool.malloc(size)
        memory = cupy.cuda.UnownedMemory(block.ptr, size, (pool, block), block.device_id)
        return cupy.cuda.MemoryPointer(memory, 0)

    return allocate


@contextmanager
def _no_garbage_collection() -> Iterator[None]:
    """A collection could free streams, events or graphs in the middle of a capture, which CUDA does not allow."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


REASONS = (  # words in the errors of CuPy and CUDA that speak of a capture, and what they mean; the last fits all
    ("cublas", "a matrix product went to CuPy's cuBLAS, which refuses; it must go by minitorch.cuda.gemm"),
    ("curand", "it draws from CuPy's random numbers; draw by minitorch.random or its kernels"),
    ("compiled", "a kernel is used for the first time; warm up with the same work and the same shapes"),
    ("transfers", "it reads a value back, or sends one to the device, or waits; keep such numbers on the device"),
    ("implicit", "it uses the default stream; let it work on the current one"),
    ("", "it does what CUDA does not capture, such as copying to the host or waiting for the device"),
)


def _reason(error: BaseException, given_up: bool) -> str | None:
    """Why a capture failed, in words; None if the error has nothing to do with it.

    What a capture does not survive may fail with words of its own, such as those of a library that cannot begin.
    """
    text = str(error).lower()
    if "captur" not in text and not given_up:
        return None
    return next(meaning for words, meaning in REASONS if words in text)
