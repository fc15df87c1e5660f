"""Matrix products: `matmul` and the affine map of a fully connected layer."""

from collections.abc import Callable
from typing import Any

from minitorch.functions.activation import gelu, relu, sigmoid
from minitorch.functions.elementary import tanh
from minitorch.ops import linalg
from minitorch.ops import linear as ops
from minitorch.variable import Variable, as_variable


def matmul(x: Any, W: Any) -> Variable:
    """The matrix product `x @ W`; over the last two axes where there are more, the others broadcast.

    Raises:
        ShapeError: the inner dimensions differ.
    """
    return linalg.matmul(as_variable(x), W)


FUSED: dict[Callable[[Any], Variable], str] = {relu: "relu", sigmoid: "sigmoid", tanh: "tanh", gelu: "gelu"}


def linear(x: Any, W: Any, b: Any = None, activation: Callable[[Any], Variable] | None = None) -> Variable:
    """`x @ W + b` over the last axis of `x`; with `activation`, that of it.

    For `relu`, `sigmoid`, `tanh` and `gelu` this is one operation, which on a GPU adds the bias and applies the
    activation in one pass, and back; for any other function it is the same as `activation(linear(x, W, b))`.

    Args:
        x: (..., in_size).
        W: (in_size, out_size).
        b: (out_size,) or None.
        activation: a function of one Variable, or None.

    Returns:
        (..., out_size).

    Raises:
        ShapeError: the shapes do not fit.
    """
    act = None if activation is None else FUSED.get(activation)
    y: Variable = ops.linear(as_variable(x), W, b, act=act)
    return y if activation is None or act is not None else activation(y)
