"""`no_sync`: a strict mode, in which it is an error to make the host wait for a device, or to move data between both.

While somebody is in the mode, the functions of CuPy that wait or move data are replaced by ones that ask first. What
CuPy does below Python is not seen; on the stand-in of the tests everything is.
"""

import functools
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import numpy as np

from minitorch.cuda.array_module import require_cupy
from minitorch.errors import SyncError

READS = (
    "get", "item", "tolist", "tobytes", "set", "__float__", "__int__", "__bool__", "__complex__", "__index__",
    "__str__", "__repr__", "__format__",
)  # fmt: skip
CONVERSIONS = ("asnumpy", "array", "asarray", "asanyarray", "ascontiguousarray")
SIZED_BY_VALUES = (  # the host waits for the size of what they return
    "argwhere", "bincount", "compress", "extract", "flatnonzero", "nonzero", "unique",
)  # fmt: skip
RUNTIME = ("deviceSynchronize", "streamSynchronize", "eventSynchronize", "memcpy", "memcpyAsync")


class _Mode(threading.local):
    strict = False


_mode = _Mode()
_lock = threading.Lock()
_inside = 0  # how many blocks of all threads are in the mode
_replaced = ExitStack()


@contextmanager
def no_sync() -> Iterator[None]:
    """Raise SyncError, in this thread, at the line that reads a device array, sends data to a device, or waits for one.

        with minitorch.cuda.no_sync():
            trainer.fit(train_loader, epochs=1)

    What the Trainer means to do passes: one read for all metrics of a log interval, checkpoints, sending batches.

    Raises:
        MissingExtraError: CuPy is not installed.
        DeviceError: there is no device.
    """
    global _inside
    cupy = require_cupy()
    with _lock:
        if not _inside:
            _watch(cupy)
        _inside += 1
    before, _mode.strict = _mode.strict, True
    try:
        yield
    finally:
        _mode.strict = before
        with _lock:
            _inside -= 1
            if not _inside:
                _replaced.close()


@contextmanager
def sync_allowed() -> Iterator[None]:
    """Inside `no_sync`, let what is meant pass: reads, transfers and waits in this block."""
    before, _mode.strict = _mode.strict, False
    try:
        yield
    finally:
        _mode.strict = before


def _watch(cupy: Any) -> None:
    """Replace what waits or moves data, until `_replaced` is closed."""
    for name in READS:
        _replace(cupy.ndarray, name, f"{name.strip('_')}() of a device array", lambda *args, **kwargs: True)
    _replace(cupy.ndarray, "__getitem__", "an index of booleans or from the host", _waits_for_index)
    _replace(cupy.ndarray, "__setitem__", "an index of booleans or from the host", _waits_for_index)
    for name in CONVERSIONS:
        moves = _is_on_device if name == "asnumpy" else _is_on_host
        _replace(cupy, name, f"cupy.{name}", functools.partial(moves, cupy))
    for name in SIZED_BY_VALUES:
        _replace(cupy, name, f"cupy.{name}", lambda *args, **kwargs: True)
    for cls in (cupy.cuda.Stream, cupy.cuda.Event, cupy.cuda.Device):
        _replace(cls, "synchronize", f"{cls.__name__}.synchronize", lambda *args, **kwargs: True)
    for name in RUNTIME:
        _replace(cupy.cuda.runtime, name, f"CUDA's {name}", lambda *args, **kwargs: True)


def _replace(owner: Any, name: str, what: str, refused: Callable[..., bool]) -> None:
    """Have `owner.name` raise in the mode where `refused` says so of its arguments."""
    own = vars(owner).get(name)
    function = getattr(owner, name, None)
    if function is None:
        return

    @functools.wraps(function)
    def asking(*args: Any, **kwargs: Any) -> Any:
        if _mode.strict and refused(*args, **kwargs):
            raise SyncError(
                f"no_sync: {what} waits for the device or moves data between it and the host, {_place(function)}; log "
                "the value instead of reading it, keep data on the device, or say that it is meant, by "
                "minitorch.cuda.sync_allowed()"
            )
        return function(*args, **kwargs)

    try:
        setattr(owner, name, asking)
    except TypeError:  # a class written in C, whose methods cannot be replaced
        return
    if own is None and isinstance(owner, type):
        _replaced.callback(delattr, owner, name)  # it was inherited
    else:
        _replaced.callback(setattr, owner, name, function if own is None else own)


def _place(function: Any) -> str:
    """Where the code of a user is that led here: the innermost line outside of minitorch and CuPy."""
    libraries = {__name__.partition(".")[0], str(getattr(function, "__module__", "")).partition(".")[0], "cupy"}
    frame = sys._getframe(2)
    while frame.f_back is not None and str(frame.f_globals.get("__name__")).partition(".")[0] in libraries:
        frame = frame.f_back
    return f"at {frame.f_code.co_filename}:{frame.f_lineno} in {frame.f_code.co_name}"


def _waits_for_index(array: Any, key: Any, value: Any = None) -> bool:
    keys = key if isinstance(key, tuple) else (key,)
    return any(isinstance(k, list | np.ndarray) or getattr(k, "dtype", np.dtype(int)).kind == "b" for k in keys)


def _is_on_host(cupy: Any, a: Any, *args: Any, **kwargs: Any) -> bool:
    while isinstance(a, list | tuple) and a:
        a = a[0]
    return not isinstance(a, cupy.ndarray)


def _is_on_device(cupy: Any, a: Any, *args: Any, **kwargs: Any) -> bool:
    return isinstance(a, cupy.ndarray)
