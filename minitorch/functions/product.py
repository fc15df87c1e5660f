"""Matrix products: `matmul` and the affine map of a fully connected layer."""

from typing import Any

from minitorch.ops import linalg
from minitorch.variable import Variable, as_variable


def matmul(x: Any, W: Any) -> Variable:
    """The matrix product `x @ W`; over the last two axes where there are more, the others broadcast.

    Raises:
        ShapeError: the inner dimensions differ.
    """
    return linalg.matmul(as_variable(x), W)


def linear(x: Any, W: Any, b: Any = None) -> Variable:
    """`x @ W + b` over the last axis of `x`.

    Args:
        x: (..., in_size).
        W: (in_size, out_size).
        b: (out_size,) or None.

    Returns:
        (..., out_size).

    Raises:
        ShapeError: the shapes do not fit.
    """
    return linalg.linear(as_variable(x), W, b)
