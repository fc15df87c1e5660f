"""Scaled dot product attention, with a hand-written backward that keeps the probabilities and nothing else.

`attention` has queries, keys and values by heads; `self_attention` has them side by side, as one product gives them.
"""

from typing import Any

import numpy as np

from minitorch.autograd.fused import Fused
from minitorch.autograd.node import Array
from minitorch.autograd.primitive import fit
from minitorch.cpu import attention as on_host
from minitorch.cuda import kernels, xp_of
from minitorch.ops.elementwise import dropout
from minitorch.ops.linalg import matmul
from minitorch.ops.softmax import softmax


def attention_reference(q: Any, k: Any, v: Any, allowed: Array | None, noise: Array | None, *, scale: float) -> Any:
    """`(softmax(scale * q @ k.T) * noise) @ v` over the last two axes, with the probability 0 where not `allowed`.

    `allowed`, booleans, and `noise`, that of dropout, broadcast to (..., T, S); either may be None.
    """
    scores = matmul(q, _turned(k)) * scale
    if allowed is None:
        p = softmax(scores, axis=-1)
    else:  # where a row allows nothing, softmax gives 1/S of each; the mask once more makes that 0
        p = dropout(softmax(scores + _bar(allowed, q.dtype), axis=-1), allowed, scale=1.0)
    return matmul(p if noise is None else p * noise, v)


def _turned(a: Any) -> Any:
    return a.transpose((*range(a.ndim - 2), a.ndim - 1, a.ndim - 2))


def _bar(allowed: Array, dtype: Any) -> Array:
    """0 where `allowed`, elsewhere a number that takes the exponential of any score added to it to 0."""
    return (~allowed).astype(dtype) * (float(np.finfo(dtype).min) / 2)


def _forward(
    q: Array, k: Array, v: Array, allowed: Array | None, noise: Array | None, *, scale: float
) -> tuple[Array, Any]:
    if on_host.takes(q, k, v):
        return on_host.forward(q, k, v, allowed, noise, scale)
    if kernels.takes(q, k, v):  # heads are often views between which products would copy them again and again
        q, k, v = (kernels.contiguous(a) for a in (q, k, v))
        p = matmul(q, _turned(k))
        p = kernels.softmax(p, _for_kernels(allowed, p), scale=scale, out=p)
        return matmul(p if noise is None else p * noise, v), (p, q, k, v)
    p = matmul(q, _turned(k))
    p *= scale
    if allowed is not None:
        p += _bar(allowed, p.dtype)
    p -= p.max(axis=-1, keepdims=True)
    xp_of(p).exp(p, out=p)
    p /= p.sum(axis=-1, keepdims=True)
    if allowed is not None:
        p *= allowed
    return matmul(p if noise is None else p * noise, v), (p, q, k, v)


def _for_kernels(allowed: Array | None, p: Array) -> Array | None:
    """`allowed` in C order, in the shape of the last axes of p."""
    if allowed is not None and allowed.shape != p.shape[p.ndim - allowed.ndim :]:
        allowed = xp_of(p).broadcast_to(allowed, p.shape)
    return None if allowed is None else kernels.contiguous(allowed)


def _backward(
    g: Array, y: Array, saved: Any, wanted: tuple[bool, ...], q: Array, k: Array, v: Array, allowed: Array | None,
    noise: Array | None, *, scale: float,
) -> tuple[Array | None, ...]:  # fmt: skip
    if on_host.takes(q, k, v):
        grads = np.empty_like(q), np.empty_like(k), np.empty_like(v)
        on_host.backward(g, y, saved, (q, k, v), noise, scale, grads)
        return *grads, None, None
    p, q, k, v = saved
    if kernels.takes(g):
        g = kernels.contiguous(g)
    dq = dk = dv = None
    if wanted[2]:
        dv = fit(matmul(_turned(p if noise is None else p * noise), g), v)
    if wanted[0] or wanted[1]:
        ds = matmul(g, _turned(v))
        if noise is not None:
            ds *= noise
        if kernels.takes(ds):
            ds = kernels.softmax_gradient(ds, p, scale=scale, out=ds)
        else:
            _softmax_backward(ds, g, y, p, scale)
        dq = fit(matmul(ds, k), q) if wanted[0] else None
        dk = fit(matmul(_turned(ds), q), k) if wanted[1] else None
    return dq, dk, dv, None, None


def _softmax_backward(ds: Array, g: Array, y: Array, p: Array, scale: float) -> None:
    """Make the gradient of the probabilities p, without noise, that of the scores, in place."""
    ds -= (g * y).sum(axis=-1, keepdims=True)  # that is the sum of p * ds over S, since y is that of p * noise * v
    ds *= p
    ds *= scale


attention = Fused(
    reference=attention_reference, forward=_forward, backward=_backward, argnums=(0, 1, 2), name="attention"
)


def self_attention_reference(
    qkv: Any, allowed: Array | None, noise: Array | None, *, n_heads: int, scale: float
) -> Any:
    """`attention` by heads, (..., T, width), of `qkv` (..., T, 3 * width): queries, keys and values side by side."""
    return _side_by_side(attention_reference(*_by_heads(qkv, n_heads), allowed, noise, scale=scale))


def _by_heads(qkv: Any, n_heads: int) -> tuple[Any, Any, Any]:
    """The queries, keys and values in `qkv`, (..., n_heads, T, D) each; views where it is an array."""
    n, columns = qkv.ndim, qkv.shape[-1]
    parts = qkv.reshape((*qkv.shape[:-1], 3, n_heads, columns // (3 * n_heads)))
    parts = parts.transpose((n - 1, *range(n - 2), n, n - 2, n + 1))
    return parts[0], parts[1], parts[2]


def _side_by_side(y: Any) -> Any:
    """(..., n_heads, T, D) -> (..., T, n_heads * D)."""
    n = y.ndim
    y = y.transpose((*range(n - 3), n - 2, n - 3, n - 1))
    return y.reshape((*y.shape[:-2], y.shape[-2] * y.shape[-1]))


def _self_forward(
    qkv: Array, allowed: Array | None, noise: Array | None, *, n_heads: int, scale: float
) -> tuple[Array, Any]:
    y, saved = _forward(*_by_heads(qkv, n_heads), allowed, noise, scale=scale)
    return _side_by_side(y), (y, saved)


def _self_backward(
    g: Array, y: Array, saved: Any, wanted: tuple[bool, ...], qkv: Array, allowed: Array | None, noise: Array | None, *,
    n_heads: int, scale: float,
) -> tuple[Array, None, None]:  # fmt: skip
    y, saved = saved
    heads, g = _by_heads(qkv, n_heads), g.reshape((*g.shape[:-1], n_heads, g.shape[-1] // n_heads))
    g = g.transpose((*range(g.ndim - 3), g.ndim - 2, g.ndim - 3, g.ndim - 1))
    d = xp_of(qkv).empty(qkv.shape, qkv.dtype)
    grads = _by_heads(d, n_heads)
    if on_host.takes(*heads):
        on_host.backward(g, y, saved, heads, noise, scale, grads)
    else:
        for grad, found in zip(
            grads, _backward(g, y, saved, (True,) * 3, *heads, allowed, noise, scale=scale), strict=False
        ):
            grad[...] = found
    return d, None, None


self_attention = Fused(
    reference=self_attention_reference,
    forward=_self_forward,
    backward=_self_backward,
    argnums=(0,),
    name="self_attention",
)
