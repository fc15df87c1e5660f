"""Which array module an array belongs to, and the way from the host to a device and back.

CuPy is looked up anew at each call: Python's own import cache is fast enough, and nothing here can be out of date.
"""

import sys
from types import ModuleType
from typing import Any

import numpy as np

from minitorch.errors import DeviceError, DTypeError, MissingExtraError

Array = Any  # a NumPy or CuPy array


class Transfers:
    """Counts what minitorch moves between host and devices, in all threads together; for reports, so it only grows.

    Attributes:
        reads: how often an array was fetched from a device, and the host waited for it.
        bytes: what was moved, in both directions.
    """

    __slots__ = ("bytes", "reads")

    def __init__(self) -> None:
        self.reads = self.bytes = 0


transfers = Transfers()


def xp_of(a: Any) -> Any:
    """The module, `numpy` or `cupy`, whose functions take the plain array `a`; `numpy` for a scalar."""
    if isinstance(a, np.ndarray):
        return np
    cupy = sys.modules.get("cupy")  # where nobody imported CuPy, nothing is a CuPy array
    return cupy if cupy is not None and isinstance(a, cupy.ndarray) else np


def get_array_module(x: Any) -> Any:
    """The module, `numpy` or `cupy`, whose functions take `x`: an array, a Variable or a scalar."""
    return xp_of(_array_in(x))


def is_array(x: Any) -> bool:
    """Whether `x` is a NumPy or a CuPy array (a Variable is not, nor is a scalar)."""
    return isinstance(x, np.ndarray) or xp_of(x) is not np


def as_numpy(x: Any) -> np.ndarray[Any, Any]:
    """`x` as a NumPy array: itself if it is one, a copy on the host of a CuPy array, 0-d of a scalar.

    Args:
        x: an array, a Variable, a number, or nested sequences of numbers.

    Raises:
        DTypeError: `x` is none of these.
    """
    x = _array_in(x)
    if isinstance(x, np.ndarray):
        return x
    xp = xp_of(x)
    if xp is not np:
        transfers.reads += 1
        transfers.bytes += x.nbytes
        return xp.asnumpy(x)  # type: ignore[no-any-return]
    try:
        y = np.asarray(x)
    except (TypeError, ValueError) as error:
        raise _no_numbers(x) from error
    if y.dtype == object:
        raise _no_numbers(x)
    return y


def as_cupy(x: Any) -> Array:
    """`x` as a CuPy array: itself if it is one, else a copy on the current device.

    Args:
        x: an array, a Variable, a number, or nested sequences of numbers.

    Raises:
        MissingExtraError: CuPy is not installed.
        DeviceError: CuPy is installed, but finds no working device.
        DTypeError: `x` is no array of numbers.
    """
    x = _array_in(x)
    if xp_of(x) is not np:
        return x
    cupy = require_cupy()
    host = as_numpy(x)
    if host.dtype.kind not in "biufc":
        raise DTypeError(f"as_cupy: a device holds numbers and booleans, not dtype {host.dtype}; leave it on the host")
    transfers.bytes += host.nbytes
    return cupy.asarray(host)


def has_gpu() -> bool:
    """Whether CuPy imports and finds a device that works."""
    try:
        require_cupy()
    except (ImportError, DeviceError):  # CuPy is missing, or something that it needs
        return False
    return True


def require_cupy() -> Any:
    """The module `cupy`, with a working device.

    Raises:
        MissingExtraError: CuPy is not installed.
        DeviceError: CuPy is installed, but does not import, or its CUDA does not start, or it finds no device.
    """
    try:
        cupy = _import_cupy()
    except ModuleNotFoundError as error:
        if error.name != "cupy":
            raise
        raise MissingExtraError(
            "CuPy is not installed: install minitorch[cuda13] or minitorch[cuda12], for the CUDA version that "
            "`nvidia-smi` shows"
        ) from error
    except ImportError as error:
        raise DeviceError(
            f"CuPy is installed but cannot be imported: {error}; if a library of CUDA is missing, CuPy was built for "
            "another version than is here: install minitorch[cuda13] or minitorch[cuda12], one of them only, or CuPy "
            "with libraries of its own, cupy-cuda13x[ctk]"
        ) from error
    try:
        works = cupy.is_available()
    except RuntimeError as error:  # what CUDA raises where the driver is missing or too old
        raise DeviceError(
            f"CuPy is installed but CUDA does not start: {error}; `nvidia-smi` shows the CUDA version up to which the "
            "driver works: update the driver, or install CuPy for that version, minitorch[cuda12] or minitorch[cuda13]"
        ) from error
    if not works:
        raise DeviceError(
            "CuPy is installed but finds no CUDA device: see whether `nvidia-smi` lists one, and whether "
            "CUDA_VISIBLE_DEVICES hides it"
        )
    return cupy


def _no_numbers(x: Any) -> DTypeError:
    return DTypeError(
        f"no array can be made of {type(x).__name__}: give an array, a Variable that has data, or numbers"
    )


def _import_cupy() -> ModuleType:
    import cupy  # here, and not above: importing minitorch must not need CuPy

    module: ModuleType = cupy
    return module


def _array_in(x: Any) -> Any:
    """The array in a Variable, known by its `data` since this floor lies below Variable; anything else as it is."""
    data = getattr(x, "data", None)  # of an array itself: a memoryview or a pointer
    return data if is_array(data) else x
