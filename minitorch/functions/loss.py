"""Losses and metrics: one number for how far predictions are from targets."""

from typing import Any

import numpy as np

from minitorch.autograd.primitive import describe
from minitorch.cuda import is_array, kernels, xp_of
from minitorch.errors import ConfigError, DataError, DTypeError, ShapeError
from minitorch.functions.elementary import sub
from minitorch.ops import cross_entropy, elementwise, softmax
from minitorch.variable import Variable, as_variable

Array = Any


def mean_squared_error(x0: Any, x1: Any) -> Variable:
    """`sum((x0 - x1)**2) / len(x0 - x1)`: DeZero's definition, the mean over the first axis only.

    Raises:
        ShapeError: the shapes differ, or broadcasting would make more of both than there is, as of (N, 1) and (N,).
    """
    difference = _difference("mean_squared_error", x0, x1)
    total: Variable = (difference * difference).sum()
    return total / len(difference) if difference.ndim else total


def mean_absolute_error(x0: Any, x1: Any) -> Variable:
    """The mean of `abs(x0 - x1)` over all elements.

    Raises:
        ShapeError: the shapes differ, or broadcasting would make more of both than there is, as of (N, 1) and (N,).
    """
    return elementwise.abs_(_difference("mean_absolute_error", x0, x1)).mean()


def huber(x0: Any, x1: Any, delta: float = 1.0) -> Variable:
    """The mean of `d**2 / 2` where `abs(d) <= delta`, else of `delta * (abs(d) - delta / 2)`, with d = x0 - x1.

    It is the mean over all elements.
    Source: Huber, "Robust Estimation of a Location Parameter", 1964.

    Raises:
        ConfigError: `delta` is not above 0.
        ShapeError: the shapes differ, or broadcasting would make more of both than there is, as of (N, 1) and (N,).
    """
    if not delta > 0:
        raise ConfigError(f"huber: delta is {delta!r}; it must be above 0")
    difference = _difference("huber", x0, x1)
    near = elementwise.clip(difference, low=-delta, high=delta)
    beyond = elementwise.abs_(difference) - elementwise.abs_(
        near
    )  # not a product with `near`, which far out is inf * 0
    errors: Variable = 0.5 * near * near + delta * beyond
    return errors.mean()


def _difference(name: str, x0: Any, x1: Any) -> Variable:
    shapes = tuple([tuple(as_variable(x).shape) for x in (x0, x1)])
    if shapes[0] != shapes[1]:
        try:
            both = np.broadcast_shapes(*shapes)
        except ValueError:
            both = None
        if both not in shapes:
            raise ShapeError(
                f"{name}: shapes {shapes[0]} and {shapes[1]} "
                f"{'differ' if both is None else f'would broadcast to {both}'}; reshape one to the shape of the other"
            )
    return sub(x0, x1)


def softmax_cross_entropy(
    x: Any,
    t: Any,
    ignore_index: int | None = None,
    label_smoothing: float = 0.0,
    class_weights: Any = None,
) -> Variable:
    """The mean over a batch of `-log(softmax(x)[t])`, computed without overflow.

    With weights w and smoothing e it is PyTorch's: the sum over rows of
    `(1 - e) * w[t] * -log p[t] + e / C * sum(w * -log p)`, divided by the sum of `w[t]`, where p = softmax(x). Rows
    with `t == ignore_index` are in neither sum.

    With soft targets it is the mean over rows of `-sum(w * ((1 - e) * t + e / C) * log(p))`, as PyTorch's.

    Args:
        x: scores before the softmax, (N, C).
        t: class numbers from 0 to C - 1, integers of shape (N,); or soft targets, the share of each class, floats of
            shape (N, C), to which no gradient passes. On a GPU their range is not checked, since that would wait for
            the device.
        ignore_index: the number that marks rows without a label.
        label_smoothing: the share e of the target that is spread evenly over all classes, from 0 to 1. Source: Szegedy
            et al., "Rethinking the Inception Architecture for Computer Vision", CVPR 2016, section 7.
        class_weights: w, what a row of each class counts for, (C,), at least 0; 1 by default. On a GPU not checked.

    Raises:
        ShapeError: `x` is no matrix, `t` has not one number for each row of it, or `class_weights` none for a class.
        DTypeError: `t` does not hold integers, or `class_weights` is no array.
        DataError: a class number is out of range, no row with a label counts, the shares of a row are no shares, or a
            weight is negative or not finite.
        ConfigError: `label_smoothing` is not from 0 to 1, or soft targets are given with `ignore_index`.
    """
    scores, labels = as_variable(x), as_variable(t).data
    if _is_soft(labels):
        return _soft_cross_entropy(scores, labels, ignore_index, label_smoothing, class_weights)
    _check_labels("softmax_cross_entropy", scores.data, labels, ignore_index)
    if ignore_index is None and not label_smoothing and class_weights is None:
        return softmax.softmax_cross_entropy(scores, labels)
    _check_smoothing(label_smoothing)
    weights = _weights(class_weights, scores)
    _check_some_weight(labels, weights, ignore_index)
    return cross_entropy.weighted_softmax_cross_entropy(
        scores, labels, weights, ignored=ignore_index, smoothing=label_smoothing
    )


