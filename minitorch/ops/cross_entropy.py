"""Cross entropies beyond the plain softmax one: with weights, smoothing and ignored rows, soft targets, yes or no."""

from typing import Any

import numpy as np

from minitorch.autograd.fused import Fused
from minitorch.autograd.node import Array
from minitorch.autograd.primitive import primitive
from minitorch.cuda import xp_of
from minitorch.ops.elementwise import maximum, sigmoid, where
from minitorch.ops.shape import getitem
from minitorch.ops.softmax import log_softmax


def weighted_softmax_cross_entropy_reference(
    x: Any, t: Array, weights: Array | None, *, ignored: int | None, smoothing: float
) -> Any:
    """The mean of `-log_softmax(x)`, each row weighted: see `_coefficients`; for x (N, C) and integer t (N,)."""
    rows, t, at_t, everywhere = _coefficients(x, t, weights, ignored, smoothing)
    log_p = log_softmax(x, axis=1)
    loss = -(where(at_t > 0, getitem(log_p, index=(rows, t)), 0.0) * at_t).sum()
    return loss if everywhere is None else loss - (log_p * everywhere).sum()


def _coefficients(x: Any, t: Array, weights: Array | None, ignored: int | None, smoothing: float) -> tuple[Any, ...]:
    """What `-log_softmax(x)` is multiplied by: `at_t` (N,) at (row, t), and `everywhere` (N, C), or None where all 0.

    With w the weight of a class and e the smoothing, these are w[t] (1 - e) and w e / C, both divided by the sum of
    w[t] over the rows. Rows with t == ignored have 0 in both and do not count; t is returned with a class for them too.
    """
    xp = xp_of(t)
    classes = x.shape[1]
    counted = xp.ones(len(t), x.dtype)
    if ignored is not None:
        counted = (t != ignored).astype(x.dtype)
        t = xp.where(t == ignored, 0, t)
    at_t = counted if weights is None else counted * weights[t]
    total = at_t.sum()
    everywhere = None
    if smoothing:
        everywhere = (counted * (smoothing / classes) / total)[:, None]
        everywhere = everywhere * (xp.ones(classes, x.dtype) if weights is None else weights)
    return xp.arange(len(t)), t, at_t * (1.0 - smoothing) / total, everywhere


def _forward(
    x: Array, t: Array, weights: Array | None, *, ignored: int | None, smoothing: float
) -> tuple[Array, tuple[Any, ...]]:
    xp = xp_of(x)
    saved = rows, t, at_t, everywhere = _coefficients(x, t, weights, ignored, smoothing)
    log_p = log_softmax(x, axis=1)
    loss = -(xp.where(at_t > 0, log_p[rows, t], 0) * at_t).sum()
    if everywhere is not None:
        loss -= (log_p * everywhere).sum()
    return loss, (log_p, *saved)


def _backward(
    g: Array, y: Array, saved: Any, wanted: tuple[bool, ...], x: Array, t: Array, weights: Array | None, *,
    ignored: int | None, smoothing: float,
) -> tuple[Array | None, ...]:  # fmt: skip
    log_p, rows, t, at_t, everywhere = saved
    d = xp_of(x).exp(log_p)
    d *= (at_t if everywhere is None else at_t + everywhere.sum(axis=1))[:, None]
    d[rows, t] -= at_t
    if everywhere is not None:
        d -= everywhere
    d *= g
    return d, None, None


weighted_softmax_cross_entropy = Fused(
    reference=weighted_softmax_cross_entropy_reference,
    forward=_forward,
    backward=_backward,
    argnums=(0,),
    name="weighted_softmax_cross_entropy",
)


def soft_cross_entropy_reference(x: Any, t: Array) -> Any:
    """The mean over rows of `-sum(t * log_softmax(x))`, for x and t (N, C); where t is 0, log_softmax may be -inf."""
    log_p = log_softmax(x, axis=1)
    return -(where(t > 0, log_p, 0.0) * t).sum() * (1.0 / len(t))


def _soft_forward(x: Array, t: Array) -> tuple[Array, Array]:
    log_p = log_softmax(x, axis=1)
    return -(xp_of(x).where(t > 0, log_p, 0) * t).sum() * (1.0 / len(t)), log_p


def _soft_backward(g: Array, y: Array, log_p: Array, wanted: tuple[bool, ...], x: Array, t: Array) -> tuple[Any, None]:
    d = xp_of(x).exp(log_p)
    d *= t.sum(axis=1, keepdims=True)
    d -= t
    d *= g * (1.0 / len(t))
    return d, None


soft_cross_entropy = Fused(
    reference=soft_cross_entropy_reference,
    forward=_soft_forward,
    backward=_soft_backward,
    argnums=(0,),
    name="soft_cross_entropy",
)


@primitive
def sigmoid_cross_entropy(x: Array, t: Array, *, scale: float) -> Array:
    """`-t log(p) - (1 - t) log(1 - p)` with p = sigmoid(x), element by element, times `scale`."""
    xp = xp_of(x)
    return (xp.maximum(x, 0) - x * t + xp.log1p(xp.exp(-xp.abs(x)))) * scale


sigmoid_cross_entropy.defvjp(lambda g, y, x, t, scale: g * (sigmoid(x) - t) * scale, None)


@primitive
def binary_cross_entropy(p: Array, t: Array, *, scale: float) -> Array:
    """`-t log(p) - (1 - t) log(1 - p)`, element by element, with logarithms of at least -100, times `scale`."""
    xp = xp_of(p)
    with np.errstate(divide="ignore"):
        yes, no = xp.maximum(xp.log(p), -100), xp.maximum(xp.log1p(-p), -100)
    return (t * yes + (1 - t) * no) * -scale


# Bounded like the logarithms: at p = 0 or 1 it is large where p is wrong, and 0 where p is right.
binary_cross_entropy.defvjp(lambda g, y, p, t, scale: g * (p - t) * scale / maximum(p * (1 - p), 1e-12), None)
