"""Softmax cross entropy, forward and back, with loss and accuracy summed up on the device."""

from typing import Any

import numpy as np

from minitorch.cuda.array_module import xp_of
from minitorch.cuda.kernels.kernel import blocks_for, kernel, row_grid

Array = Any

SMALL_CLASSES, SMALL_ROWS = 32, 1024  # at most, for all of it to be done by one block


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
def cross_entropy_small(
    x: Array, t: Array, wide: int, p: Array, loss: Array, totals: Array | None, rows: int, classes: int
) -> None:
    """`p = softmax(x)` for x (rows, classes), the mean loss, nan for no class, and the sums, as below."""
    losses, hits = np.empty(rows, np.float32), np.empty(rows, np.float32)
    cross_entropy_forward.reference(x, t, wide, p, losses, hits, rows, classes)
    cross_entropy_totals.reference(losses, hits, loss, totals, rows)


@kernel("cross_entropy")
def row_accuracy(x: Array, t: Array, wide: int, share: Array, rows: int, classes: int) -> None:
    """The share of rows of x (rows, classes) whose largest element is at their label."""
    share[...] = (x.argmax(axis=1) == t).mean()


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
    p, loss = xp.empty_like(x), xp.empty((), np.float32)
    sizes = np.int32(rows), np.int32(classes)
    if classes <= SMALL_CLASSES and rows <= SMALL_ROWS:
        cross_entropy_small((1,), x, t, _wide(t), p, loss, totals, *sizes)
        return loss, p
    losses, hits = xp.empty(rows, np.float32), xp.empty(rows, np.float32)
    cross_entropy_forward(row_grid(rows, classes), x, t, _wide(t), p, losses, hits, *sizes)
    cross_entropy_totals((1,), losses, hits, loss, totals, np.int32(rows))
    return loss, p


def softmax_cross_entropy_backward(g: Array, p: Array, t: Array) -> Array:
    """The gradient of x, given that of the loss, `g`, and what the forward returned."""
    dx = xp_of(p).empty_like(p)
    rows, classes = p.shape
    cross_entropy_backward(blocks_for(p.size), p, t, _wide(t), g, dx, np.int32(rows), np.int32(classes))
    return dx


def accuracy(x: Array, t: Array) -> Array:
    """The share of rows of x (N, C), float32, whose largest element is at the label t (N,), int32 or int64: 0-d."""
    share = xp_of(x).empty((), np.float32)
    row_accuracy((1,), x, t, _wide(t), share, np.int32(x.shape[0]), np.int32(x.shape[1]))
    return share


def _wide(t: Array) -> Any:
    return np.int32(t.dtype == np.int64)
