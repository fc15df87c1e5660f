"""Arrays in other shapes: reshaping, joining, picking, summing."""

from collections.abc import Sequence
from typing import Any

from minitorch.ops import reduce
from minitorch.ops import shape as shape_ops
from minitorch.ops.reduce import Axis
from minitorch.variable import Variable, as_variable


def reshape(x: Any, shape: tuple[int, ...]) -> Variable:
    """The same elements in another shape; one size may be -1."""
    return as_variable(x).reshape(shape)


def transpose(x: Any, axes: tuple[int, ...] | None = None) -> Variable:
    """The axes in another order, reversed by default."""
    return as_variable(x).transpose(axes)


def get_item(x: Any, slices: Any) -> Variable:
    """`x[slices]`: basic and advanced indexing as in NumPy; elements picked twice add up their gradients."""
    return as_variable(x)[slices]


def concat(xs: Sequence[Any], axis: int = 0) -> Variable:
    """Arrays joined along an axis that they have."""
    return shape_ops.concat(*[as_variable(x) for x in xs], axis=axis)


def sum(x: Any, axis: Axis = None, keepdims: bool = False) -> Variable:
    """The sum over `axis`, of all elements by default."""
    return as_variable(x).sum(axis, keepdims)


def mean(x: Any, axis: Axis = None, keepdims: bool = False) -> Variable:
    """The mean over `axis`, of all elements by default."""
    return as_variable(x).mean(axis, keepdims)


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
