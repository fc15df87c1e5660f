"""The stand-in for `cupy.cuda`: devices, streams and events that keep their books, memory pools, graphs."""

import itertools
import sys
import time
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any

import attrs

from fake_cupy import traffic
from fake_cupy.capture import Capture, Graph
from fake_cupy.traffic import current

DEVICE_BYTES = 2**34  # the memory that each pretended device has


@attrs.define
class Machine:
    """The pretended machine.

    Attributes:
        devices: how many it has.
        used: bytes that live arrays hold on them.
        loaded: kernels that have been compiled and loaded.
        launches: the names of all kernels launched, in their order.
        work: the names of all that the device was given to do, in their order: kernels, products, and functions and
            operators of CuPy that compute or copy something, each counted once. Views are none.
    """

    devices: int = 1
    used: int = 0
    loaded: set[str] = attrs.field(factory=set)
    launches: list[str] = attrs.field(factory=list)
    work: list[str] = attrs.field(factory=list)


machine = Machine()


class CUDARuntimeError(RuntimeError):
    """What CuPy raises when a call of the CUDA runtime fails."""


class Device:
    """A device by number; as a context manager it is the current one of the thread."""

    def __init__(self, device: Any = None) -> None:
        self.id = current.device if device is None else int(device)

    def use(self) -> None:
        """Make this device current."""
        if not 0 <= self.id < machine.devices:
            raise CUDARuntimeError("cudaErrorInvalidDevice: invalid device ordinal")
        current.device = self.id

    def synchronize(self) -> None:
        """Wait for the device, which is counted."""
        with self:
            traffic.synchronise("Device.synchronize")

    @property
    def mem_info(self) -> tuple[int, int]:
        """Free and total bytes."""
        return memGetInfo()

    @property
    def compute_capability(self) -> str:
        """That of the pretended device."""
        return "90"

    def __enter__(self) -> "Device":
        before = current.device
        self.use()
        current.device_stack.append(before)  # CuPy too keeps them for the thread, not for the object
        return self

    def __exit__(self, *error: object) -> None:
        current.device = current.device_stack.pop()

    def __int__(self) -> int:
        return self.id

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Device) and self.id == other.id

    def __hash__(self) -> int:
        return hash(self.id)

    def __repr__(self) -> str:
        return f"<CUDA Device {self.id}>"


class Stream:
    """A stream; all work is done at once, in the order of the program."""

    null: "Stream"
    _numbers = itertools.count(1)

    def __init__(
        self, null: bool = False, non_blocking: bool = False, ptds: bool = False, *, priority: int | None = None
    ) -> None:
        self.ptr = 0 if null else next(self._numbers)
        self.is_non_blocking = non_blocking
        self.priority = priority or 0
        self.done = True
        self.capture: Capture | None = None
        self._before: list[Stream | None] = []

    def begin_capture(self, mode: int | None = None) -> None:
        """From here on, refuse on this stream what CuPy refuses to capture."""
        if self.ptr == 0 or not self.is_non_blocking:
            raise CUDARuntimeError(
                "cudaErrorStreamCaptureUnsupported: operation not permitted when stream is capturing"
            )
        if self.capture is not None:
            raise CUDARuntimeError("cudaErrorIllegalState: the operation cannot be performed in the present state")
        self.capture = Capture()

    def end_capture(self) -> Graph:
        """Stop refusing, and return the graph."""
        if self.capture is None:
            raise CUDARuntimeError("cudaErrorIllegalState: the operation cannot be performed in the present state")
        capture, self.capture = self.capture, None
        graph = capture.end()
        if not capture.valid:
            raise CUDARuntimeError(
                "cudaErrorStreamCaptureInvalidated: operation failed due to a previous error during capture"
            )
        return graph

    def is_capturing(self) -> bool:
        """Whether a capture has begun and not ended."""
        if self.capture is not None and not self.capture.valid:
            raise RuntimeError("the stream was capturing, but an error has invalidated the capture sequence")
        return self.capture is not None

    def synchronize(self) -> None:
        """Wait for the stream, which is counted."""
        traffic.synchronise("Stream.synchronize")

    def wait_event(self, event: "Event") -> None:
        """Nothing: all work is done at once."""

    def record(self, event: "Event | None" = None) -> "Event":
        """Record `event`, or a new one, on this stream."""
        event = Event() if event is None else event
        event.record(self)
        return event

    def use(self) -> "Stream":
        """Make this stream current."""
        current.stream = self
        return self

    def __enter__(self) -> "Stream":
        self._before.append(current.stream)
        return self.use()

    def __exit__(self, *error: object) -> None:
        current.stream = self._before.pop()


Stream.null = Stream(null=True)


class Event:
    """A point in the work of a stream."""

    def __init__(self, block: bool = False, disable_timing: bool = False, interprocess: bool = False) -> None:
        self.done = True
        self.time: float | None = None
        self._timed = not disable_timing

    def record(self, stream: Stream | None = None) -> None:
        """Remember the time."""
        self.time = time.perf_counter() if self._timed else None

    def synchronize(self) -> None:
        """Wait for the event, which is counted."""
        traffic.synchronise("Event.synchronize")


