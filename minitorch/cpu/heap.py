"""`keep_freed_memory`: let the allocator keep what is freed, so that the next step gets it back without page faults."""

import ctypes
import sys
from functools import cache

# Of glibc's malloc.h.
_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3
ARRAY = 1 << 26  # bytes: a larger array has pages of its own all the same
KEPT = 1 << 30  # bytes at most at the end of the heap


@cache
def keep_freed_memory() -> None:
    """Keep memory that is freed for later allocations, instead of giving it back to the system (Linux with glibc).

    A step of training allocates and frees the same large arrays again and again; by default each of them comes as fresh
    pages, which the system fills with zeros at their first touch. The most memory that is used is the same.
    """
    if sys.platform != "linux":
        return
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)  # other C libraries have none
    if mallopt is not None:
        mallopt(_M_MMAP_THRESHOLD, ARRAY)
        mallopt(_M_TRIM_THRESHOLD, KEPT)
