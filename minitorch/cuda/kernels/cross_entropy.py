"""Softmax cross entropy, forward and back, with loss and accuracy summed up on the device."""

from typing import Any

import numpy as np

from minitorch.cuda.array_module import xp_of
from minitorch.cuda.kernels.kernel import BLOCK, blocks_for, kernel

Array = Any


@kernel("cross_entropy")
def cross_entropy_forward(
    x: Array, t: Array, wide: int, p: Array, losses: Array, hits: Array, rows: int, classes: int
) -> None:
    """`p = softmax(x)` for x (rows, classes); of each row the loss, nan for no class, and whether its label wins."""
    p[...] = np.exp(x - x.max(axis=1, keepdims=True))
    total = p.sum(axis=1)
    p /= total[:, None]
    known = (t >= 0) & (t < classes)
    at = np.where(known, t, 0)
    losses[...] = np.where(known, np.log(total) - (x[np.arange(rows), at] - x.max(axis=1)), np.nan)
    hits[...] = x.argmax(axis=1) == t


@kernel("cross_entropy")
def cross_entropy_totals(losses: Array, hits: Array, loss: Array, totals: Array | None, rows: int) -> None:
    """The mean loss, and the sums added to `totals`, (loss, hits, rows) in float64, unless it is None."""
    total = losses.sum(dtype=np.float64)
    loss[...] = total / rows
    if totals is not None:
        totals += (total, hits.sum(dtype=np.float64), rows)


@kernel("cross_entropy")
def cross_entropy_backward(p: Array, t: Array, wide: int, g: Array, dx: Array, rows: int, classes: int) -> None:
    """`dx = (p - one_hot(t)) g / rows`, for g of one element."""
    dx[...] = (p - (np.arange(classes) == t[:, None])) * (g / np.float32(rows))


def softmax_cross_entropy_forward(x: Array, t: Array, totals: Array | None = None) -> tuple[Array, Array]:
    """The mean loss, 0-d, and p = softmax(x), which the backward needs.

    Args:
        x: (N, C), float32.
        t: (N,), int32 or int64; a label that is no class makes the loss nan.
        totals: (3,), float64: the sum of losses, the number of right rows and the number of rows are added to it.
    """
    xp, (rows, classes) = xp_of(x), x.shape
    p, losses, hits = xp.empty_like(x), xp.empty(rows, np.float32), xp.empty(rows, np.float32)
    loss = xp.empty((), np.float32)
    grid = blocks_for(rows, 1 if classes > 1024 else BLOCK // 32)
    cross_entropy_forward(grid, x, t, _wide(t), p, losses, hits, np.int32(rows), np.int32(classes))
    cross_entropy_totals((1,), losses, hits, loss, totals, np.int32(rows))
    return loss, p


def softmax_cross_entropy_backward(g: Array, p: Array, t: Array) -> Array:
    """The gradient of x, given that of the loss, `g`, and what the forward returned."""
    dx = xp_of(p).empty_like(p)
    rows, classes = p.shape
    cross_entropy_backward(blocks_for(p.size), p, t, _wide(t), g, dx, np.int32(rows), np.int32(classes))
    return dx


def _wide(t: Array) -> Any:
    return np.int32(t.dtype == np.int64)
