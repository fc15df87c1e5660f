"""`gemm`: the one entry for matrix products on a device.

CuPy refuses to call cuBLAS while a stream is captured, knows no reduced precision for a single product, and cannot
accumulate into a batch. So products are asked of cuBLAS itself, through `ctypes`, captured or not, with the same bits.

cuBLAS has matrices in columns. A matrix in rows is, read in columns, its transpose; so C = A B in rows is asked for as
C' = B' A' in columns, and nothing is copied.
"""

import ctypes
import functools
import importlib
import itertools
import math
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from ctypes import POINTER, byref, c_int, c_longlong, c_size_t, c_void_p
from typing import Any

import attrs
import numpy as np

from minitorch.cuda.array_module import require_cupy, xp_of
from minitorch.errors import ConfigError, DeviceError, DTypeError, ShapeError

Array = Any  # a CuPy array
Shape = tuple[int, ...]

WORKSPACE = 32 << 20  # bytes: what NVIDIA recommends on Hopper; a fixed one keeps results the same bits
STATUS = {
    1: "NOT_INITIALIZED", 3: "ALLOC_FAILED", 7: "INVALID_VALUE", 8: "ARCH_MISMATCH", 11: "MAPPING_ERROR",
    13: "EXECUTION_FAILED", 14: "INTERNAL_ERROR", 15: "NOT_SUPPORTED", 16: "LICENSE_ERROR",
}  # fmt: skip
DATA_TYPE = {"float32": 0, "float64": 1, "float16": 2}  # cudaDataType
COMPUTE_FP64 = 70  # cublasComputeType_t, as are these, for operands in float32:
COMPUTE = {"fp32": 68, "tf32": 77, "bf16": 75, "fp16": 74}
DEFAULT_ALGORITHM = -1


@attrs.frozen
class Operand:
    """A batch of matrices as cuBLAS takes it, in columns.

    Attributes:
        transposed: whether to take the transpose of what the memory holds in columns.
        leading: elements from one column to the next.
        stride: elements from one matrix of the batch to the next; 0 for the same one each time.
    """

    transposed: bool
    leading: int
    stride: int


@attrs.frozen
class Plan:
    """The arguments of a product in columns, C = op(first) op(second) with C (m, n), for `batch` of them.

    Attributes:
        m: rows of C.
        n: columns of C.
        k: the inner dimension.
        batch: how many products.
        swapped: whether `first` is the second operand of the caller: so it is where C is written in rows.
        first: the first operand in columns.
        second: the second.
        out: C, never transposed.
    """

    m: int
    n: int
    k: int
    batch: int
    swapped: bool
    first: Operand
    second: Operand
    out: Operand


@functools.lru_cache(maxsize=4096)
def plan(
    a_shape: Shape, a_strides: Shape, b_shape: Shape, b_strides: Shape, out_shape: Shape, out_strides: Shape
) -> Plan | None:
    """How to ask cuBLAS for out = a @ b without a copy; None if an array lies in memory as cuBLAS cannot take it.

    Args:
        a_shape: (..., M, K).
        a_strides: in elements, as all strides here.
        b_shape: (..., K, N), with the same leading axes, or without any.
        b_strides: likewise.
        out_shape: (..., M, N); its leading axes are those of the product.
        out_strides: likewise.
    """
    (M, K), N = a_shape[-2:], b_shape[-1]
    a_batch = _batch_stride(a_shape, a_strides, out_shape)
    b_batch = _batch_stride(b_shape, b_strides, out_shape)
    out_batch = _batch_stride(out_shape, out_strides, out_shape)
    batch = math.prod(out_shape[:-2])
    if a_batch is None or b_batch is None or out_batch is None or (out_batch == 0 and batch > 1):
        return None
    a = _in_rows(M, K, a_strides), _in_columns(M, K, a_strides), a_batch
    b = _in_rows(K, N, b_strides), _in_columns(K, N, b_strides), b_batch
    rows, columns = _in_rows(M, N, out_strides), _in_columns(M, N, out_strides)
    if rows is not None:
        first, second = _operand(b, in_rows=True), _operand(a, in_rows=True)
        if first is None or second is None:
            return None
        if b_batch == 0 and not second.transposed and a_batch == M * second.leading and out_batch == M * rows:
            M, batch = M * batch, min(batch, 1)  # one product of all rows
        return Plan(N, M, K, batch, True, first, second, Operand(False, rows, out_batch))
    if columns is not None:
        first, second = _operand(a, in_rows=False), _operand(b, in_rows=False)
        if first is None or second is None:
            return None
        return Plan(M, N, K, batch, False, first, second, Operand(False, columns, out_batch))
    return None


def _in_rows(rows: int, columns: int, strides: Shape) -> int | None:
    """Elements from one row to the next of a matrix whose rows are contiguous; None if they are not."""
    down, across = strides[-2:]
    if columns > 1 and rows and across != 1:
        return None
    if rows <= 1 or not columns:
        return max(1, columns)
    return down if down >= columns else None


def _in_columns(rows: int, columns: int, strides: Shape) -> int | None:
    """Elements from one column to the next of a matrix whose columns are contiguous; None if they are not."""
    return _in_rows(columns, rows, strides[:-2] + strides[:-3:-1])


def _operand(found: tuple[int | None, int | None, int], *, in_rows: bool) -> Operand | None:
    """An operand of a product that is computed from the transposes of the matrices (`in_rows`), or from themselves."""
    rows, columns, stride = found
    plain, transposed = (rows, columns) if in_rows else (columns, rows)
    if plain is not None:
        return Operand(False, plain, stride)
    return None if transposed is None else Operand(True, transposed, stride)