def get_elapsed_time(start_event: Event, end_event: Event) -> float:
    """Milliseconds between two recorded events."""
    if start_event.time is None or end_event.time is None:
        raise CUDARuntimeError("cudaErrorInvalidResourceHandle: invalid resource handle")
    return 1000 * (end_event.time - start_event.time)


def get_current_stream(device_id: int = -1) -> Stream:
    """The stream that work goes to now."""
    return current.stream or Stream.null


def is_available() -> bool:
    """Whether the pretended machine has a device."""
    return machine.devices > 0


def memGetInfo() -> tuple[int, int]:  # noqa: N802  # CUDA's name
    """Free and total bytes of the device."""
    return DEVICE_BYTES - machine.used, DEVICE_BYTES


class MemoryPool:
    """A pool that arrays come from: it knows the bytes in use and keeps no free ones."""

    def __init__(self, allocator: Any = None) -> None:
        self._used = [0]

    def malloc(self, size: int) -> "MemoryPointer":
        """A block of so many bytes."""
        inside = traffic.capture()
        if inside is not None:
            inside.pools.append(weakref.ref(self))
        return MemoryPointer(PooledMemory(self, self._used, size), 0)

    def used_bytes(self) -> int:
        """Bytes that live arrays hold."""
        return self._used[0]

    def total_bytes(self) -> int:
        """The same: nothing is kept for later."""
        return self._used[0]

    def free_all_blocks(self, stream: Stream | None = None) -> None:
        """Nothing: nothing is kept for later."""


class PooledMemory:
    """A block of a pool, which it does not keep; CuPy gives its memory back when the pool goes."""

    _addresses = itertools.count(4096, 4096)

    def __init__(self, pool: MemoryPool, used: list[int], size: int) -> None:
        self._pool = weakref.ref(pool)
        self.ptr, self.size, self.device_id = next(self._addresses), size, current.device
        self._used = used
        used[0] += size
        machine.used += size

    @property
    def alive(self) -> bool:
        """Whether its pool is still there."""
        return self._pool() is not None

    def __del__(self, finalizing: Callable[[], bool] = sys.is_finalizing) -> None:
        if not finalizing():
            self._used[0] -= self.size
            machine.used -= self.size


class UnownedMemory:
    """Memory that belongs to `owner`, which it keeps."""

    def __init__(self, ptr: int, size: int, owner: object, device_id: int = -1) -> None:
        if device_id < 0 and traffic.capturing():
            raise RuntimeError("UnownedMemory asks the driver for the device of the pointer: give device_id")
        self.ptr, self.size, self.device_id = ptr, size, device_id
        self._owner = owner

    @property
    def alive(self) -> bool:
        """Whether all that it keeps is."""
        owners = self._owner if isinstance(self._owner, tuple) else (self._owner,)
        return all(getattr(o, "alive", True) for o in owners)


class MemoryPointer:
    """A place in a block; who holds it holds the block."""

    def __init__(self, mem: Any, offset: int) -> None:
        self.mem, self.ptr, self.device_id = mem, mem.ptr + offset, mem.device_id

    @property
    def alive(self) -> bool:
        """Whether the memory is still there."""
        return bool(self.mem.alive)


default_pool = MemoryPool()


def shared_malloc(size: int) -> MemoryPointer:
    """Allocate from the pool that all code shares, which a capture must not."""
    inside = traffic.capture()
    if inside is not None:
        inside.shared_bytes += size
    return default_pool.malloc(size)


def alloc_pinned_memory(size: int) -> bytearray:
    """Host memory that a device copies from while the host goes on; that is not known of it here."""
    return bytearray(b"\xff" * size)


def get_allocator() -> Callable[[int], MemoryPointer]:
    """What memory of new arrays comes from in this thread."""
    return current.allocator or shared_malloc


@contextmanager
def using_allocator(allocator: Callable[[int], MemoryPointer] | None = None) -> Iterator[None]:
    """Inside, in this thread, memory of new arrays comes from `allocator`."""
    before, current.allocator = current.allocator, allocator
    try:
        yield
    finally:
        current.allocator = before


runtime = SimpleNamespace(
    CUDARuntimeError=CUDARuntimeError,
    driverGetVersion=lambda: 13000,
    deviceSynchronize=lambda: traffic.synchronise("deviceSynchronize"),
    getDevice=lambda: current.device,
    getDeviceCount=lambda: machine.devices,
    getDeviceProperties=lambda device: {"name": b"a stand-in over NumPy", "totalGlobalMem": DEVICE_BYTES},
    memGetInfo=memGetInfo,
    memcpyAsync=lambda dst, src, size, kind, stream: None,
    runtimeGetVersion=lambda: 13000,
    setDevice=lambda device: Device(device).use(),
    streamSynchronize=lambda stream: None,
    streamCaptureModeGlobal=0,
    streamCaptureModeRelaxed=2,
    streamCaptureModeThreadLocal=1,
)
