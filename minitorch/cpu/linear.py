"""A fully connected layer with its activation on the host; where there are many rows, finished some rows at a time.

Bias and activation then follow the product in the same task, while it is in the cache; backward, the gradients of all
three are computed together.
"""

from collections.abc import Callable
from typing import Any

import numpy as np

from minitorch.cpu.activation import BLOCK, Activation
from minitorch.cpu.matmul import MOST, matmul, multiplier, multiply, tasks
from minitorch.cpu.scratch import scratch
from minitorch.cpu.threads import parallel

Array = Any  # a NumPy array
Gradients = tuple[Array | None, Array | None, Array | None]

ROWS = 512  # in one task of the backward: enough for products over them to be fast
LARGEST = 1 << 18  # weights up to which each of these tasks adds up a gradient of its own


def takes(*arrays: Array | None) -> bool:
    """Whether these are arrays of the host, all float32 or all float64."""
    given = [a for a in arrays if a is not None]
    return all(isinstance(a, np.ndarray) and a.dtype == given[0].dtype and a.dtype.char in "fd" for a in given)


def forward(x: Array, W: Array, b: Array | None, act: Activation | None, *, keep: bool) -> tuple[Array, Array]:
    """`act(x @ W + b)` for x (M, I), W (I, O) and b (O,), and what its backward needs, (M, O), if `keep`.

    The two are one array unless the activation keeps something.
    """
    count = tasks(x.size * W.shape[1])
    by_rows, into = count > 1 and len(x) > W.shape[1], multiplier(x, W)
    kept = np.empty((len(x), W.shape[1]), x.dtype) if by_rows else matmul(x, W)
    y = np.empty_like(kept) if keep and act is not None and act.keeps else kept

    def task(rows: slice) -> None:
        z = kept[rows]
        if by_rows:
            into(x[rows], W, z)
        if b is not None:
            z += b
        if act is not None:
            act.apply(z, z if kept is y else y[rows])

    _for_rows(task, len(x), count if by_rows else kept.size // BLOCK)
    return y, kept


def backward(g: Array, kept: Array, x: Array, W: Array, act: Activation | None, wanted: tuple[bool, ...]) -> Gradients:
    """The gradients for x, W and b, given g (M, O) and what the forward kept; None for what is not wanted."""
    if len(x) >= 2 * ROWS and W.size <= LARGEST:
        return _by_rows(g, kept, x, W, act, wanted)
    dz = g
    if act is not None:
        dz, slope = np.empty_like(g), act.slope
        _for_rows(lambda rows: slope(g[rows], kept[rows], dz[rows]), len(g), g.size // BLOCK)
    dx = matmul(dz, W.T) if wanted[0] else None
    return dx, matmul(x.T, dz) if wanted[1] else None, dz.sum(axis=0) if wanted[2] else None


def _by_rows(g: Array, kept: Array, x: Array, W: Array, act: Activation | None, wanted: tuple[bool, ...]) -> Gradients:
    """The same, where each task adds up gradients for W and b of its own."""
    count = min(MOST, len(x) // ROWS)
    dx = np.empty_like(x) if wanted[0] else None
    dW, db = np.empty((count, *W.shape), W.dtype), np.empty((count, W.shape[1]), W.dtype)
    into_x, into_W = multiplier(g[:ROWS], W.T), multiplier(x[:ROWS].T, g[:ROWS])

    def task(i: int) -> None:
        first, last = len(x) * i // count, len(x) * (i + 1) // count
        for begin in range(first, last, ROWS):
            rows = slice(begin, min(begin + ROWS, last))
            dz = g[rows]
            if act is not None:
                dz = scratch("linear", dz.shape, dz.dtype)
                act.slope(g[rows], kept[rows], dz)
            if dx is not None:
                into_x(dz, W.T, dx[rows])
            into_W(x[rows].T, dz, dW[i], add=begin > first)
            multiply(np.ones((1, len(dz)), dz.dtype), dz, db[i, None], add=begin > first)

    parallel(task, count)
    return dx, dW.sum(axis=0) if wanted[1] else None, db.sum(axis=0) if wanted[2] else None


def _for_rows(task: Callable[[slice], object], length: int, count: int) -> None:
    """Call `task` with each of `count` parts of `length` rows, by all threads; with all of them where it is below 2."""
    if count < 2:
        task(slice(None))
        return

    def part(i: int) -> None:
        task(slice(length * i // count, length * (i + 1) // count))

    parallel(part, count)
