"""Scaled dot product attention on the host, some heads and queries after others: their scores stay in the cache.

Exponentials of scores are kept as they are; what is divided by their sums is the output, which is smaller. Keys that
none of some queries sees, such as later ones in a causal attention, are left out.
"""

from collections.abc import Callable
from typing import Any

import attrs
import numpy as np

from minitorch.cpu.matmul import multiply
from minitorch.cpu.threads import parallel

Array = Any  # a NumPy array

SCORES = 1 << 19  # bytes of scores in one task: they and what else it needs stay in the second-level cache
QUERIES = 64  # taken together
SAFE = 1e13  # sums of exponentials up to this, and from its inverse on, are far from the ends of float32


@attrs.frozen
class Block:
    """Some queries, and the first keys up to the last one that any of them sees.

    Attributes:
        queries: their place.
        keys: that of the keys.
        bar: (*leading axes, queries, keys), added to scores: 0 where a query sees a key, else a number that takes the
            exponential to 0; None where each sees all.
    """

    queries: slice
    keys: slice
    bar: Array | None

    @property
    def shape(self) -> tuple[int, int]:
        """How many queries and how many keys."""
        return self.queries.stop - self.queries.start, self.keys.stop


def takes(q: Array, k: Array, v: Array) -> bool:
    """Whether these are arrays of the host of one dtype, not empty, with the same leading axes."""
    if not (isinstance(q, np.ndarray) and q.dtype == k.dtype == v.dtype and q.size and k.size):
        return False
    shapes = {a.shape[:-2] for a in (q, k, v)}
    return len(shapes) == 1 and q.ndim > 2 and q.dtype.itemsize >= 4


def forward(
    q: Array, k: Array, v: Array, allowed: Array | None, noise: Array | None, scale: float
) -> tuple[Array, list[tuple[Block, Array, Array]]]:
    """The output (..., T, D), laid out in memory as `q` is, and what the backward needs.

    That is for each block the exponentials of its scores (..., queries, keys), without the noise, and the inverse of
    their sums (..., queries, 1).
    """
    y = np.empty_like(q, shape=(*q.shape[:-1], v.shape[-1]))
    noise = None if noise is None else np.broadcast_to(noise, (*q.shape[:-1], k.shape[-2]))
    saved = []
    for block in _blocks(q, k, allowed):
        shape = (*q.shape[:-2], *block.shape)
        saved.append((block, np.empty(shape, q.dtype), np.empty((*shape[:-1], 1), q.dtype)))

    def task(at: tuple[Any, ...]) -> None:
        turned, values = _turned(k[at], scale), v[at]
        for block, e, share in saved:
            s, total = e[at], share[at]
            bar = None if block.bar is None else block.bar[at]
            _exponentials(q[at][..., block.queries, :], turned[..., block.keys], bar, s, total)
            np.divide(1, total, out=total)
            part = y[at][..., block.queries, :]
            weights = s if noise is None else s * noise[at][..., block.queries, block.keys]
            np.matmul(weights, values[..., block.keys, :], out=part)
            part *= total

    _for_heads(task, q, k)
    return y, saved


def _exponentials(q: Array, k: Array, bar: Array | None, s: Array, total: Array) -> None:
    """The exponentials of the scores `q @ k + bar` in s, each row divided by any one number, and their sums.

    Where the sum of a row is too large or too small, the exponentials are computed again after its maximum was
    subtracted. To do so everywhere would take as long as the exponentials; and what one row is does not change others.
    """
    _scores(q, k, bar, s)
    ones = np.ones((s.shape[-1], 1), s.dtype)
    with np.errstate(over="ignore", invalid="ignore"):  # BLAS raises "invalid" for numbers beside the operands
        np.exp(s, out=s)
        np.matmul(s, ones, out=total)
    if total.min() > 1 / SAFE and total.max() < SAFE:
        return
    again = _scores(q, k, bar, np.empty_like(s))
    top = again.max(axis=-1, keepdims=True)
    again -= top
    np.exp(again, out=again)
    again *= top > _bar(s.dtype) / 2  # else the query sees no key: it gets 0
    np.copyto(s, again, where=~((total > 1 / SAFE) & (total < SAFE)))
    np.matmul(s, ones, out=total)
    total += total == 0


