"""Arrays in other shapes: reshaping, joining, splitting, padding, picking, summing."""

import builtins
import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from minitorch.errors import ConfigError, ShapeError
from minitorch.ops import order, reduce
from minitorch.ops import pad as pad_ops
from minitorch.ops import shape as shape_ops
from minitorch.ops.reduce import Axis
from minitorch.variable import Variable, as_variable


def reshape(x: Any, shape: tuple[int, ...]) -> Variable:
    """The same elements in another shape; one size may be -1."""
    return as_variable(x).reshape(shape)


def transpose(x: Any, axes: tuple[int, ...] | None = None) -> Variable:
    """The axes in another order, reversed by default."""
    return as_variable(x).transpose(axes)


def expand_dims(x: Any, axis: int | tuple[int, ...]) -> Variable:
    """`x` with axes of size 1 put in, which in the result stand at `axis`; negative ones count from its end.

    Raises:
        ShapeError: an axis is out of range, or given twice.
    """
    a = as_variable(x)
    new = axis if isinstance(axis, tuple) else (axis,)
    ndim = a.ndim + len(new)
    at = _axes("expand_dims", new, ndim, "the result")
    sizes = iter(a.shape)
    return a.reshape(tuple([1 if i in at else next(sizes) for i in range(ndim)]))


def squeeze(x: Any, axis: int | tuple[int, ...] | None = None) -> Variable:
    """`x` without its axes of size 1, or without those of them that are given.

    Raises:
        ShapeError: an axis is out of range, given twice, or of another size than 1.
    """
    a = as_variable(x)
    if axis is None:
        return a.reshape(tuple([n for n in a.shape if n != 1]))
    at = _axes("squeeze", axis if isinstance(axis, tuple) else (axis,), a.ndim, "x")
    if any(a.shape[i] != 1 for i in at):
        raise ShapeError(f"squeeze: axis {axis} of shape {a.shape} is not of size 1; only such axes can be left out")
    return a.reshape(tuple([n for i, n in enumerate(a.shape) if i not in at]))


def flatten(x: Any) -> Variable:
    """`x` as a matrix (N, features): the first axis, the batch, stays, all others become one.

    Raises:
        ShapeError: `x` has no axis.
    """
    a = as_variable(x)
    if not a.ndim:
        raise ShapeError("flatten: x has no axes; the first axis is kept as the batch: use reshape((1, 1))")
    return a.reshape((len(a), math.prod(a.shape[1:])))


def get_item(x: Any, slices: Any) -> Variable:
    """`x[slices]`: basic and advanced indexing as in NumPy; elements picked twice add up their gradients."""
    return as_variable(x)[slices]


def concat(xs: Sequence[Any], axis: int = 0) -> Variable:
    """Arrays joined along an axis that they have."""
    return shape_ops.concat(*[as_variable(x) for x in xs], axis=axis)


def stack(xs: Sequence[Any], axis: int = 0) -> Variable:
    """Arrays of one shape joined along a new axis, which in the result stands at `axis`.

    Raises:
        ShapeError: there are none, their shapes differ, or the axis is out of range.
    """
    parts = [as_variable(x) for x in xs]
    shapes = [x.shape for x in parts]
    if len(set(shapes)) != 1:
        raise ShapeError(f"stack: got {len(xs)} arrays of shapes {shapes}; give at least one, and all of one shape")
    (at,) = _axes("stack", (axis,), parts[0].ndim + 1, "the result")
    return shape_ops.concat(*[expand_dims(x, at) for x in parts], axis=at)


