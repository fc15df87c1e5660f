"""The BLAS library under NumPy by its own functions: how many threads it uses, and what takes NumPy more passes.

Nothing needs this to work: where the library has no such functions (Apple's Accelerate), its threads are left to it,
and NumPy computes.
"""

import ctypes
import os
import sys
import threading
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from minitorch.cpu.scratch import scratch

Array = np.ndarray[Any, Any]

# The names of the two functions in OpenBLAS as NumPy's wheels carry it, as distributions build it, and in MKL and BLIS.
_NAMES = (
    ("scipy_openblas_get_num_threads64_", "scipy_openblas_set_num_threads64_"),
    ("scipy_openblas_get_num_threads", "scipy_openblas_set_num_threads"),
    ("openblas_get_num_threads64_", "openblas_set_num_threads64_"),
    ("openblas_get_num_threads", "openblas_set_num_threads"),
    ("MKL_Get_Max_Threads", "MKL_Set_Num_Threads"),
    ("bli_thread_get_num_threads", "bli_thread_set_num_threads"),
)

# What stands before and after the names of the standard's functions, and what integers they take.
_FORMS = (
    ("scipy_cblas_", "64_", ctypes.c_int64),
    ("scipy_cblas_", "", ctypes.c_int32),
    ("cblas_", "64_", ctypes.c_int64),
    ("cblas_", "", ctypes.c_int32),
)
_NUMBERS = {np.dtype(np.float32): ("s", ctypes.c_float), np.dtype(np.float64): ("d", ctypes.c_double)}

Getter = Callable[[], int]
Setter = Callable[[int], object]


@cache
def _libraries() -> list[ctypes.CDLL]:
    """Where the functions of the library that NumPy is linked to can be found."""
    extension = Path(np._core._multiarray_umath.__file__)  # type: ignore[attr-defined]
    # A symbol is looked up in the libraries that one depends on too, except on Windows, where its file is needed.
    beside = [] if sys.platform != "win32" else sorted(extension.parents[2].glob("numpy.libs/*openblas*.dll"))
    found = []
    for path in (extension, *beside):
        try:
            found.append(ctypes.CDLL(str(path)))
        except OSError:
            continue
    return found


@cache
def _controls() -> tuple[Getter, Setter] | None:
    """The two functions that tell and set the number of threads; None where there are none."""
    for library in _libraries():
        for getter, setter in _NAMES:
            if hasattr(library, getter) and hasattr(library, setter):
                return getattr(library, getter), getattr(library, setter)
    return None


@cache
def _function(name: str, dtype: np.dtype[Any], signature: str) -> Callable[..., None] | None:
    """The function `name` for this dtype, such as axpby; None where there is none.

    `signature` has a letter for each argument: i for an integer of the library, e for one of C, x for a number of the
    dtype, a for an address.
    """
    letter, number = _NUMBERS.get(dtype, ("", None))
    for library in _libraries() if letter else ():
        for before, after, integer in _FORMS:
            function = getattr(library, f"{before}{letter}{name}{after}", None)
            if function is not None:
                kinds = {"i": integer, "e": ctypes.c_int, "x": number, "a": ctypes.c_void_p}
                function.argtypes = [kinds[kind] for kind in signature]
                function.restype = None
                return function  # type: ignore[no-any-return]
    return None


def _address(a: Any) -> int:
    """Of the first element of a, which is contiguous, writable and not empty; `a.ctypes.data` takes longer."""
    return ctypes.addressof(ctypes.c_char.from_buffer(a))


def axpby(a: float, x: Array, b: float, y: Array) -> None:
    """`y = a * x + b * y` in place, for x and y of one shape and dtype.

    Where both are in C order and writable it is one pass over memory, and rounded once less than in NumPy. A factor of
    0 is left to NumPy, since BLAS does not look at what it multiplies, which may be nan.
    """
    function = _function("axpby", y.dtype, "ixaixai") if a and b else None
    if function is not None and x.dtype == y.dtype and x.flags.carray and y.flags.carray and y.size:
        function(y.size, a, _address(x), 1, b, _address(y), 1)
        return
    y *= b
    y += np.multiply(x, a, out=scratch("axpby", x.shape, x.dtype))


def get_num_threads() -> int | None:
    """How many threads the library uses; None where it cannot be asked."""
    controls = _controls()
    return None if controls is None else controls[0]()


def set_num_threads(n: int) -> None:
    """Make the library use `n` threads, where it can be told."""
    controls = _controls()
    if controls is not None:
        controls[1](n)


class _OneThread:
    """Counts who is inside, in all threads: the first sets one thread of BLAS, the last puts the number back."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.inside = 0
        self.outside: int | None = None
        if hasattr(os, "register_at_fork"):  # a child must not get the lock from a thread that it has not
            lock = self.lock
            os.register_at_fork(before=lock.acquire, after_in_parent=lock.release, after_in_child=self._after_fork)

    def _after_fork(self) -> None:
        """In the child: the threads that were inside are none of its own."""
        if self.inside and self.outside not in (None, 1):
            set_num_threads(self.outside)
        self.inside = 0
        self.lock.release()

    def __enter__(self) -> None:
        with self.lock:
            if not self.inside:
                self.outside = get_num_threads()
                if self.outside not in (None, 1):
                    set_num_threads(1)
            self.inside += 1

    def __exit__(self, *error: object) -> None:
        with self.lock:
            self.inside = max(0, self.inside - 1)  # 0 already where a fork came in between
            if not self.inside and self.outside not in (None, 1):
                set_num_threads(self.outside)


on_one_thread = _OneThread()
"""`with on_one_thread:` the library uses one thread; such blocks may be nested, and run in several threads."""
