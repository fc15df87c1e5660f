"""Over axes: sums, means, extremes, and their opposite, broadcasting.

`axis` is None (all axes), an int or a tuple of ints, negative ones counting from the end.
"""

import math
from typing import Any

from minitorch.autograd.node import Array
from minitorch.autograd.primitive import primitive, sum_to_shape, untracked
from minitorch.cuda import xp_of

Axis = int | tuple[int, ...] | None


def kept(shape: tuple[int, ...], axis: Axis) -> tuple[int, ...]:
    """`shape` with the reduced axes kept as 1."""
    if axis is None:
        return (1,) * len(shape)
    axes = {a % len(shape) for a in (axis if isinstance(axis, tuple) else (axis,))} if shape else set()
    return tuple([1 if i in axes else n for i, n in enumerate(shape)])


def spread(g: Any, a: Any, axis: Axis) -> Any:
    """`g`, one number for each reduced slice of `a`, as seen from every element of `a`."""
    return broadcast_to(g.reshape(kept(a.shape, axis)), shape=a.shape)


@primitive
def sum_(a: Array, *, axis: Axis = None, keepdims: bool = False) -> Array:
    return a.sum(axis=axis, keepdims=keepdims)


sum_.defvjp(lambda g, y, a, axis=None, keepdims=False: spread(g, a, axis))


@primitive
def mean(a: Array, *, axis: Axis = None, keepdims: bool = False) -> Array:
    return a.mean(axis=axis, keepdims=keepdims)


def _mean_rule(g: Any, y: Any, a: Any, axis: Axis = None, keepdims: bool = False) -> Any:
    count = a.size // max(math.prod(y.shape), 1)
    return spread(g * (1.0 / max(count, 1)), a, axis)


mean.defvjp(_mean_rule)


@primitive
def max_(a: Array, *, axis: Axis = None, keepdims: bool = False) -> Array:
    return a.max(axis=axis, keepdims=keepdims)


@primitive
def min_(a: Array, *, axis: Axis = None, keepdims: bool = False) -> Array:
    return a.min(axis=axis, keepdims=keepdims)


@untracked
def ties(a: Array, y: Array, *, axis: Axis) -> Array:
    """1/n at each of the n elements that equal the extreme `y` of their slice, 0 elsewhere, in the dtype of `a`."""
    at = (a == y.reshape(kept(a.shape, axis))).astype(a.dtype)
    return at / at.sum(axis=axis, keepdims=True)


for _extreme in (max_, min_):
    _extreme.defvjp(lambda g, y, a, axis=None, keepdims=False: spread(g, a, axis) * ties(a, y, axis=axis))


@primitive
def broadcast_to(a: Array, *, shape: tuple[int, ...]) -> Array:
    return xp_of(a).broadcast_to(a, shape)


broadcast_to.defvjp(lambda g, y, a, shape: g)  # the engine sums a gradient to its argument's shape


@primitive
def sum_to(a: Array, *, shape: tuple[int, ...]) -> Array:
    return sum_to_shape(a, shape)


sum_to.defvjp(lambda g, y, a, shape: broadcast_to(g, shape=a.shape))


@untracked
def argmax(a: Array, *, axis: int | None = None) -> Array:
    return a.argmax(axis=axis)
