"""Rows of a matrix looked up by number, and the opposite: rows added up by number, always in the same order."""

import math
from typing import Any

import numpy as np

from minitorch.autograd.node import Array
from minitorch.autograd.primitive import primitive
from minitorch.cpu import blas
from minitorch.cuda import kernels, xp_of

SHORT = 1 << 16  # numbers below it are sorted as two bytes, four times as fast
LONG = 16  # rows in a run, on average, from which on a product with ones is faster than NumPy's sums


@primitive
def take_rows(W: Array, *, ids: Array) -> Array:
    return xp_of(W).take(W, ids, axis=0)


@primitive
def add_rows(g: Array, *, ids: Array, count: int) -> Array:
    """`count` rows, of which number i is the sum of the rows of `g` (*ids.shape, ...) where `ids` is i."""
    if kernels.takes(g):
        return kernels.add_rows(kernels.contiguous(g), ids, count)
    xp = xp_of(g)
    inner = g.shape[ids.ndim :]
    ids = ids.ravel()
    rows = g.reshape((ids.size, math.prod(inner)))
    sums = _host_sums(rows, ids, count) if xp is np else _device_sums(xp, rows, ids, count)
    return sums.reshape((count, *inner))


def _host_sums(rows: Array, ids: Array, count: int) -> Array:
    """Sum the rows of equal `ids`, which lie in runs once they are sorted: long runs by BLAS."""
    order = np.argsort(ids.astype(np.uint16) if count <= SHORT else ids, kind="stable")
    rows, ids = rows.take(order, axis=0), ids.take(order)
    out = np.zeros((count, rows.shape[1]), rows.dtype)
    starts = np.flatnonzero(np.diff(ids, prepend=-1))
    if len(ids) < LONG * max(1, len(starts)) or rows.dtype.char not in "fd":
        out[ids[starts]] = np.add.reduceat(rows, starts, axis=0)
        return out
    ones, begins = np.ones(len(ids), rows.dtype), starts.tolist()
    with blas.on_one_thread:
        for begin, end, i in zip(begins, [*begins[1:], len(ids)], ids[starts].tolist(), strict=True):
            np.matmul(ones[begin:end], rows[begin:end], out=out[i])
    return out


def _device_sums(xp: Any, rows: Array, ids: Array, count: int) -> Array:
    """The same by differences of running sums: no atomics, and no size that the host would have to wait for."""
    keys = kernels.sorted_places(ids.astype(np.int64))[: ids.size]
    rows, ids = rows[(keys & 0xFFFFFFFF).astype(np.int64)], (keys >> 32).astype(np.int64)
    total = xp.zeros((len(ids) + 1, rows.shape[1]), xp.float64)
    total[1:] = xp.cumsum(rows.astype(xp.float64), axis=0)
    numbers = xp.arange(count)
    below, upto = xp.searchsorted(ids, numbers), xp.searchsorted(ids, numbers, side="right")
    return (total[upto] - total[below]).astype(rows.dtype)


take_rows.defvjp(lambda g, y, W, ids: add_rows(g, ids=ids, count=W.shape[0]))
add_rows.defvjp(lambda dg, y, g, ids, count: take_rows(dg, ids=ids))
