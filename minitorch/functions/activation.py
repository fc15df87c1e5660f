"""Activations: what stands between the layers of a network."""

from typing import Any

from minitorch.ops import elementwise
from minitorch.ops import softmax as softmax_ops
from minitorch.ops.reduce import Axis
from minitorch.variable import Variable, as_variable


def sigmoid(x: Any) -> Variable:
    """`1 / (1 + exp(-x))`, computed without overflow."""
    return elementwise.sigmoid(as_variable(x))


def relu(x: Any) -> Variable:
    """`max(x, 0)`; its derivative at 0 is 0."""
    return elementwise.relu(as_variable(x))


def softmax(x: Any, axis: Axis = 1) -> Variable:
    """`exp(x) / sum(exp(x))` over `axis`, computed without overflow."""
    return softmax_ops.softmax(as_variable(x), axis=axis)


def log_softmax(x: Any, axis: Axis = 1) -> Variable:
    """The logarithm of `softmax(x)`, computed without underflow."""
    return softmax_ops.log_softmax(as_variable(x), axis=axis)


def logsumexp(x: Any, axis: Axis = None, keepdims: bool = False) -> Variable:
    """`log(sum(exp(x)))` over `axis`, of all elements by default, computed without overflow."""
    return softmax_ops.logsumexp(as_variable(x), axis=axis, keepdims=keepdims)
