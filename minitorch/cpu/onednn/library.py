"""The library oneDNN, through `ctypes` on `libdnnl.so.3`, where it is installed: finding and loading it.

The wheel `onednn-cpu-gomp` (the extra `fast`) brings it; one of the system is taken too where it fits. It is loaded
when a kernel first asks for it, and computes on the thread that calls it, as BLAS does in the tasks of `parallel`.

Source: the headers of oneDNN 3.2, `dnnl.h` and `dnnl_types.h`.
"""

import ctypes
import functools
import os
import sys
import threading
from collections.abc import Callable
from ctypes import POINTER, byref, c_char, c_char_p, c_float, c_int, c_int64, c_size_t, c_uint, c_void_p
from pathlib import Path
from typing import Any

import attrs
import numpy as np

from minitorch.config import Config
from minitorch.errors import DeviceError

NAME = "libdnnl.so.3"
SEQUENTIAL, OPENMP = 1, 2  # of oneDNN's kinds of CPU runtime
RUNTIMES = {SEQUENTIAL: "sequential", OPENMP: "OpenMP", 4: "TBB", 8: "a thread pool", 512: "SYCL"}
STATUS = {
    1: "out of memory", 2: "invalid arguments", 3: "not implemented", 4: "no further implementation",
    5: "failed while it computed", 6: "not required",
}  # fmt: skip
UNIMPLEMENTED = 3  # of them
CPU, IN_ORDER = 1, 1  # dnnl_cpu, dnnl_stream_in_order


class Version(ctypes.Structure):
    """`dnnl_version_t`."""

    _fields_ = (
        ("major", c_int),
        ("minor", c_int),
        ("patch", c_int),
        ("hash", c_char_p),
        ("cpu_runtime", c_uint),
        ("gpu_runtime", c_uint),
    )


@attrs.frozen
class Found:
    """What the search for the library came to.

    Attributes:
        library: with its functions declared, or None.
        how: its version, threads and place; where it is not used, why.
        version: of the library, "3.2.0"; None where none is used.
    """

    library: Any
    how: str
    version: str | None = None


def takes(*arrays: Any) -> bool:
    """Whether oneDNN computes with these: float32 in C order on the host, none empty; it is there and turned on."""
    for a in arrays:
        if not isinstance(a, np.ndarray) or a.dtype != np.float32 or not a.size or not a.flags.c_contiguous:
            return False
    return Config.use_onednn and find().library is not None


making = threading.RLock()
"""Held while anything of the library is made: once, whichever threads ask first. oneDNN has a lock of that kind itself,
so a fork waits for it: a child would wait for ever for a thread that it has not."""

if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=making.acquire, after_in_parent=making.release, after_in_child=making.release)


@functools.cache
def find() -> Found:
    """What the search for the library came to."""
    with making:
        return _search()


@functools.cache
def _search() -> Found:
    """Look for the library: in the folders of wheels, then where the system has its own."""
    reasons = []
    for place in (*_of_wheel(), NAME):
        try:
            library = declared(ctypes.CDLL(place))
        except (OSError, AttributeError) as error:  # it is not there, needs what is not there, or is another version
            reasons.append(str(error))
            continue
        version = library.dnnl_version().contents
        threads = RUNTIMES.get(version.cpu_runtime, "unknown threads")
        number = f"{version.major}.{version.minor}.{version.patch}"
        how = f"{number}, {threads}, {place}"
        if version.major == 3 and version.cpu_runtime in (SEQUENTIAL, OPENMP):
            return Found(library, how, number)
        reasons.append(f"{how}: only version 3 with OpenMP or without threads of its own is used")
    return Found(None, "; ".join(reasons))


def _of_wheel() -> list[str]:
    """Where the wheel puts the library, in this environment or in the user's."""
    import sysconfig  # here, since most programs never ask for it

    schemes = sysconfig.get_default_scheme(), sysconfig.get_preferred_scheme("user")
    paths = [Path(sysconfig.get_path("data", scheme)) / "lib" / NAME for scheme in schemes]
    return [str(path) for path in paths if path.exists()]