def split(x: Any, indices_or_sections: int | Sequence[int], axis: int = 0) -> tuple[Variable, ...]:
    """The parts of `x` along `axis`: the opposite of `concat`.

    Args:
        x: the array to be cut.
        indices_or_sections: the number of parts, all of one size; or the positions before which to cut, so that (2, 5)
            gives `x[:2]`, `x[2:5]` and `x[5:]`.
        axis: along which.

    Raises:
        ShapeError: the axis is out of range, or its size is not a multiple of the number of parts.
    """
    a = as_variable(x)
    (at,) = _axes("split", (axis,), a.ndim, "x")
    size = a.shape[at]
    if isinstance(indices_or_sections, int):
        n = indices_or_sections
        if n < 1 or size % n:
            raise ShapeError(
                f"split: axis {axis} of shape {a.shape} cannot be cut into {n} equal parts; give positions"
            )
        cuts = [size // n * i for i in range(1, n)]
    else:
        cuts = list(indices_or_sections)
    lead = (slice(None),) * at
    return tuple([a[(*lead, slice(i, j))] for i, j in zip([0, *cuts], [*cuts, size], strict=True)])


def pad(x: Any, pad_width: int | Sequence[Any], value: float = 0.0) -> Variable:
    """`x` with a border of `value`.

    Args:
        x: any shape.
        pad_width: the width on all sides; or (before, after) for every axis; or one such pair for each axis.
        value: what the border is filled with.

    Raises:
        ConfigError: `pad_width` is none of these, or negative.
    """
    a = as_variable(x)
    try:
        widths = np.broadcast_to(np.asarray(pad_width), (a.ndim, 2))
    except ValueError:
        widths = np.array([-1])
    if widths.dtype.kind not in "iu" or widths.min(initial=0) < 0:
        raise ConfigError(
            f"pad: pad_width is {pad_width!r} for shape {a.shape}; give an integer, a pair (before, after), or such a "
            "pair for each axis, none negative"
        )
    return pad_ops.pad(a, widths=tuple([(int(i), int(j)) for i, j in widths]), value=value)


def sum(x: Any, axis: Axis = None, keepdims: bool = False) -> Variable:
    """The sum over `axis`, of all elements by default."""
    return as_variable(x).sum(axis, keepdims)


def mean(x: Any, axis: Axis = None, keepdims: bool = False) -> Variable:
    """The mean over `axis`, of all elements by default."""
    return as_variable(x).mean(axis, keepdims)


average = mean  # as examples of the book call it


def var(x: Any, axis: Axis = None, keepdims: bool = False, ddof: int = 0) -> Variable:
    """The variance over `axis`, of all elements by default: the squared distance to the mean, summed, over n - `ddof`.

    Raises:
        ConfigError: `ddof` is not less than the number n of elements.
    """
    a = as_variable(x)
    d: Variable = a - a.mean(axis, keepdims=True)
    squares: Variable = (d * d).sum(axis, keepdims)
    n = a.size // builtins.max(squares.size, 1)
    if ddof >= n:
        raise ConfigError(f"var: ddof is {ddof} for {n} elements; it must be less")
    y: Variable = squares / (n - ddof)
    return y


def cumsum(x: Any, axis: int | None = None) -> Variable:
    """The sums of the elements up to each along `axis`; of all elements in a row by default, which gives one axis.

    Raises:
        ShapeError: the axis is out of range.
    """
    a = as_variable(x)
    if axis is None:
        a, axis = a.reshape(-1), 0
    (at,) = _axes("cumsum", (axis,), a.ndim, "x")
    return order.cumsum(a, axis=at)


def max(x: Any, axis: Axis = None, keepdims: bool = False) -> Variable:
    """The largest over `axis`; where several are, they share the gradient equally."""
    return as_variable(x).max(axis, keepdims)


def min(x: Any, axis: Axis = None, keepdims: bool = False) -> Variable:
    """The smallest over `axis`; where several are, they share the gradient equally."""
    return as_variable(x).min(axis, keepdims)


def sum_to(x: Any, shape: tuple[int, ...]) -> Variable:
    """`x` summed over the axes that broadcasting `shape` to `x.shape` would stretch."""
    return reduce.sum_to(as_variable(x), shape=shape)


def broadcast_to(x: Any, shape: tuple[int, ...]) -> Variable:
    """`x` repeated along its axes of size 1 to fill `shape`."""
    return reduce.broadcast_to(as_variable(x), shape=shape)


def argmax(x: Any, axis: int | None = None) -> Variable:
    """The position of the largest over `axis`; no gradient passes."""
    return reduce.argmax(as_variable(x), axis=axis)


def argmin(x: Any, axis: int | None = None) -> Variable:
    """The position of the smallest over `axis`; no gradient passes."""
    return order.argmin(as_variable(x), axis=axis)


def _axes(name: str, axes: Sequence[int], ndim: int, of: str) -> tuple[int, ...]:
    """`axes` counted from the front, once they are found to be in range and different."""
    if any(not -ndim <= a < ndim for a in axes):
        raise ShapeError(
            f"{name}: axis {axes} is out of range; {of} has {ndim} axes, counted from {-ndim} to {ndim - 1}"
        )
    at = tuple([a % ndim for a in axes])
    if len(set(at)) != len(at):
        raise ShapeError(f"{name}: axis {axes} names an axis twice; each may be given once")
    return at
