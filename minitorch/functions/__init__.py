"""Functions of Variables, `F` by custom: each takes Variables, arrays or numbers and returns a Variable.

Each is loaded when it is first used.
"""

from typing import TYPE_CHECKING

from minitorch.foreign import FUNCTIONS as _FOREIGN
from minitorch.lazy import when_used

__all__ = [
    "abs", "accuracy", "add", "argmax", "argmin", "attention", "average", "average_pooling", "batch_norm",
    "binary_cross_entropy", "broadcast_to", "clip", "col2im", "concat", "conv2d", "conv2d_simple", "cos", "cumsum",
    "deconv2d", "div", "dropout", "einsum", "elu", "embed_id", "exp", "expand_dims", "flatten", "gelu", "get_item",
    "global_average_pooling", "group_norm", "huber", "im2col", "layer_norm", "leaky_relu", "linear", "linear_simple",
    "log", "log_softmax", "logsumexp", "matmul", "max", "maximum", "mean", "mean_absolute_error", "mean_squared_error",
    "mean_squared_error_simple", "min", "minimum", "mul", "neg", "pad", "pooling", "pooling_simple", "pow", "relu",
    "reshape", "self_attention", "sigmoid", "sigmoid_cross_entropy", "sigmoid_simple", "silu", "sin", "softmax",
    "softmax_cross_entropy", "softmax_cross_entropy_simple", "softmax_simple", "softplus", "split", "sqrt", "squeeze",
    "stack", "sub", "sum", "sum_to", "tanh", "transpose", "var", "where",
]  # fmt: skip

if TYPE_CHECKING:
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
    from minitorch.functions.dot_product_attention import attention, self_attention
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
    from minitorch.functions.norm import batch_norm, group_norm, layer_norm
    from minitorch.functions.pool import average_pooling, global_average_pooling, pooling
    from minitorch.functions.product import linear, matmul
    from minitorch.functions.subscripts import einsum
else:
    HOMES = {
        "abs": "elementary", "accuracy": "loss", "add": "elementary", "argmax": "array", "argmin": "array",
        "attention": "dot_product_attention", "average": "array", "average_pooling": "pool",
        "batch_norm": "norm", "binary_cross_entropy": "loss", "broadcast_to": "array", "clip": "elementary",
        "col2im": "conv", "concat": "array", "conv2d": "conv", "conv2d_simple": "definitions",
        "cos": "elementary", "cumsum": "array", "deconv2d": "conv", "div": "elementary", "dropout": "noise",
        "einsum": "subscripts", "elu": "activation", "embed_id": "embedding", "exp": "elementary",
        "expand_dims": "array", "flatten": "array", "gelu": "activation", "get_item": "array",
        "global_average_pooling": "pool", "group_norm": "norm", "huber": "loss", "im2col": "conv",
        "layer_norm": "norm", "leaky_relu": "activation", "linear": "product", "linear_simple": "definitions",
        "log": "elementary", "log_softmax": "activation", "logsumexp": "activation", "matmul": "product",
        "max": "array", "maximum": "elementary", "mean": "array", "mean_absolute_error": "loss",
        "mean_squared_error": "loss", "mean_squared_error_simple": "definitions", "min": "array",
        "minimum": "elementary", "mul": "elementary", "neg": "elementary", "pad": "array", "pooling": "pool",
        "pooling_simple": "definitions", "pow": "elementary", "relu": "activation", "reshape": "array",
        "self_attention": "dot_product_attention", "sigmoid": "activation", "sigmoid_cross_entropy": "loss",
        "sigmoid_simple": "definitions", "silu": "activation", "sin": "elementary", "softmax": "activation",
        "softmax_cross_entropy": "loss", "softmax_cross_entropy_simple": "definitions",
        "softmax_simple": "definitions", "softplus": "activation", "split": "array", "sqrt": "elementary",
        "squeeze": "array", "stack": "array", "sub": "elementary", "sum": "array", "sum_to": "array",
        "tanh": "elementary", "transpose": "array", "var": "array", "where": "elementary",
    }  # fmt: skip
    _load, __dir__ = when_used(__name__, HOMES)

    def __getattr__(name: str) -> object:
        """Load a function; say what one of another framework is called here."""
        if name in _FOREIGN:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}; {_FOREIGN[name]}")
        return _load(name)