def declared(library: Any) -> Any:
    """`library` with the types of its functions; those that describe primitives are called with `ctypes` values."""
    handle, pointer = c_void_p, POINTER(c_void_p)
    library.dnnl_version.argtypes, library.dnnl_version.restype = (), POINTER(Version)
    library.dnnl_engine_create.argtypes = (pointer, c_int, c_size_t)
    library.dnnl_stream_create.argtypes = (pointer, handle, c_uint)
    library.dnnl_memory_create.argtypes = (pointer, handle, handle, handle)
    library.dnnl_memory_set_data_handle.argtypes = (handle, handle)
    library.dnnl_memory_desc_create_with_tag.argtypes = (pointer, c_int, handle, c_int, c_int)
    library.dnnl_memory_desc_create_with_strides.argtypes = (pointer, c_int, handle, c_int, handle)
    library.dnnl_memory_desc_clone.argtypes = (pointer, handle)
    library.dnnl_memory_desc_equal.argtypes = (handle, handle)
    library.dnnl_memory_desc_get_size.argtypes, library.dnnl_memory_desc_get_size.restype = (handle,), c_size_t
    library.dnnl_primitive_attr_create.argtypes = (pointer,)
    library.dnnl_primitive_attr_set_scratchpad_mode.argtypes = (handle, c_int)
    library.dnnl_primitive_desc_query.argtypes = (handle, c_int, c_int, handle)
    library.dnnl_primitive_desc_query_md.argtypes = (handle, c_int, c_int)
    library.dnnl_primitive_desc_query_md.restype = handle
    library.dnnl_primitive_create.argtypes = (pointer, handle)
    library.dnnl_primitive_execute.argtypes = (handle, handle, c_int, handle)
    dims, letters = (c_int64,) * 3, (c_char,) * 2
    library.dnnl_sgemm.argtypes = (
        *letters, *dims, c_float, handle, c_int64, handle, c_int64, c_float, handle, c_int64
    )  # fmt: skip
    library.dnnl_primitive_attr_set_post_ops.argtypes = (handle, handle)
    library.dnnl_post_ops_create.argtypes = (pointer,)
    for name in ("stream", "memory", "memory_desc", "primitive_desc", "primitive", "primitive_attr", "post_ops"):
        getattr(library, f"dnnl_{name}_destroy").argtypes = (handle,)
    return library


def check(status: int, what: str) -> None:
    """Raise DeviceError unless oneDNN answered `status` 0 to `what`."""
    if status:
        raise DeviceError(f"oneDNN: {what}: {STATUS.get(status, f'status {status}')}; see dnnl_status_t")


def created(function: str, *arguments: Any) -> Any:
    """What a function of the library makes, which writes its address to its first argument."""
    pointer = c_void_p()
    check(getattr(find().library, function)(byref(pointer), *arguments), function)
    return pointer.value


class Object:
    """Something that oneDNN made, destroyed with this object."""

    def __init__(self, kind: str, pointer: Any) -> None:
        self._destroy = getattr(find().library, f"dnnl_{kind}_destroy")
        self.pointer = pointer

    def __del__(self, finalizing: Callable[[], bool] = sys.is_finalizing) -> None:
        if not finalizing() and hasattr(self, "pointer"):
            self._destroy(self.pointer)


@functools.cache
def engine() -> Any:
    """The engine that computes on the host: one, since two would not take each other's memory."""
    with making:
        return _engine()


@functools.cache
def _engine() -> Any:
    return created("dnnl_engine_create", CPU, 0)


class _Here(threading.local):
    """The stream of this thread."""

    stream: Object | None = None


_here = _Here()


def stream() -> Any:
    """The stream of this thread, destroyed with it."""
    if _here.stream is None:
        _here.stream = Object("stream", created("dnnl_stream_create", engine(), IN_ORDER))
    return _here.stream.pointer


class _Numbers(threading.local):
    """How many threads OpenMP had in this thread before each block that it is in."""

    def __init__(self) -> None:
        self.before: list[int] = []


class _OneThread:
    """OpenMP uses one thread for what this thread does inside; then the number is put back.

    The number belongs to the calling thread, so this touches neither other threads nor other libraries in them. A build
    without threads has no such number.
    """

    def __init__(self) -> None:
        self.here = _Numbers()

    def __enter__(self) -> None:
        library = find().library
        before = library.omp_get_max_threads() if hasattr(library, "omp_get_max_threads") else 1
        if before != 1:
            library.omp_set_num_threads(1)
        self.here.before.append(before)

    def __exit__(self, *error: object) -> None:
        before = self.here.before.pop()
        if before != 1:
            find().library.omp_set_num_threads(before)


on_one_thread = _OneThread()
