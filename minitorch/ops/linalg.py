"""Matrix products."""

import math
from typing import Any

import numpy as np

from minitorch.autograd.node import Array
from minitorch.autograd.primitive import describe, primitive
from minitorch.cpu import matmul as on_host
from minitorch.cpu.blocks import in_blocks
from minitorch.cpu.lines import sum_lines
from minitorch.cuda import gemm, is_array, kernels, xp_of
from minitorch.errors import DTypeError, ShapeError


def product(a: Array, b: Array) -> Array:
    """`a @ b` of plain arrays, by NumPy on the host and by cuBLAS on a device."""
    if xp_of(a) is np:
        return on_host.matmul(a, b)
    if xp_of(b) is np:
        raise TypeError("one array is on the host")
    return gemm(a, b)


@primitive
def matmul(a: Array, b: Array) -> Array:
    if not (is_array(a) and is_array(b)):
        raise DTypeError(f"matmul: got {describe(a)} @ {describe(b)}; both must be arrays: scale by a number with *")
    if a.ndim == 0 or b.ndim == 0 or a.shape[-1] != b.shape[-min(2, b.ndim)]:
        raise ShapeError(
            f"matmul: inner dimensions differ: {a.shape} @ {b.shape}; the last axis of the left operand and the "
            "second to last (or only) axis of the right one must be equal: transpose or reshape one of them"
        )
    return product(a, b)


def _as_matrices(g: Any, a: Any, b: Any) -> tuple[Any, Any, Any]:
    """The operands of a product and the gradient of its result, vectors made into matrices of one row or column."""
    if b.ndim == 1:
        g = g.reshape((*g.shape, 1))
        b = b.reshape((-1, 1))
    if a.ndim == 1:
        g = g.reshape((*g.shape[:-1], 1, g.shape[-1]))
        a = a.reshape((1, -1))
    return g, a, b


def _swapped(a: Any) -> Any:
    return a.transpose((*range(a.ndim - 2), a.ndim - 1, a.ndim - 2)) if a.ndim > 2 else a.T


def _matmul_rule_a(g: Any, y: Any, a: Any, b: Any) -> Any:
    if a.ndim == b.ndim == 2:
        return matmul(g, b.T)
    shape = a.shape
    g, a, b = _as_matrices(g, a, b)
    r = matmul(g, _swapped(b))
    return r.reshape((*r.shape[:-2], r.shape[-1])) if len(shape) == 1 else r


def _matmul_rule_b(g: Any, y: Any, a: Any, b: Any) -> Any:
    if a.ndim == b.ndim == 2:
        return matmul(a.T, g)
    shape = b.shape
    g, a, b = _as_matrices(g, a, b)
    r = matmul(_swapped(a), g)
    return r.reshape(r.shape[:-1]) if len(shape) == 1 else r


matmul.defvjp(_matmul_rule_a, _matmul_rule_b)


def add_bias(y: Array, b: Array) -> None:
    """Add b (C,) to the channels of y (N, C, ...), in place."""
    if kernels.takes(y, b):
        kernels.bias_activation(y, kernels.contiguous(b), "none", out=y)
    else:
        y += b.reshape((-1,) + (1,) * (y.ndim - 2))


def bias_gradient(g: Any) -> Any:
    """The sum of g (N, C, ...) for each channel, (C,)."""
    if kernels.takes(g):
        return kernels.bias_activation_backward(kernels.contiguous(g), None, None, "none", bias=True)[1]
    if not isinstance(g, np.ndarray) or g.ndim < 3 or g.dtype.kind != "f":
        return g.sum(axis=(0, *range(2, g.ndim)))
    sums = np.empty(g.shape[:2], np.result_type(g, np.float32))
    in_blocks(sum_lines, g.reshape(*g.shape[:2], math.prod(g.shape[2:])), sums)
    return sums.sum(axis=0).astype(g.dtype, copy=False)


def as_rows(x: Any) -> Any:
    """See x (..., I) as a matrix (rows, I)."""
    return x if x.ndim == 2 else x.reshape((math.prod(x.shape[:-1]), x.shape[-1]))
