"""How many threads the BLAS library under NumPy uses: read and set through its own functions, where it has them.

Nothing needs this to work: with a library that does not obey (Apple's Accelerate), its threads are left to it.
"""

import ctypes
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path

import numpy as np

# The names of the two functions in OpenBLAS as NumPy's wheels carry it, as distributions build it, and in MKL and BLIS.
_NAMES = (
    ("scipy_openblas_get_num_threads64_", "scipy_openblas_set_num_threads64_"),
    ("scipy_openblas_get_num_threads", "scipy_openblas_set_num_threads"),
    ("openblas_get_num_threads64_", "openblas_set_num_threads64_"),
    ("openblas_get_num_threads", "openblas_set_num_threads"),
    ("MKL_Get_Max_Threads", "MKL_Set_Num_Threads"),
    ("bli_thread_get_num_threads", "bli_thread_set_num_threads"),
)

Getter = Callable[[], int]
Setter = Callable[[int], object]


@cache
def _controls() -> tuple[Getter, Setter] | None:
    """The two functions of the library that NumPy is linked to; None where there are none."""
    extension = Path(np._core._multiarray_umath.__file__)  # type: ignore[attr-defined]
    # A symbol is looked up in the libraries that one depends on too, except on Windows, where its file is needed.
    beside = [] if sys.platform != "win32" else sorted(extension.parents[2].glob("numpy.libs/*openblas*.dll"))
    for path in (extension, *beside):
        try:
            library = ctypes.CDLL(str(path))
        except OSError:
            continue
        for getter, setter in _NAMES:
            if hasattr(library, getter) and hasattr(library, setter):
                return getattr(library, getter), getattr(library, setter)
    return None


def get_num_threads() -> int | None:
    """How many threads the library uses; None where it cannot be asked."""
    controls = _controls()
    return None if controls is None else controls[0]()


def set_num_threads(n: int) -> None:
    """Make the library use `n` threads, where it can be told."""
    controls = _controls()
    if controls is not None:
        controls[1](n)


_lock = threading.Lock()
_inside = 0  # how many `with on_one_thread()` blocks are being run, in all threads
_outside = 1  # the number to put back after the last of them


@contextmanager
def on_one_thread() -> Iterator[None]:
    """Inside the `with` block the library uses one thread; blocks may be nested, and run in several threads."""
    controls = _controls()
    if controls is None:
        yield
        return
    global _inside, _outside
    get, set_ = controls
    with _lock:
        if not _inside:
            _outside = get()
            set_(1)
        _inside += 1
    try:
        yield
    finally:
        with _lock:
            _inside -= 1
            if not _inside:
                set_(_outside)
