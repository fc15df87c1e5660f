"""Losses and metrics: one number for how far predictions are from targets."""

from typing import Any

import numpy as np

from minitorch.autograd.primitive import describe
from minitorch.cuda import xp_of
from minitorch.errors import DataError, DTypeError, ShapeError
from minitorch.ops import softmax
from minitorch.variable import Variable, as_variable

Array = Any


def mean_squared_error(x0: Any, x1: Any) -> Variable:
    """`sum((x0 - x1)**2) / len(x0 - x1)`: DeZero's definition, the mean over the first axis only.

    Raises:
        ShapeError: broadcasting would make more of both than there is, as of (N, 1) and (N,).
    """
    difference: Variable = as_variable(x0) - x1
    shapes = tuple([tuple(as_variable(x).shape) for x in (x0, x1)])
    if difference.shape not in shapes:
        raise ShapeError(
            f"mean_squared_error: shapes {shapes[0]} and {shapes[1]} would broadcast to {difference.shape}; "
            "reshape one to the shape of the other"
        )
    total = (difference * difference).sum()
    return total / len(difference) if difference.ndim else total


def softmax_cross_entropy(x: Any, t: Any) -> Variable:
    """The mean over a batch of `-log(softmax(x)[t])`, computed without overflow.

    Args:
        x: scores before the softmax, (N, C).
        t: class numbers from 0 to C - 1, integers of shape (N,). On a GPU their range is not checked, since that
            would wait for the device.

    Raises:
        ShapeError: `x` is no matrix, or `t` has not one number for each row of it.
        DTypeError: `t` does not hold integers.
        DataError: a class number is out of range, or the batch is empty.
    """
    scores, labels = as_variable(x), as_variable(t).data
    _check_labels("softmax_cross_entropy", scores.data, labels)
    return softmax.softmax_cross_entropy(scores, labels)


def accuracy(y: Any, t: Any) -> Variable:
    """The share of rows of `y` (N, C) whose largest element is at the class number `t` (N,); no gradient passes.

    Raises:
        ShapeError: `y` is no matrix, or `t` has not one number for each row of it.
        DTypeError: `t` does not hold integers.
        DataError: a class number is out of range, or the batch is empty.
    """
    scores, labels = as_variable(y).data, as_variable(t).data
    _check_labels("accuracy", scores, labels)
    return Variable((scores.argmax(axis=1) == labels).mean(dtype=np.float32), requires_grad=False)


def _check_labels(name: str, x: Array, t: Array) -> None:
    if x.ndim != 2 or t.shape != x.shape[:1]:
        remedy = "; for one-hot rows use t.argmax(axis=1)" if t.shape == x.shape else ""
        raise ShapeError(
            f"{name}: got {describe(x)} and labels {describe(t)}; wanted scores (N, C) and one class number for each "
            f"row, (N,){remedy}"
        )
    if t.dtype.kind not in "iu":
        raise DTypeError(f"{name}: labels have dtype {t.dtype}; class numbers are integers: use t.astype(np.int64)")
    if not len(t):
        raise DataError(f"{name}: the batch is empty; a mean over no samples is not defined")
    if xp_of(t) is np and (t.min() < 0 or t.max() >= x.shape[1]):
        wrong = t[(t < 0) | (t >= x.shape[1])]
        raise DataError(
            f"{name}: label {wrong[0]} is out of range for {x.shape[1]} classes; class numbers go from 0 to "
            f"{x.shape[1] - 1}"
        )
