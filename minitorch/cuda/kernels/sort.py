"""Sorting on the device, which a capture can hold: the sort of CuPy makes the host wait.

Source: Batcher, "Sorting Networks and Their Applications", 1968.
"""

from typing import Any

import numpy as np

from minitorch.cuda.array_module import xp_of
from minitorch.cuda.kernels.kernel import blocks_for, kernel

Array = Any

TILE = 2048  # as in the source
PLACE = 0xFFFFFFFF  # the bits of a key that say where it came from


def _sorted_runs(keys: Array, run: int) -> Array:
    """The keys sorted in runs, upwards and downwards in turn."""
    runs = np.sort(keys.reshape(-1, run), axis=1)
    runs[1::2] = runs[1::2, ::-1]
    return runs.reshape(-1)


@kernel("sort")
def sort_tiles(ids: Array, keys: Array, count: int) -> None:
    """`keys` (size,): ids[i] << 32 | i for i < count, the largest number after them, sorted in tiles, up and down."""
    keys[...] = ~np.uint64(0)
    keys[:count] = ids.astype(np.uint64) << np.uint64(32) | np.arange(count, dtype=np.uint64)
    keys[...] = _sorted_runs(keys, TILE)


@kernel("sort")
def sort_step(keys: Array, size: int, k: int, j: int) -> None:
    """One step of the network for runs of k: pairs at distance j are put in order, upwards and downwards in turn."""
    pairs = keys.reshape(-1, 2, j)
    up = (np.arange(0, size, 2 * j) & k == 0)[:, None]
    low, high = pairs.min(axis=1), pairs.max(axis=1)
    pairs[:, 0], pairs[:, 1] = np.where(up, low, high), np.where(up, high, low)


@kernel("sort")
def sort_within_tiles(keys: Array, k: int) -> None:
    """All steps at distances below TILE for runs of k."""
    j = TILE // 2
    while j:
        sort_step.reference(keys, keys.size, k, j)
        j //= 2


def sorted_places(ids: Array) -> Array:
    """Keys `id << 32 | place` in ascending order, for integer ids from 0 to 2**31 - 1 (count,), int64; uint64.

    After the `count` keys come others, which are larger than all of them.
    """
    count = ids.size
    size = TILE
    while size < count:
        size *= 2
    keys = xp_of(ids).empty(size, np.uint64)
    sort_tiles((size // TILE,), ids, keys, np.int32(count))
    k = 2 * TILE
    while k <= size:
        j = k // 2
        while j >= TILE:
            sort_step(blocks_for(size // 2), keys, np.int32(size), np.int32(k), np.int32(j))
            j //= 2
        sort_within_tiles((size // TILE,), keys, np.int32(k))
        k *= 2
    return keys
