"""Softmax over the last axis, with elements that are not allowed, as attention needs it; and back."""

from typing import Any

import numpy as np

from minitorch.cuda.array_module import xp_of
from minitorch.cuda.kernels.kernel import kernel, row_grid

Array = Any


@kernel("softmax")
def softmax_forward(
    x: Array, allowed: Array | None, p: Array, rows: int, columns: int, allowed_rows: int, scale: float
) -> None:
    """`p = softmax(scale x)` of each row, 0 where not allowed; row r is allowed what row r % allowed_rows says."""
    z = scale * x.reshape(rows, columns)
    may = np.ones((1, columns), bool) if allowed is None else allowed.reshape(allowed_rows, columns)
    may = may[np.arange(rows) % len(may)]
    top = np.where(may, z, -np.inf).max(axis=1, keepdims=True)
    e = np.where(may, np.exp(np.where(may, z - top, 0)), 0)
    total = e.sum(axis=1, keepdims=True)
    p[...] = (e / np.where(total == 0, 1, total)).reshape(p.shape)


@kernel("softmax")
def softmax_backward(g: Array, p: Array, dx: Array, rows: int, columns: int, scale: float) -> None:
    """`dx = scale p (g - sum of g p over the row)`."""
    g, p = g.reshape(rows, columns), p.reshape(rows, columns)
    dx[...] = (scale * p * (g - (g * p).sum(axis=1, keepdims=True))).reshape(dx.shape)


def softmax(x: Array, allowed: Array | None = None, *, scale: float = 1.0, out: Array | None = None) -> Array:
    """The softmax of `scale * x` over the last axis; written to `out`, which may be x.

    Args:
        x: (..., S).
        allowed: booleans of the shape of the last axes of x, or None: where False, the result is 0.
        scale: a number.
        out: of the shape of x.
    """
    columns = x.shape[-1]
    p = xp_of(x).empty_like(x) if out is None else out
    rows, allowed_rows = x.size // columns, 1 if allowed is None else allowed.size // columns
    sizes = np.int32(rows), np.int32(columns), np.int32(allowed_rows)
    softmax_forward(row_grid(rows, columns), x, allowed, p, *sizes, np.float32(scale))
    return p


def softmax_gradient(g: Array, p: Array, *, scale: float = 1.0, out: Array | None = None) -> Array:
    """The gradient of x, given that of `softmax(x)`, which was p; written to `out`, which may be g."""
    columns = p.shape[-1]
    dx = xp_of(p).empty_like(p) if out is None else out
    rows = p.size // columns
    softmax_backward(row_grid(rows, columns), g, p, dx, np.int32(rows), np.int32(columns), np.float32(scale))
    return dx
