"""The second stage of sums over channels, always added in the same order."""

from typing import Any

import numpy as np

from minitorch.cuda.array_module import xp_of
from minitorch.cuda.kernels.kernel import blocks_for, kernel

Array = Any


@kernel("sums")
def add_partials(partial: Array, out: Array, sums: int, runs: int, channels: int) -> None:
    """Sum partial (sums, runs, channels) over its middle axis."""
    out[...] = partial.sum(axis=1)


def total_of(partial: Array) -> Array:
    """The sum (sums, channels) of partial (sums, runs, channels) over its middle axis."""
    sums, runs, channels = partial.shape
    out = xp_of(partial).empty((sums, channels), np.float32)
    add_partials(blocks_for(out.size), partial, out, np.int32(sums), np.int32(runs), np.int32(channels))
    return out


def runs_of(a: Array, runs: int) -> list[Array]:
    """For references: a (images, channels, inner) in the runs that the blocks of `channel_sums` go over, 2-D each."""
    images, channels, inner = a.shape
    flat = a.transpose(0, 2, 1).reshape(images * inner, channels)
    run = -(-len(flat) // runs)
    return [flat[i * run : (i + 1) * run] for i in range(runs)]
