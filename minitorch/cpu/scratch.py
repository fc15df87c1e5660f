"""`scratch`: memory that a thread keeps from one kernel call to the next, since fresh pages cost more than the work."""

import math
import threading
from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]


class _Kept(threading.local):
    """The blocks of one thread, by name."""

    def __init__(self) -> None:
        self.blocks: dict[str, Array] = {}


_kept = _Kept()


def scratch(name: str, shape: tuple[int, ...], dtype: Any) -> Array:
    """An array for this thread to write to, its content undefined: the next call with this name gives it out again."""
    size = math.prod(shape) * dtype.itemsize
    block = _kept.blocks.get(name)
    if block is None or block.size < size:
        block = _kept.blocks[name] = np.empty(size, np.uint8)
    return np.ndarray(shape, dtype, block)
