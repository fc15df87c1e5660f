"""Sums over channels, in one launch or two, always added in the same order."""

from collections.abc import Callable
from typing import Any

import numpy as np

from minitorch.cuda.kernels.kernel import Grid, blocks_for, channel_grid, kernel

Array = Any
Sizes = tuple[int, int, int]  # images, channels, inner


@kernel("sums")
def add_partials(partial: Array, first: Array, second: Array | None, runs: int, channels: int) -> None:
    """Sum partial (1 or 2, runs, channels) over its middle axis, into one or two arrays (channels,)."""
    first[...] = partial[0].sum(axis=0)
    if second is not None:
        second[...] = partial[1].sum(axis=0)


def channel_sums(xp: Any, sizes: Sizes, sums: int, launch: Callable[[Grid, Array], None]) -> list[Array]:
    """One or two sums over channels, arrays (channels,) of their own.

    Args:
        xp: the array module.
        sizes: (images, channels, inner) of what is summed.
        sums: how many, 1 or 2.
        launch: given a grid and an array (sums, runs, channels), it launches the kernel that writes sums over runs.
    """
    channels = sizes[1]
    across, runs = channel_grid(*sizes)
    if runs == sums == 1:
        total = xp.empty(channels, np.float32)
        launch((across, 1), total.reshape(1, 1, channels))
        return [total]
    partial = xp.empty((sums, runs, channels), np.float32)
    launch((across, runs), partial)
    totals = [xp.empty(channels, np.float32) for _ in range(sums)]
    second = totals[1] if sums == 2 else None
    add_partials(blocks_for(sums * channels), partial, totals[0], second, np.int32(runs), np.int32(channels))
    return totals


def runs_of(a: Array, runs: int) -> list[Array]:
    """For references: a (images, channels, inner) in the runs that the blocks of `channel_sums` go over, 2-D each."""
    images, channels, inner = a.shape
    flat = a.transpose(0, 2, 1).reshape(images * inner, channels)
    run = -(-len(flat) // runs)
    return [flat[i * run : (i + 1) * run] for i in range(runs)]
