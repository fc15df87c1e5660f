"""The functions of the book whose names end in `_simple`: what a function is by definition, in operations on Variables.

Each is in one formula what its namesake computes with kernels of its own, which are faster, need less memory and do not
overflow. The tests hold the kernels against these, value and derivatives; they are for reading, not for training.
"""

from typing import Any

from minitorch.cuda import get_array_module
from minitorch.functions.array import max as max_
from minitorch.functions.array import sum as sum_
from minitorch.functions.conv import Size, im2col
from minitorch.functions.elementary import exp, log
from minitorch.functions.product import matmul
from minitorch.functions.subscripts import einsum
from minitorch.ops.reduce import Axis
from minitorch.variable import Variable, as_variable


def linear_simple(x: Any, W: Any, b: Any = None) -> Variable:
    """`x @ W + b`, as `linear`, for x (..., in_size), W (in_size, out_size) and b (out_size,) or None."""
    y = matmul(x, W)
    return y if b is None else y + b


def sigmoid_simple(x: Any) -> Variable:
    """`1 / (1 + exp(-x))`, as `sigmoid`; `exp` overflows far below 0."""
    y: Variable = 1 / (1 + exp(-as_variable(x)))
    return y


def softmax_simple(x: Any, axis: Axis = 1) -> Variable:
    """`exp(x) / sum(exp(x))` over `axis`, as `softmax`; `exp` overflows for large scores."""
    y = exp(x)
    return y / sum_(y, axis=axis, keepdims=True)


def mean_squared_error_simple(x0: Any, x1: Any) -> Variable:
    """`sum((x0 - x1)**2) / len(x0 - x1)`, as `mean_squared_error`, for arrays of one axis or more."""
    difference: Variable = as_variable(x0) - as_variable(x1)
    y: Variable = sum_(difference**2) / len(difference)
    return y


def softmax_cross_entropy_simple(x: Any, t: Any) -> Variable:
    """The mean of `-log(softmax(x)[t])`, as `softmax_cross_entropy`, for scores x (N, C) and class numbers t (N,)."""
    labels = as_variable(t).data
    rows = get_array_module(labels).arange(len(labels))
    y: Variable = -sum_(log(softmax_simple(x))[rows, labels]) / len(labels)
    return y


def conv2d_simple(x: Any, W: Any, b: Any = None, stride: Size = 1, pad: Size = 0) -> Variable:
    """Each kernel of W (OC, C, KH, KW) times what it meets at each place in x (N, C, H, W), as `conv2d`."""
    height, width = as_variable(W).shape[2:]
    col = im2col(x, (height, width), stride, pad, to_matrix=False)
    y = einsum("nckloi,dckl->ndoi", col, W)
    return y if b is None else y + as_variable(b).reshape(-1, 1, 1)


def pooling_simple(x: Any, kernel_size: Size, stride: Size = 1, pad: Size = 0) -> Variable:
    """The largest pixel at each place, as `pooling`; but equal ones share the gradient, and padding is 0."""
    return max_(im2col(x, kernel_size, stride, pad, to_matrix=False), axis=(2, 3))
