"""Softmax and what is built on it. All are computed after subtracting the maximum, so that nothing overflows."""

from typing import Any

import numpy as np

from minitorch.autograd.fused import Fused
from minitorch.autograd.node import Array
from minitorch.autograd.primitive import as_array, primitive
from minitorch.cuda import kernels, xp_of
from minitorch.ops.elementwise import exp
from minitorch.ops.reduce import Axis, kept
from minitorch.ops.shape import getitem


@primitive
def softmax(a: Array, *, axis: Axis = 1) -> Array:
    if kernels.takes(a) and axis in (-1, a.ndim - 1):
        return kernels.softmax(kernels.contiguous(a))
    xp = xp_of(a)
    y = as_array(a - a.max(axis=axis, keepdims=True))
    xp.exp(y, out=y)
    y /= y.sum(axis=axis, keepdims=True)
    return y


def _softmax_rule(g: Any, y: Any, a: Any, axis: Axis = 1) -> Any:
    if kernels.takes(g, y) and axis in (-1, y.ndim - 1):
        return kernels.softmax_gradient(kernels.contiguous(g), kernels.contiguous(y))
    return y * (g - (g * y).sum(axis=axis, keepdims=True))


softmax.defvjp(_softmax_rule)


@primitive
def log_softmax(a: Array, *, axis: Axis = 1) -> Array:
    xp = xp_of(a)
    y = a - a.max(axis=axis, keepdims=True)
    y -= xp.log(xp.exp(y).sum(axis=axis, keepdims=True))
    return y


log_softmax.defvjp(lambda g, y, a, axis=1: g - exp(y) * g.sum(axis=axis, keepdims=True))


@primitive
def logsumexp(a: Array, *, axis: Axis = None, keepdims: bool = False) -> Array:
    xp = xp_of(a)
    top = a.max(axis=axis, keepdims=True)
    top = xp.where(xp.isfinite(top), top, 0)  # of all -inf, or with an inf, the sum is right without a shift
    y = xp.log(xp.exp(a - top).sum(axis=axis, keepdims=True)) + top
    return y if keepdims else y.squeeze(axis)


def _logsumexp_rule(g: Any, y: Any, a: Any, axis: Axis = None, keepdims: bool = False) -> Any:
    return g.reshape(kept(a.shape, axis)) * softmax(a, axis=axis)  # exp(a - y) loses log(n) where a is large


logsumexp.defvjp(_logsumexp_rule)


def softmax_cross_entropy_reference(x: Any, t: Any) -> Any:
    """The mean over rows of `-log_softmax(x)[t]`, for x (N, C) and integer t (N,)."""
    rows = xp_of(t).arange(len(t))
    return -getitem(log_softmax(x, axis=1), index=(rows, t)).sum() * (1.0 / len(t))


def labels_for_kernels(t: Array) -> Array:
    """Labels as kernels take them: in C order, int32 or int64."""
    return kernels.contiguous(t if t.dtype in (np.int32, np.int64) else t.astype(np.int64))


def _forward(x: Array, t: Array) -> tuple[Array, Array]:
    if kernels.takes(x):
        return kernels.softmax_cross_entropy_forward(kernels.contiguous(x), labels_for_kernels(t))
    xp = xp_of(x)
    top = x.max(axis=1, keepdims=True)
    p = x - top
    rows = xp.arange(len(t))
    picked = p[rows, t]
    xp.exp(p, out=p)
    total = p.sum(axis=1, keepdims=True)
    loss = (xp.log(total[:, 0]) - picked).sum() * (1.0 / len(t))
    p /= total
    return loss, p


def _backward(g: Array, y: Array, p: Array, wanted: tuple[bool, ...], x: Array, t: Array) -> tuple[Array, None]:
    if kernels.takes(x):
        return kernels.softmax_cross_entropy_backward(g, p, labels_for_kernels(t)), None
    xp = xp_of(x)
    d = p.copy()
    d[xp.arange(len(t)), t] -= 1
    d *= g * (1.0 / len(t))
    return d, None


softmax_cross_entropy = Fused(
    reference=softmax_cross_entropy_reference,
    forward=_forward,
    backward=_backward,
    argnums=(0,),
    name="softmax_cross_entropy",
)