def _soft_cross_entropy(x: Variable, t: Array, ignored: int | None, smoothing: float, class_weights: Any) -> Variable:
    _check_shares("softmax_cross_entropy", x.data, t)
    _check_smoothing(smoothing)
    if ignored is not None:
        raise ConfigError(
            f"softmax_cross_entropy: ignore_index is {ignored}, but soft targets have no class numbers; leave the rows "
            "out of the batch"
        )
    t = t.astype(x.dtype, copy=False)
    if smoothing:
        t = (1 - smoothing) * t + smoothing / t.shape[1]
    weights = _weights(class_weights, x)
    return cross_entropy.soft_cross_entropy(x, t if weights is None else t * weights)


def _check_smoothing(smoothing: float) -> None:
    if not 0 <= smoothing <= 1:
        raise ConfigError(f"softmax_cross_entropy: label_smoothing is {smoothing!r}; it must be from 0 to 1")


def _weights(class_weights: Any, scores: Variable) -> Array | None:
    if class_weights is None:
        return None
    if not (is_array(class_weights) or isinstance(class_weights, Variable)):
        raise DTypeError(
            f"softmax_cross_entropy: class_weights is {type(class_weights).__name__}; give an array, such as "
            "np.array([1.0, 2.0], np.float32)"
        )
    weights = as_variable(class_weights).data.astype(scores.dtype)
    if weights.shape != scores.shape[1:]:
        raise ShapeError(
            f"softmax_cross_entropy: class_weights {weights.shape} for {scores.shape[1]} classes; give one weight for "
            "each class"
        )
    if xp_of(weights) is np and not ((weights >= 0) & (weights < np.inf)).all():
        wrong = weights[~((weights >= 0) & (weights < np.inf))][0]
        raise DataError(f"softmax_cross_entropy: class_weights holds {wrong}; weights are finite and at least 0")
    return weights


def _check_some_weight(labels: Array, weights: Array | None, ignored: int | None) -> None:
    if weights is None or xp_of(labels) is not np or weights.all():
        return
    if not weights[labels if ignored is None else labels[labels != ignored]].any():
        raise DataError(
            "softmax_cross_entropy: the classes of all labels have weight 0; a mean over no samples is not defined"
        )


def sigmoid_cross_entropy(x: Any, t: Any) -> Variable:
    """The sum of `-t * log(p) - (1 - t) * log(1 - p)` with p = sigmoid(x), over the batch size; without overflow.

    Args:
        x: scores before the sigmoid, (N, ...).
        t: 0 or 1, or probabilities, of the shape of `x` but for axes of size 1. No gradient passes to it. On a GPU the
            range is not checked, since that would wait for the device.

    Raises:
        ShapeError: `x` has no batch axis, or `t` another shape.
        DataError: a target is not from 0 to 1, or the batch is empty.
    """
    scores, targets, scale = _yes_or_no("sigmoid_cross_entropy", x, t)
    return cross_entropy.sigmoid_cross_entropy(scores, targets, scale=scale).sum()


def binary_cross_entropy(p: Any, t: Any) -> Variable:
    """The sum of `-t * log(p) - (1 - t) * log(1 - p)` over the batch size, finite: logarithms are at least -100.

    Where `p` comes from a sigmoid, `sigmoid_cross_entropy` of what went into that is more accurate.

    Args:
        p: probabilities, (N, ...).
        t: 0 or 1, or probabilities, of the shape of `p` but for axes of size 1. No gradient passes to it. On a GPU the
            range is not checked, since that would wait for the device.

    Raises:
        ShapeError: `p` has no batch axis, or `t` another shape.
        DataError: an element of `p` or `t` is not from 0 to 1, or the batch is empty.
    """
    probabilities, targets, scale = _yes_or_no("binary_cross_entropy", p, t)
    _check_range("binary_cross_entropy", "p", probabilities.data, "; for scores use sigmoid_cross_entropy")
    return cross_entropy.binary_cross_entropy(probabilities, targets, scale=scale).sum()


