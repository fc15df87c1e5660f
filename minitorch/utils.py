"""What DeZero's users look for under this name: checks, comparison, sums of arrays, graph pictures, downloads."""

from typing import Any

import numpy as np

from minitorch.autograd.check import directional_check, gradient_check, numerical_grad
from minitorch.cuda import as_numpy
from minitorch.datasets.download import get_file
from minitorch.draw import get_dot_graph, plot_dot_graph
from minitorch.errors import ConfigError
from minitorch.ops import reduce, softmax

Array = Any

__all__ = [
    "array_allclose",
    "array_equal",
    "directional_check",
    "get_conv_outsize",
    "get_deconv_outsize",
    "get_dot_graph",
    "get_file",
    "gradient_check",
    "logsumexp",
    "numerical_grad",
    "pair",
    "plot_dot_graph",
    "sum_to",
]


def array_equal(a: Any, b: Any) -> bool:
    """Whether two arrays or Variables, wherever they live, have the same shape and elements."""
    return np.array_equal(as_numpy(a), as_numpy(b))


def array_allclose(a: Any, b: Any, rtol: float = 1e-4, atol: float = 1e-5) -> bool:
    """Whether two arrays or Variables, wherever they live, are equal within `atol + rtol * abs(b)`."""
    return np.allclose(as_numpy(a), as_numpy(b), rtol=rtol, atol=atol)


def sum_to(x: Array, shape: tuple[int, ...]) -> Array:
    """The array `x` summed over the axes that broadcasting `shape` to `x.shape` would stretch; as `F.sum_to`."""
    return reduce.sum_to(x, shape=shape)


def logsumexp(x: Array, axis: reduce.Axis = 1) -> Array:
    """`log(sum(exp(x)))` of an array over `axis`, which is kept as 1, without overflow; see `F.logsumexp`."""
    return softmax.logsumexp(x, axis=axis, keepdims=True)


def pair(x: int | tuple[int, int]) -> tuple[int, int]:
    """`(x, x)` of an integer, and a pair of them as it is.

    Raises:
        ConfigError: `x` is neither.
    """
    both = (x, x) if isinstance(x, int | np.integer) else x
    if not isinstance(both, tuple) or len(both) != 2:
        raise ConfigError(f"pair: got {x!r}; give an integer, or a tuple of two")
    return both


def get_conv_outsize(input_size: int, kernel_size: int, stride: int, pad: int) -> int:
    """How many pixels, along one axis, a convolution or pooling gives for `input_size` of them."""
    return (input_size + 2 * pad - kernel_size) // stride + 1


def get_deconv_outsize(size: int, k: int, s: int, p: int) -> int:
    """How many pixels, along one axis, `F.deconv2d` gives for `size` of them: kernel `k`, stride `s`, pad `p`."""
    return s * (size - 1) + k - 2 * p
