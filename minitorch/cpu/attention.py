"""Scaled dot product attention on the host, some heads after another: their scores stay in the cache."""

from typing import Any

import numpy as np

from minitorch.cpu.threads import parallel

Array = Any  # a NumPy array

SCORES = 1 << 20  # bytes of scores in one task: about a second-level cache


def takes(q: Array, k: Array, v: Array) -> bool:
    """Whether these are arrays of the host of one dtype, not empty, with the same leading axes."""
    if not (isinstance(q, np.ndarray) and q.dtype == k.dtype == v.dtype and q.size and k.size):
        return False
    shapes = {a.shape[:-2] for a in (q, k, v)}
    return len(shapes) == 1 and q.ndim > 2


def forward(
    q: Array, k: Array, v: Array, bar: Array | None, allowed: Array | None, noise: Array | None, scale: float
) -> tuple[Array, Array]:
    """The output (..., T, D), laid out in memory as `q` is, and the probabilities (..., T, S) without the noise.

    `bar` is added to the scores; if `allowed` is given, probabilities are multiplied by it.
    """
    p = np.empty((*q.shape[:-1], k.shape[-2]), q.dtype)
    y = np.empty_like(q, shape=(*q.shape[:-1], v.shape[-1]))
    bar, allowed, noise = _broadcast(p, bar, allowed, noise)

    def task(at: tuple[int, ...]) -> None:
        s = p[at]
        np.matmul(q[at] * q.dtype.type(scale), _turned(k[at]), out=s)
        if bar is not None:
            s += bar[at]
        s -= s.max(axis=-1, keepdims=True)
        np.exp(s, out=s)
        total = s.sum(axis=-1, keepdims=True)
        s *= np.divide(1, total, out=total)
        if allowed is not None:
            s *= allowed[at]
        np.matmul(s if noise is None else s * noise[at], v[at], out=y[at])

    _for_heads(task, p)
    return y, p


def backward(
    g: Array, y: Array, p: Array, q: Array, k: Array, v: Array, noise: Array | None, scale: float
) -> tuple[Array, Array, Array]:
    """The gradients for q, k and v, laid out in memory as they are."""
    dq, dk, dv = np.empty_like(q), np.empty_like(k), np.empty_like(v)
    (noise,) = _broadcast(p, noise)

    def task(at: tuple[int, ...]) -> None:
        s, g_at = p[at], g[at]
        np.matmul(_turned(s if noise is None else s * noise[at]), g_at, out=dv[at])
        d = np.matmul(g_at, _turned(v[at]))
        if noise is not None:
            d *= noise[at]
        d -= (g_at * y[at]).sum(axis=-1, keepdims=True)  # the sum of s * d over S, since y is that of s * noise * v
        d *= s
        dq_at = dq[at]
        np.matmul(d, k[at], out=dq_at)
        dq_at *= scale
        np.matmul(_turned(d), q[at] * q.dtype.type(scale), out=dk[at])

    _for_heads(task, p)
    return dq, dk, dv


def _broadcast(p: Array, *arrays: Array | None) -> list[Array | None]:
    return [None if a is None else np.broadcast_to(a, p.shape) for a in arrays]


def _for_heads(task: Any, p: Array) -> None:
    """Call `task` with indices into the leading axes of p, for all heads of a sample at once where they fit."""
    lead = p.shape[:-2]
    if len(lead) > 1 and p[(0,) * (len(lead) - 1)].nbytes <= SCORES:
        lead = lead[:-1]
    places = list(np.ndindex(lead))
    parallel(lambda i: task(places[i]), len(places))


def _turned(a: Array) -> Array:
    return a.swapaxes(-1, -2)
