"""`Device`: where arrays live, by name; moves batches there and makes it current."""

import re
from typing import Any

import attrs
import numpy as np

from minitorch.cuda.array_module import as_numpy, has_gpu, is_array, require_cupy, xp_of
from minitorch.errors import ConfigError, DeviceError, MissingExtraError


@attrs.frozen(init=False)
class Device:
    """The host or one GPU: `Device("cpu")`, `Device("cuda")` (the first), `Device("cuda:1")`, `Device("auto")`.

    "auto" is the first GPU if one works, else the host. `with device:` makes a GPU the current one of the thread;
    for the host it does nothing. `str(device)` is the name in full: "cpu", "cuda:0".

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
        with self:
            return self.xp.array(a)  # `asarray` would leave an array of another GPU where it is

    def synchronize(self) -> None:
        """Wait until the device has done all work given to it so far; the host never has any left."""
        if self.kind == "cuda":
            self.xp.cuda.Device(self.index).synchronize()

    def __enter__(self) -> "Device":
        if self.kind == "cuda":
            self.xp.cuda.Device(self.index).__enter__()  # CuPy keeps the one before, for each thread
        return self

    def __exit__(self, *error: object) -> None:
        if self.kind == "cuda":
            self.xp.cuda.Device(self.index).__exit__(*error)

    def __str__(self) -> str:
        return "cpu" if self.kind == "cpu" else f"cuda:{self.index}"


def _check_there(name: str, index: int) -> None:
    """Raise DeviceError unless GPU number `index`, asked for as `name`, is there."""
    try:
        count = require_cupy().cuda.runtime.getDeviceCount()
    except (DeviceError, MissingExtraError) as error:
        raise DeviceError(f"Device: {name!r} was asked for, but {error}") from error
    if index >= count:
        raise DeviceError(f"Device: {name!r} was asked for, but there are {count}, counted from cuda:0")
