"""`Device`: where arrays live, by name; moves batches there, makes it current with a stream, counts memory."""

import re
import threading
from typing import Any

import attrs
import numpy as np

from minitorch.cuda.array_module import as_numpy, has_gpu, is_array, require_cupy, transfers, xp_of
from minitorch.errors import ConfigError, DeviceError, MissingExtraError


@attrs.frozen
class Memory:
    """Bytes of one GPU.

    Attributes:
        used: what arrays of CuPy take.
        pooled: what CuPy's memory pool has taken from the device, its free blocks included.
        free: what nobody has taken.
        total: what there is.
    """

    used: int
    pooled: int
    free: int
    total: int

    def __str__(self) -> str:
        used, pooled, free, total = (f"{n / 2**20:.1f} MiB" for n in (self.used, self.pooled, self.free, self.total))
        return f"{used} in arrays, {pooled} in the pool, {free} of {total} free"


@attrs.frozen(init=False)
class Device:
    """The host or one GPU: `Device("cpu")`, `Device("cuda")` (the first), `Device("cuda:1")`, `Device("auto")`.

    "auto" is the first GPU if one works, else the host. `with device:` makes a GPU the current one of the thread, and
    `compute_stream()` its current stream; for the host it does nothing. `str(device)` is the name in full: "cpu",
    "cuda:0".

    Attributes:
        kind: "cpu" or "cuda".
        index: the number of the GPU; 0 for the host.

    Raises:
        ConfigError: the name is none of these.
        DeviceError: a GPU was asked for by name and it is not there, or CuPy is missing.
    """

    kind: str
    index: int

    def __init__(self, name: "str | Device") -> None:
        match = re.fullmatch(r"(auto|cpu|cuda)|cuda:(\d+)", str(name))
        if match is None:
            raise ConfigError(f"Device: got {name!r}; a device is named 'cpu', 'cuda', 'cuda:N' or 'auto'")
        kind, index = match[1] or "cuda", int(match[2] or 0)
        if kind == "auto":
            kind = "cuda" if has_gpu() else "cpu"
        elif kind == "cuda":
            _check_there(str(name), index)
        self.__attrs_init__(kind, index)

    @property
    def xp(self) -> Any:
        """The array module of this device: `numpy` or `cupy`."""
        return np if self.kind == "cpu" else require_cupy()

    def put(self, x: Any) -> Any:
        """`x` with every array in it on this device; an array that is there already is not copied.

        Args:
            x: an array, or tuples, lists and dicts of them, nested at will. All else stays as it is.
        """
        if isinstance(x, dict):
            return {key: self.put(value) for key, value in x.items()}
        if isinstance(x, list):
            return [self.put(value) for value in x]
        if isinstance(x, tuple):
            values = [self.put(value) for value in x]
            return type(x)(*values) if hasattr(x, "_fields") else tuple(values)
        return self._move(x) if is_array(x) else x

    def _move(self, a: Any) -> Any:
        if self.kind == "cpu":
            return as_numpy(a)
        if xp_of(a) is not np and a.device.id == self.index:
            return a
        transfers.bytes += a.nbytes
        with self:
            return self.xp.array(a)  # `asarray` would leave an array of another GPU where it is

    def synchronize(self) -> None:
        """Wait until the device has done all work given to it so far; the host never has any left."""
        if self.kind == "cuda":
            self.xp.cuda.Device(self.index).synchronize()

    def memory(self) -> Memory:
        """How much of the device's memory is in use now; nothing waits for the device.

        Raises:
            DeviceError: it is the host, whose memory is not ours to count.
        """
        if self.kind == "cpu":
            raise DeviceError("Device('cpu').memory: only a GPU's is known here; the callback DeviceStats counts both")
        with self:
            pool, (free, total) = self.xp.get_default_memory_pool(), self.xp.cuda.runtime.memGetInfo()
            return Memory(pool.used_bytes(), pool.total_bytes(), free, total)

    def use(self) -> None:
        """Make a GPU and its `compute_stream()` the current ones of this thread from now on; of the host, nothing."""
        if self.kind == "cuda":
            self.xp.cuda.Device(self.index).use()
            stream = compute_stream()
            _wait(stream, self.xp.cuda.get_current_stream())
            stream.use()

    def __enter__(self) -> "Device":
        if self.kind == "cuda":
            self.xp.cuda.Device(self.index).__enter__()  # CuPy keeps the one before, for each thread
            stream = compute_stream()
            _wait(stream, self.xp.cuda.get_current_stream())
            stream.__enter__()
        return self

    def __exit__(self, *error: object) -> None:
        if self.kind == "cuda":
            stream = compute_stream()
            stream.__exit__(*error)
            _wait(self.xp.cuda.get_current_stream(), stream)
            self.xp.cuda.Device(self.index).__exit__(*error)

    def __str__(self) -> str:
        return "cpu" if self.kind == "cpu" else f"cuda:{self.index}"


_local = threading.local()


def compute_stream() -> Any:
    """The stream that this thread computes on, on the current device: one for each of both, and not blocking.

    CUDA's default stream waits for all others, and cannot be captured.

    Raises:
        MissingExtraError: CuPy is not installed.
        DeviceError: there is no device.
    """
    cupy = require_cupy()
    streams = _local.__dict__.setdefault("streams", {})  # CuPy itself keeps no stream alive
    key = (id(cupy), cupy.cuda.Device().id)
    if key not in streams:
        streams[key] = cupy.cuda.Stream(non_blocking=True)
    return streams[key]


def _wait(stream: Any, other: Any) -> None:
    """Have what is given to `stream` from now on wait, on the device, for what `other` has got."""
    if stream.ptr != other.ptr:
        stream.wait_event(other.record())


def _check_there(name: str, index: int) -> None:
    """Raise DeviceError unless GPU number `index`, asked for as `name`, is there."""
    try:
        count = require_cupy().cuda.runtime.getDeviceCount()
    except (DeviceError, MissingExtraError) as error:
        raise DeviceError(f"Device: {name!r} was asked for, but {error}") from error
    if index >= count:
        raise DeviceError(f"Device: {name!r} was asked for, but there are {count}, counted from cuda:0")
