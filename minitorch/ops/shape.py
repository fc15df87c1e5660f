"""The same numbers in another order: reshape, transpose, indexing, joining."""

import math
from typing import Any

import numpy as np

from minitorch.autograd.node import Array
from minitorch.autograd.primitive import primitive
from minitorch.cuda import xp_of
from minitorch.errors import ShapeError
from minitorch.ops.embedding import add_rows


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
    if _is_basic(index) or xp is np:
        out = xp.zeros(shape, g.dtype)
        if _is_basic(index):
            out[index] = g
        else:
            np.add.at(out, index, g)
    elif isinstance(index, xp.ndarray) and index.dtype.kind in "iu":
        out = add_rows(g, ids=index % shape[0], count=shape[0])
    else:
        places = xp.arange(math.prod(shape)).reshape(shape)[index]
        out = add_rows(g, ids=places, count=math.prod(shape)).reshape(shape)
    return out


getitem.defvjp(lambda g, y, a, index: putitem(g, index=index, shape=a.shape))
putitem.defvjp(lambda dg, y, g, index, shape: dg[index])


def _is_basic(index: Any) -> bool:
    parts = index if isinstance(index, tuple) else (index,)
    return all(p is None or p is Ellipsis or isinstance(p, int | slice | np.integer) for p in parts)


@primitive
def concat(*arrays: Array, axis: int = 0) -> Array:
    if not arrays:
        raise ShapeError("concat: there is nothing to join; give at least one array")
    xp = xp_of(arrays[0])
    return np.concatenate(arrays, axis=axis) if xp is np else _concat_on_device(xp, arrays, axis)


def _concat_on_device(xp: Any, arrays: tuple[Array, ...], axis: int) -> Array:
    """One by one: for more than eight CuPy sends their addresses to the device, which a capture cannot hold."""
    if any(a.ndim != arrays[0].ndim or not a.ndim for a in arrays):
        raise ValueError("all arrays must have the same number of axes, at least one")
    axis %= arrays[0].ndim
    shape = list(arrays[0].shape)
    shape[axis] = sum(a.shape[axis] for a in arrays)
    y = xp.empty(tuple(shape), xp.result_type(*arrays))
    at = [slice(None)] * y.ndim
    start = 0
    for a in arrays:
        at[axis] = slice(start, start + a.shape[axis])
        y[tuple(at)] = a
        start += a.shape[axis]
    return y


def _concat_rule(i: int, g: Any, y: Any, *arrays: Any, axis: int = 0) -> Any:
    start = sum(a.shape[axis] for a in arrays[:i])
    index = [slice(None)] * y.ndim
    index[axis] = slice(start, start + arrays[i].shape[axis])
    return g[tuple(index)]


concat.defvjp_each(_concat_rule)
