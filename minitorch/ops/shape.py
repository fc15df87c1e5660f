"""The same numbers in another order: reshape, transpose, indexing, joining."""

import math
from typing import Any

import numpy as np

from minitorch.autograd.node import Array
from minitorch.autograd.primitive import primitive
from minitorch.cuda import xp_of
from minitorch.errors import ShapeError


@primitive
def reshape(a: Array, *, shape: tuple[int, ...]) -> Array:
    return a.reshape(shape)


reshape.defvjp(lambda g, y, a, shape: g.reshape(a.shape))


@primitive
def transpose(a: Array, *, axes: tuple[int, ...] | None = None) -> Array:
    return a.transpose(axes)


def _transpose_rule(g: Any, y: Any, a: Any, axes: tuple[int, ...] | None = None) -> Any:
    if axes is None:
        return transpose(g)
    inverse = [0] * len(axes)
    for i, axis in enumerate(axes):
        inverse[axis] = i
    return transpose(g, axes=tuple(inverse))


transpose.defvjp(_transpose_rule)


@primitive
def getitem(a: Array, *, index: Any) -> Array:
    return a[index]


@primitive
def putitem(g: Array, *, index: Any, shape: tuple[int, ...]) -> Array:
    """Zeros of `shape` with `g` added at `index`: what indexing gave, put back; repeated places add up."""
    xp = xp_of(g)
    out = xp.zeros(shape, g.dtype)
    if _is_basic(index):
        out[index] = g
    elif xp is np:
        np.add.at(out, index, g)
    else:
        places = xp.arange(math.prod(shape)).reshape(shape)[index]
        out = _segment_sum(xp, g.ravel(), places.ravel(), math.prod(shape)).reshape(shape)
    return out


getitem.defvjp(lambda g, y, a, index: putitem(g, index=index, shape=a.shape))
putitem.defvjp(lambda dg, y, g, index, shape: dg[index])


def _is_basic(index: Any) -> bool:
    parts = index if isinstance(index, tuple) else (index,)
    return all(p is None or p is Ellipsis or isinstance(p, int | slice | np.integer) for p in parts)


def _segment_sum(xp: Any, values: Array, places: Array, size: int) -> Array:
    """Sum `values` (n,) by `places` (n,) into (size,), always in the same order: no atomics, no host read."""
    order = xp.argsort(places, kind="stable")
    places = places[order]
    total = xp.zeros(values.size + 1, xp.float64)
    total[1:] = xp.cumsum(values[order].astype(xp.float64))
    ends = xp.arange(size)
    below, upto = xp.searchsorted(places, ends), xp.searchsorted(places, ends, side="right")
    return (total[upto] - total[below]).astype(values.dtype)


@primitive
def concat(*arrays: Array, axis: int = 0) -> Array:
    if not arrays:
        raise ShapeError("concat: there is nothing to join; give at least one array")
    return xp_of(arrays[0]).concatenate(arrays, axis=axis)


def _concat_rule(i: int, g: Any, y: Any, *arrays: Any, axis: int = 0) -> Any:
    start = sum(a.shape[axis] for a in arrays[:i])
    index = [slice(None)] * y.ndim
    index[axis] = slice(start, start + arrays[i].shape[axis])
    return g[tuple(index)]


concat.defvjp_each(_concat_rule)