def _scores(q: Array, k: Array, bar: Array | None, out: Array) -> Array:
    np.matmul(q, k, out=out)
    if bar is not None:
        out += bar
    return out


def _bar(dtype: Any) -> float:
    """What takes the exponential of any score that it is added to to 0."""
    return float(np.finfo(dtype).min) / 2


def backward(
    g: Array, y: Array, saved: Any, heads: tuple[Array, ...], noise: Array | None, scale: float, out: tuple[Array, ...]
) -> None:
    """Write the gradients for q, k and v, which are `heads`, to `out`."""
    (q, k, v), (dq, dk, dv) = heads, out
    noise = None if noise is None else np.broadcast_to(noise, (*q.shape[:-1], k.shape[-2]))

    def task(at: tuple[Any, ...]) -> None:
        turned, keys = _turned(v[at], 1), k[at]
        end = saved[-1][0].keys.stop
        dk[at][..., end:, :] = dv[at][..., end:, :] = 0
        for i, (block, e, share) in enumerate(reversed(saved)):
            s, queries = e[at], q[at][..., block.queries, :]
            weights = None if noise is None else noise[at][..., block.queries, block.keys]
            g_at = g[at][..., block.queries, :] * share[at]
            multiply(_swapped(s if weights is None else s * weights), g_at, dv[at][..., block.keys, :], add=i > 0)
            g_at *= scale
            d = g_at @ turned[..., block.keys]
            if weights is not None:
                d *= weights
            # The sum of s * d over the keys, since y is that of s * weights * v.
            d -= np.vecdot(g_at, y[at][..., block.queries, :])[..., None]
            d *= s
            np.matmul(d, keys[..., block.keys, :], out=dq[at][..., block.queries, :])
            multiply(_swapped(d), queries, dk[at][..., block.keys, :], add=i > 0)

    _for_heads(task, q, k)


def _blocks(q: Array, k: Array, allowed: Array | None) -> list[Block]:
    """The queries in blocks, with the keys that they see."""
    n_queries, n_keys = q.shape[-2], k.shape[-2]
    blocks = []
    for begin in range(0, n_queries, QUERIES):
        queries, bar, last = slice(begin, min(begin + QUERIES, n_queries)), None, n_keys
        if allowed is not None:
            part = np.broadcast_to(allowed, (*allowed.shape[:-2], n_queries, n_keys))[..., queries, :]
            seen = np.flatnonzero(part.any(axis=tuple(range(part.ndim - 1))))
            last = int(seen[-1]) + 1 if len(seen) else 1
            part = part[..., :last]
            if not part.all():
                bar = np.broadcast_to((~part).astype(q.dtype) * _bar(q.dtype), (*q.shape[:-2], *part.shape[-2:]))
        blocks.append(Block(queries, slice(0, last), bar))
    return blocks


def _for_heads(task: Callable[[tuple[Any, ...]], None], q: Array, k: Array) -> None:
    """Call `task` with indices into the leading axes, for as many heads, and then samples, as have scores that fit."""
    lead, size = q.shape[:-2], q.shape[-2] * k.shape[-2] * q.itemsize
    axis = len(lead) - 1
    while axis and size * lead[axis] <= SCORES:
        size *= lead[axis]
        axis -= 1
    step = max(1, SCORES // size)
    places = [(*at, slice(i, i + step)) for at in np.ndindex(lead[:axis]) for i in range(0, lead[axis], step)]
    parallel(lambda i: task(places[i]), len(places))


def _turned(a: Array, scale: float) -> Array:
    """`scale * a` with the last two axes changed for each other, in C order: products with it are faster."""
    a = _swapped(a)
    return np.multiply(a, scale, out=np.empty(a.shape, a.dtype))


def _swapped(a: Array) -> Array:
    return a.swapaxes(-1, -2)
