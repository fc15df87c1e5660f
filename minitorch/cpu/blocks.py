"""`in_blocks`: a function of whole arrays applied piece by piece, each small enough for the cache, by all threads."""

from collections.abc import Callable
from typing import Any

import numpy as np

from minitorch.cpu.threads import parallel

Array = Any  # a NumPy or CuPy array

BLOCK_BYTES = 1 << 19  # of all arrays together: with what is computed on the way, about a second-level cache


def in_blocks(f: Callable[..., None], *arrays: Array, per_thread: int = 1) -> None:
    """Call `f(*arrays)`, which computes each row of its outputs from the same rows of its inputs, in place.

    Arrays on the host are cut along their first axis, where all have the same length, and `f` is called with views of
    each block, at the same time from several threads, of which each gets `per_thread` blocks or more. On a device it is
    called once with the whole.
    """
    if not isinstance(arrays[0], np.ndarray):
        f(*arrays)
        return
    n = len(arrays[0])
    rows = max(1, BLOCK_BYTES * n // max(1, sum(a.nbytes for a in arrays)))
    parallel(lambda i: f(*[a[i * rows : (i + 1) * rows] for a in arrays]), -(-n // rows), per_thread=per_thread)
