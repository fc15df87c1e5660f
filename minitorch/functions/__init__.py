"""Functions of Variables, `F` by custom: each takes Variables, arrays or numbers and returns a Variable."""

from minitorch.functions.activation import log_softmax, logsumexp, relu, sigmoid, softmax
from minitorch.functions.array import (
    argmax,
    broadcast_to,
    concat,
    get_item,
    max,
    mean,
    min,
    reshape,
    sum,
    sum_to,
    transpose,
)
from minitorch.functions.elementary import (
    abs,
    add,
    clip,
    cos,
    div,
    exp,
    log,
    maximum,
    minimum,
    mul,
    neg,
    pow,
    sin,
    sqrt,
    sub,
    tanh,
    where,
)
from minitorch.functions.loss import accuracy, mean_squared_error, softmax_cross_entropy
from minitorch.functions.noise import dropout
from minitorch.functions.product import linear, matmul

__all__ = [
    "abs", "accuracy", "add", "argmax", "broadcast_to", "clip", "concat", "cos", "div", "dropout", "exp", "get_item",
    "linear", "log", "log_softmax", "logsumexp", "matmul", "max", "maximum", "mean", "mean_squared_error", "min",
    "minimum", "mul", "neg", "pow", "relu", "reshape", "sigmoid", "sin", "softmax", "softmax_cross_entropy", "sqrt",
    "sub", "sum", "sum_to", "tanh", "transpose", "where",
]  # fmt: skip