def _batch_stride(shape: Shape, strides: Shape, out_shape: Shape) -> int | None:
    """Elements from one matrix to the next over all leading axes; 0 if there is one for all, None if they vary."""
    leading, batch = shape[:-2], out_shape[:-2]
    if math.prod(leading) == 1:
        return 0
    if leading != batch:
        return None
    axes = [(n, stride) for n, stride in zip(leading, strides, strict=False) if n != 1]
    for (_, outer), (n, inner) in itertools.pairwise(axes):
        if outer != n * inner:
            return None
    return axes[-1][1] if axes[-1][1] >= 0 else None


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
    _call(cupy, planned, a, b, out, alpha, beta, compute)


def _plan_of(a: Array, b: Array, out: Array) -> Plan | None:
    layout = [(x.shape, tuple([s // x.itemsize for s in x.strides])) for x in (a, b, out)]
    return plan(*layout[0], *layout[1], *layout[2])


def _call(cupy: Any, p: Plan, a: Array, b: Array, out: Array, alpha: float, beta: float, compute: str) -> None:
    """Ask cuBLAS on the current stream. The workspace goes back to the pool at once: what gets it next runs later."""
    if max(p.m, p.n, p.k, p.batch, p.first.leading, p.second.leading, p.out.leading) >= 2**31:
        raise ShapeError(f"gemm: {a.shape} @ {b.shape} has a dimension or row of 2**31 elements or more; split it")
    library, handle = load(), _handle(cupy)
    first, second = (b, a) if p.swapped else (a, b)
    kind = DATA_TYPE[out.dtype.name]
    scalar = ctypes.c_double if out.dtype == np.float64 else ctypes.c_float
    workspace = cupy.empty(WORKSPACE, np.uint8)
    check(library.cublasSetStream_v2(handle, cupy.cuda.get_current_stream().ptr), "cublasSetStream")
    check(library.cublasSetWorkspace_v2(handle, workspace.data.ptr, WORKSPACE), "cublasSetWorkspace")
    computed = COMPUTE_FP64 if out.dtype == np.float64 else COMPUTE[compute if out.dtype == np.float32 else "fp32"]
    start = (handle, int(p.first.transposed), int(p.second.transposed), p.m, p.n, p.k, byref(scalar(alpha)))
    A, B, C = ((x.data.ptr, kind, o.leading) for x, o in ((first, p.first), (second, p.second), (out, p.out)))
    end = (computed, DEFAULT_ALGORITHM)
    if p.batch == 1:
        status = library.cublasGemmEx(*start, *A, *B, byref(scalar(beta)), *C, *end)
    else:
        strides = p.first.stride, p.second.stride, p.out.stride
        status = library.cublasGemmStridedBatchedEx(
            *start, *A, strides[0], *B, strides[1], byref(scalar(beta)), *C, strides[2], p.batch, *end
        )
    check(status, f"a product {a.shape} @ {b.shape} of {out.dtype}, computed in {compute}")


def check(status: int, what: str) -> None:
    """Raise DeviceError unless cuBLAS answered `status` 0 to `what`."""
    if status:
        raise DeviceError(f"cuBLAS: {what}: CUBLAS_STATUS_{STATUS.get(status, status)}")


@functools.cache
def load() -> Any:
    """The library cuBLAS, the one that CuPy finds, with its functions declared.

    Raises:
        DeviceError: it cannot be found.
    """
    try:
        pathfinder = importlib.import_module("cuda.pathfinder")  # CuPy 14 needs it, and asks it the same
        library = ctypes.CDLL(pathfinder.load_nvidia_dynamic_lib("cublas").abs_path)
    except (ImportError, OSError, RuntimeError) as error:
        raise DeviceError(
            f"cuBLAS cannot be loaded: {error}; install it with CUDA, or with CuPy as cupy-cuda13x[ctk]"
        ) from error
    operand, scalar = (c_void_p, c_int, c_int), c_void_p
    start, end = (c_void_p, *(c_int,) * 5, scalar), (c_int, c_int)
    batched = (*operand, c_longlong)
    library.cublasCreate_v2.argtypes = (POINTER(c_void_p),)
    library.cublasDestroy_v2.argtypes = (c_void_p,)
    library.cublasSetStream_v2.argtypes = (c_void_p, c_void_p)
    library.cublasSetWorkspace_v2.argtypes = (c_void_p, c_void_p, c_size_t)
    library.cublasGemmEx.argtypes = (*start, *operand, *operand, scalar, *operand, *end)
    library.cublasGemmStridedBatchedEx.argtypes = (*start, *batched, *batched, scalar, *batched, c_int, *end)
    return library


class _Handle:
    """A handle of cuBLAS, destroyed with the thread that made it."""

    def __init__(self, library: Any) -> None:
        self._library = library
        pointer = c_void_p()
        check(library.cublasCreate_v2(byref(pointer)), "cublasCreate")
        self.pointer = pointer.value

    def __del__(self, finalizing: Callable[[], bool] = sys.is_finalizing) -> None:
        if not finalizing() and hasattr(self, "pointer"):  # at the end of the process CUDA may be gone
            self._library.cublasDestroy_v2(self.pointer)


_local = threading.local()


def _handle(cupy: Any) -> int | None:
    """This thread's handle for the current device."""
    library, device = load(), cupy.cuda.Device().id
    handles: dict[Any, _Handle] = _local.__dict__.setdefault("handles", {})
    key = (id(library), device)
    if key not in handles:
        handles[key] = _Handle(library)
    return handles[key].pointer


def prepare() -> None:
    """Load cuBLAS and make this thread's handle for the current device, which a capture does not survive."""
    _handle(require_cupy())
