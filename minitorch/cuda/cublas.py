"""The library cuBLAS through `ctypes`: loaded where CuPy finds it, with a handle for each thread and device."""

import ctypes
import functools
import importlib
import sys
import threading
from collections.abc import Callable
from ctypes import POINTER, byref, c_int, c_longlong, c_size_t, c_void_p
from typing import Any

import numpy as np

from minitorch.cuda.array_module import require_cupy
from minitorch.cuda.layout import Plan
from minitorch.errors import DeviceError, ShapeError

Array = Any  # a CuPy array

WORKSPACE = 32 << 20  # bytes: what NVIDIA recommends on Hopper; a fixed one keeps results the same bits
STATUS = {
    1: "NOT_INITIALIZED", 3: "ALLOC_FAILED", 7: "INVALID_VALUE", 8: "ARCH_MISMATCH", 11: "MAPPING_ERROR",
    13: "EXECUTION_FAILED", 14: "INTERNAL_ERROR", 15: "NOT_SUPPORTED", 16: "LICENSE_ERROR",
}  # fmt: skip
DATA_TYPE = {"float32": 0, "float64": 1, "float16": 2}  # cudaDataType
COMPUTE_FP64 = 70  # cublasComputeType_t, as are these, for operands in float32:
COMPUTE = {"fp32": 68, "tf32": 77, "bf16": 75, "fp16": 74}
DEFAULT_ALGORITHM = -1


def multiply(cupy: Any, p: Plan, a: Array, b: Array, out: Array, alpha: float, beta: float, compute: str) -> None:
    """Write alpha a @ b + beta out, three arrays that lie as `p` says, by the current stream.

    The workspace goes back to the pool at once: what gets it next runs later.

    Raises:
        ShapeError: a dimension is beyond what cuBLAS counts to.
        DeviceError: cuBLAS cannot be loaded or reports an error.
    """
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
