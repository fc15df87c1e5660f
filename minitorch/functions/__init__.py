"""Functions of Variables, `F` by custom: each takes Variables, arrays or numbers and returns a Variable."""

from typing import TYPE_CHECKING

from minitorch.foreign import FUNCTIONS as _FOREIGN
from minitorch.functions.activation import (
    elu,
    gelu,
    leaky_relu,
    log_softmax,
    logsumexp,
    relu,
    sigmoid,
    silu,
    softmax,
    softplus,
)
from minitorch.functions.array import (
    argmax,
    argmin,
    average,
    broadcast_to,
    concat,
    cumsum,
    expand_dims,
    flatten,
    get_item,
    max,
    mean,
    min,
    pad,
    reshape,
    split,
    squeeze,
    stack,
    sum,
    sum_to,
    transpose,
    var,
)
from minitorch.functions.attention import attention
from minitorch.functions.batch_norm import batch_norm
from minitorch.functions.conv import col2im, conv2d, deconv2d, im2col
from minitorch.functions.definitions import (
    conv2d_simple,
    linear_simple,
    mean_squared_error_simple,
    pooling_simple,
    sigmoid_simple,
    softmax_cross_entropy_simple,
    softmax_simple,
)
from minitorch.functions.einsum import einsum
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
from minitorch.functions.embedding import embed_id
from minitorch.functions.loss import (
    accuracy,
    binary_cross_entropy,
    huber,
    mean_absolute_error,
    mean_squared_error,
    sigmoid_cross_entropy,
    softmax_cross_entropy,
)
from minitorch.functions.noise import dropout
from minitorch.functions.norm import group_norm, layer_norm
from minitorch.functions.pooling import average_pooling, global_average_pooling, pooling
from minitorch.functions.product import linear, matmul

__all__ = [
    "abs", "accuracy", "add", "argmax", "argmin", "attention", "average", "average_pooling", "batch_norm",
    "binary_cross_entropy", "broadcast_to", "clip", "col2im", "concat", "conv2d", "conv2d_simple", "cos", "cumsum",
    "deconv2d", "div", "dropout", "einsum", "elu", "embed_id", "exp", "expand_dims", "flatten", "gelu", "get_item",
    "global_average_pooling", "group_norm", "huber", "im2col", "layer_norm", "leaky_relu", "linear", "linear_simple",
    "log", "log_softmax", "logsumexp", "matmul", "max", "maximum", "mean", "mean_absolute_error", "mean_squared_error",
    "mean_squared_error_simple", "min", "minimum", "mul", "neg", "pad", "pooling", "pooling_simple", "pow", "relu",
    "reshape", "sigmoid", "sigmoid_cross_entropy", "sigmoid_simple", "silu", "sin", "softmax", "softmax_cross_entropy",
    "softmax_cross_entropy_simple", "softmax_simple", "softplus", "split", "sqrt", "squeeze", "stack", "sub", "sum",
    "sum_to", "tanh", "transpose", "var", "where",
]  # fmt: skip

if not TYPE_CHECKING:

    def __getattr__(name: str) -> None:
        """Say what a function of another framework is called here."""
        remedy = f"; {_FOREIGN[name]}" if name in _FOREIGN else ""
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}{remedy}")
