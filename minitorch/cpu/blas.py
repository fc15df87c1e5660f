"""How many threads the BLAS library under NumPy uses: read and set through its own functions, where it has them.

Nothing needs this to work: with a library that does not obey (Apple's Accelerate), its threads are left to it.
"""

import ctypes
import sys
import threading
from collections.abc import Callable
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


class _OneThread:
    """Counts who is inside, in all threads: the first sets one thread of BLAS, the last puts the number back."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.inside = 0
        self.outside: int | None = None

    def __enter__(self) -> None:
        with self.lock:
            if not self.inside:
                self.outside = get_num_threads()
                if self.outside not in (None, 1):
                    set_num_threads(1)
            self.inside += 1

    def __exit__(self, *error: object) -> None:
        with self.lock:
            self.inside -= 1
            if not self.inside and self.outside not in (None, 1):
                set_num_threads(self.outside)


on_one_thread = _OneThread()
"""`with on_one_thread:` the library uses one thread; such blocks may be nested, and run in several threads."""