def _yes_or_no(name: str, x: Any, t: Any) -> tuple[Variable, Array, float]:
    """`x`, and `t` in its shape and dtype, and 1 over the batch size."""
    x, targets = as_variable(x), as_variable(t).data
    if not x.ndim or [n for n in x.shape if n != 1] != [n for n in targets.shape if n != 1]:
        raise ShapeError(
            f"{name}: got {describe(x)} and targets {describe(targets)}; wanted a batch (N, ...) and targets of the "
            "same shape, but for axes of size 1"
        )
    if not x.size:
        raise DataError(f"{name}: the batch is empty; a mean over no samples is not defined")
    _check_range(name, "target", targets, "")
    return x, targets.reshape(x.shape).astype(x.dtype), 1.0 / len(x)


def _check_range(name: str, what: str, a: Array, remedy: str) -> None:
    if xp_of(a) is np and (a.min() < 0 or a.max() > 1):
        wrong = a[(a < 0) | (a > 1)]
        raise DataError(f"{name}: {what} {wrong[0]} is not from 0 to 1, where probabilities are{remedy}")


def accuracy(y: Any, t: Any) -> Variable:
    """The share of rows of `y` (N, C) whose largest element is at the class number `t` (N,); no gradient passes.

    Of soft targets (N, C), the class with the largest share is what is wanted.

    Raises:
        ShapeError: `y` is no matrix, or `t` has not one number for each row of it.
        DTypeError: `t` does not hold integers.
        DataError: a class number is out of range, or the batch is empty.
    """
    scores, labels = as_variable(y).data, as_variable(t).data
    if _is_soft(labels):
        _check_shares("accuracy", scores, labels)
        labels = labels.argmax(axis=1)
    _check_labels("accuracy", scores, labels)
    if kernels.takes(scores) and scores.size <= 1 << 20:
        share = kernels.accuracy(kernels.contiguous(scores), softmax.labels_for_kernels(labels))
    else:
        share = (scores.argmax(axis=1) == labels).mean(dtype=np.float32)
    return Variable(share, requires_grad=False)


def _check_labels(name: str, x: Array, t: Array, ignored: int | None = None) -> None:
    if x.ndim != 2 or t.shape != x.shape[:1]:
        remedy = "; for one-hot rows use t.argmax(axis=1)" if t.shape == x.shape else ""
        if t.shape == (*x.shape[:1], 1):
            remedy = "; for a column use t[:, 0]"
        raise ShapeError(
            f"{name}: got {describe(x)} and labels {describe(t)}; wanted scores (N, C) and one class number for each "
            f"row, (N,){remedy}"
        )
    if t.dtype.kind not in "iu":
        raise DTypeError(f"{name}: labels have dtype {t.dtype}; class numbers are integers: use t.astype(np.int64)")
    if not len(t):
        raise DataError(f"{name}: the batch is empty; a mean over no samples is not defined")
    if ignored is not None and xp_of(t) is np:
        t = t[t != ignored]
        if not len(t):
            raise DataError(f"{name}: every label is ignore_index, {ignored}; a mean over no samples is not defined")
    if xp_of(t) is np and (t.min() < 0 or t.max() >= x.shape[1]):
        wrong = t[(t < 0) | (t >= x.shape[1])]
        raise DataError(
            f"{name}: label {wrong[0]} is out of range for {x.shape[1]} classes; class numbers go from 0 to "
            f"{x.shape[1] - 1}"
        )


def _is_soft(t: Array) -> bool:
    return bool(t.ndim == 2 and t.dtype.kind == "f")


def _check_shares(name: str, x: Array, t: Array) -> None:
    if x.shape != t.shape:
        raise ShapeError(
            f"{name}: got {describe(x)} and soft targets {describe(t)}; wanted scores and shares of the same shape, "
            "(N, C)"
        )
    if not len(t):
        raise DataError(f"{name}: the batch is empty; a mean over no samples is not defined")
    if xp_of(t) is np and not ((t >= 0).all() and (abs(t.sum(axis=1) - 1) < 1e-2).all()):
        row = t[((t < 0).any(axis=1)) | ~(abs(t.sum(axis=1) - 1) < 1e-2)][0]
        raise DataError(f"{name}: the soft targets {row} are no shares; those of a row are at least 0 and add up to 1")
