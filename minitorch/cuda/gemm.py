"""`gemm`: the one entry for matrix products on a device.

CuPy refuses to call cuBLAS while a stream is captured, knows no reduced precision for a single product, and cannot
accumulate into a batch. So products are asked of cuBLAS itself, captured or not, with the same bits.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

import numpy as np

from minitorch.cuda.array_module import xp_of
from minitorch.cuda.cublas import COMPUTE, DATA_TYPE, multiply
from minitorch.cuda.layout import Plan, plan
from minitorch.errors import ConfigError, DeviceError, DTypeError, ShapeError

Array = Any  # a CuPy array
Shape = tuple[int, ...]

_compute: ContextVar[str] = ContextVar("minitorch.cuda.gemm.compute", default="fp32")


@contextmanager
def computing(compute: str) -> Iterator[None]:
    """Inside, in this thread, products of float32 that are not told otherwise are computed in this mode of `gemm`.

    Raises:
        ConfigError: there is no such mode.
    """
    _check_compute("computing", compute)
    token = _compute.set(compute)
    try:
        yield
    finally:
        _compute.reset(token)


def computing_mode() -> str:
    """The mode that `computing` set in this thread, "fp32" outside of it."""
    return _compute.get()


def gemm(
    a: Array,
    b: Array,
    *,
    out: Array | None = None,
    alpha: float = 1.0,
    beta: float = 0.0,
    transpose_a: bool = False,
    transpose_b: bool = False,
    compute: str | None = None,
) -> Array:
    """`alpha * (a @ b) + beta * out`, written to `out`; without `out`, `alpha * (a @ b)` as a new array.

    Vectors and leading axes mean what they mean to `matmul`. Transposed views cost nothing; an operand of which neither
    rows nor columns are contiguous is copied.

    Args:
        a: (..., M, K) or (K,), of the device.
        b: (..., K, N) or (K,).
        out: of the shape of the product, with contiguous rows or columns; it must not overlap `a` or `b`.
        alpha: a number.
        beta: a number; with 0, what was in `out` does not matter.
        transpose_a: take `a` with its last two axes swapped.
        transpose_b: take `b` so.
        compute: what operands in float32 may be rounded to for the product: "fp32" (not at all), "tf32", "bf16" or
            "fp16"; sums are in float32. None: as `computing` says, "fp32" outside. Other dtypes are computed as they
            are, float16 with sums in float32; integers by CuPy.

    Raises:
        ConfigError: `compute` is none of these, or `beta` is given without `out`.
        ShapeError: shapes do not fit, or `out` is laid out as cuBLAS cannot write.
        DTypeError: the dtype is complex, or integer where more than a plain product is asked for; or that of `out` is
            not that of the product.
        DeviceError: an array is the host's, or cuBLAS cannot be loaded or reports an error.
    """
    if compute is None:
        compute = _compute.get()
    cupy = _check(a, b, compute, beta, out)
    if transpose_a:
        a = a.swapaxes(-1, -2)
    if transpose_b:
        b = b.swapaxes(-1, -2)
    dtype = a.dtype if a.dtype == b.dtype else np.result_type(a.dtype, b.dtype)
    if dtype.kind in "biu" and alpha == 1 and beta == 0:
        return cupy.matmul(a, b, out=out)  # by a kernel of CuPy's own: cuBLAS knows no such products
    if dtype.name not in DATA_TYPE:
        raise DTypeError(
            f"gemm: {a.dtype} @ {b.dtype} cannot be computed, scaled or added up; cast to float32, float64 or float16"
        )
    return _product(cupy, a, b, out, dtype, alpha, beta, compute)


def _check(a: Array, b: Array, compute: str, beta: float, out: Array | None) -> Any:
    """The module CuPy; or the error for arguments that are not allowed."""
    cupy = xp_of(a)
    if cupy is np or xp_of(b) is np:
        raise DeviceError(
            f"gemm: got {type(a).__name__} and {type(b).__name__}; it multiplies arrays of a device, on the host use "
            "numpy.matmul"
        )
    _check_compute("gemm", compute)
    if beta and out is None:
        raise ConfigError(f"gemm: beta is {beta!r} and there is no out; give the array to add the product to")
    return cupy


def _check_compute(who: str, compute: str) -> None:
    if compute not in COMPUTE:
        raise ConfigError(f"{who}: compute is {compute!r}; it must be one of {', '.join(COMPUTE)}")


def _product(
    cupy: Any, a: Array, b: Array, out: Array | None, dtype: Any, alpha: float, beta: float, compute: str
) -> Array:
    """The product by cuBLAS, in a floating dtype."""
    first, second = (a[None, :] if a.ndim == 1 else a), (b[:, None] if b.ndim == 1 else b)
    if not first.ndim or not second.ndim or first.shape[-1] != second.shape[-2]:
        raise ShapeError(
            f"gemm: inner dimensions differ: {a.shape} @ {b.shape}; the last axis of the left operand and the second "
            "to last (or only) axis of the right one must be equal"
        )
    leading = first.shape[:-2]
    if second.ndim > 2 and second.shape[:-2] != leading:
        leading = np.broadcast_shapes(leading, second.shape[:-2])
    full = (*leading, first.shape[-2], second.shape[-1])
    shape = full[: len(leading)] + full[-2:-1] * (a.ndim > 1) + full[-1:] * (b.ndim > 1)
    if out is None:
        out = cupy.empty(shape, dtype)
    elif out.shape != shape or out.dtype != dtype:
        raise (ShapeError if out.shape != shape else DTypeError)(
            f"gemm: out is {out.dtype} {out.shape}; the product {a.shape} @ {b.shape} is {dtype} {shape}"
        )
    _into(
        cupy,
        first.astype(dtype, copy=False),
        second.astype(dtype, copy=False),
        _as_matrices(out, full),
        alpha,
        beta,
        compute,
    )
    return out


def _as_matrices(out: Array, full: Shape) -> Array:
    """`out` with the axes of length 1 that vectors among the operands left out; always a view."""
    if out.shape == full:
        return out
    if out.ndim == len(full) - 2:
        return out[..., None, None]
    return out[..., None] if full[-1] == 1 and out.shape == full[:-1] else out[..., None, :]


def _into(cupy: Any, a: Array, b: Array, out: Array, alpha: float, beta: float, compute: str) -> None:
    """Write alpha a @ b + beta out; a and b, of two axes or more, have the dtype of `out`."""
    if not out.size:
        return
    if not a.shape[-1]:  # a sum of nothing
        out[...] = beta * out if beta else 0
        return
    planned = _plan_of(a, b, out)
    if planned is None:
        leading = out.shape[:-2]
        a, b = (cupy.ascontiguousarray(cupy.broadcast_to(x, leading + x.shape[-2:])) for x in (a, b))
        planned = _plan_of(a, b, out)
    if planned is None:
        raise ShapeError(
            f"gemm: out {out.shape} has strides {out.strides}; its rows or its columns must be contiguous, and its "
            "matrices equally far apart"
        )
    multiply(cupy, planned, a, b, out, alpha, beta, compute)


def _plan_of(a: Array, b: Array, out: Array) -> Plan | None:
    layout = [(x.shape, tuple([s // x.itemsize for s in x.strides])) for x in (a, b, out)]
    return plan(*layout[0], *layout[1], *layout[2])
