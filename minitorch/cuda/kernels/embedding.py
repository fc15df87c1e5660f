"""The gradient of an embedding: rows added up by number, always in the same order, without atomics."""

import math
from typing import Any

import numpy as np

from minitorch.cuda.array_module import xp_of
from minitorch.cuda.kernels.kernel import BLOCK, MAX_BLOCKS, kernel
from minitorch.cuda.kernels.sort import PLACE, sorted_places

Array = Any


@kernel("embedding")
def segment_sums(g: Array, keys: Array, out: Array, count: int, rows: int, width: int) -> None:
    """out[i] = the sum of the rows g[j] over all j with number i, given keys (number << 32 | j) in ascending order."""
    g = g.reshape(count, width)
    ids, places = (keys[:count] >> np.uint64(32)).astype(np.int64), (keys[:count] & np.uint64(PLACE)).astype(np.int64)
    out[...] = 0
    for i in np.unique(ids[ids < rows]):
        out[i] = g[places[ids == i]].sum(axis=0)


def add_rows(g: Array, ids: Array, count: int) -> Array:
    """`count` rows, of which number i is the sum of the rows of `g` (*ids.shape, ...) where the integer `ids` is i."""
    xp = xp_of(g)
    inner = g.shape[ids.ndim :]
    width = math.prod(inner)
    out = xp.empty((count, width), np.float32)
    keys = sorted_places(ids.reshape(-1).astype(np.int64, copy=False))
    grid = (max(1, min(-(-(ids.size + 1) // (BLOCK // 32)), MAX_BLOCKS)), -(-max(width, 1) // 32))
    segment_sums(grid, g, keys, out, np.int32(ids.size), np.int32(count), np.int32(width))
    return out.reshape((count, *inner))
