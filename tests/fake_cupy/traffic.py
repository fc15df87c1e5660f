"""What crosses between host and device, and what makes the host wait for the device: counted, or refused on request."""

import threading
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import attrs


class TransferError(AssertionError):
    """The code under test moved data or waited for the device where a test allows neither."""


@attrs.define
class Traffic:
    """How often, and how many bytes: copies in both directions, and waits of the host for the device."""

    to_device: int = 0
    to_device_bytes: int = 0
    to_host: int = 0
    to_host_bytes: int = 0
    synchronisations: int = 0
    synchronised_bytes: int = 0


class _Current(threading.local):
    """What CuPy keeps for each thread: stream, allocator and device; and whether a test refuses transfers here."""

    def __init__(self) -> None:
        self.stream: Any = None
        self.allocator: Any = None
        self.device = 0
        self.device_stack: list[int] = []
        self.refuse = False


current = _Current()
counts = Traffic()
_counters = [counts]


def reset_counts() -> None:
    """Set all of `counts` to 0."""
    counts.__init__()


@contextmanager
def counting() -> Iterator[Traffic]:
    """Count what happens inside the block, apart from `counts`."""
    own = Traffic()
    _counters.append(own)
    try:
        yield own
    finally:
        _counters[:] = [c for c in _counters if c is not own]


@contextmanager
def no_transfers() -> Iterator[None]:
    """Raise TransferError at the line that moves data between host and device, or waits, in this thread."""
    before, current.refuse = current.refuse, True
    try:
        yield
    finally:
        current.refuse = before


def to_device(what: str, nbytes: int) -> None:
    """Note a copy from the host to the device, made by `what`."""
    _check(f"{what} copies {nbytes} bytes to the device", "H2D transfers are disallowed")
    _runtime().memcpyAsync(0, 0, nbytes, 0, 0)
    for c in _counters:
        c.to_device += 1
        c.to_device_bytes += nbytes


def to_host(what: str, nbytes: int, *, blocking: bool = True) -> None:
    """Note a copy from the device to the host, made by `what`, which waits for it if `blocking`."""
    _check(f"{what} copies {nbytes} bytes to the host", "D2H transfers are disallowed")
    _runtime().memcpyAsync(0, 0, nbytes, 0, 0)
    for c in _counters:
        c.to_host += 1
        c.to_host_bytes += nbytes
    if blocking:
        synchronise(what, nbytes)


def synchronise(what: str, nbytes: int = 0) -> None:
    """Note that `what` makes the host wait for the device, which a capture does not survive."""
    inside = capture()
    if inside is not None:
        inside.valid = False
        raise _runtime().CUDARuntimeError(
            f"cudaErrorStreamCaptureUnsupported: operation not permitted when stream is capturing ({what})"
        )
    _check(f"{what} waits for the device")
    _runtime().streamSynchronize(0)
    for c in _counters:
        c.synchronisations += 1
        c.synchronised_bytes += nbytes


def _runtime() -> Any:
    """CUDA's functions: whoever replaces them, as `minitorch.cuda.no_sync` does, sees all that happens."""
    from fake_cupy.cuda import runtime

    return runtime


def capture() -> Any:
    """The capture that work given to the device now becomes part of, or None."""
    return None if current.stream is None else current.stream.capture


def capturing() -> bool:
    """Whether work given to the device now becomes part of a graph."""
    return capture() is not None


live: dict[int, Any] = {}  # by id, of all arrays that own memory a weak reference and the addresses where that is


def adopted(array: Any) -> None:
    """Note an array that owns memory; under a capture its memory belongs to the graph."""
    start = array._np.__array_interface__["data"][0]
    live[id(array)] = weakref.ref(array), start, start + array._np.nbytes
    inside = capture()
    if inside is not None:
        inside.made(array)


def dropped(array: Any) -> None:
    """Forget an array."""
    live.pop(id(array), None)


def owners() -> list[Any]:
    """All arrays that own memory now."""
    return [a for a in (reference() for reference, _, _ in list(live.values())) if a is not None]


def owner_of(address: int, size: int) -> Any:
    """The array that owns all `size` bytes at `address`, or None."""
    for reference, start, end in list(live.values()):
        if start <= address and address + size <= end and (owner := reference()) is not None:
            return owner
    return None


def product(name: str, dtypes: list[Any]) -> None:
    """Refuse a matrix product of CuPy's: during a capture in CuPy's words, and of floats anywhere."""
    if capturing():
        raise NotImplementedError("calling cuBLAS API during stream capture is currently unsupported")
    if any(dtype.kind in "fc" for dtype in dtypes):
        raise TypeError(
            f"cupy.{name} multiplies matrices by CuPy's cuBLAS, which cannot be captured: use minitorch.cuda.gemm"
        )


def _check(what: str, refused: str = "") -> None:
    if capturing():
        raise RuntimeError(f"{what}: the current stream is capturing, so {refused}")
    if current.refuse:
        raise TransferError(f"{what}, inside no_transfers()")
