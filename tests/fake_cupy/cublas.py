"""The stand-in for the library cuBLAS as `minitorch.cuda.cublas` calls it: products of matrices in columns, by address.

It computes from the raw addresses that it is given, as cuBLAS does, and refuses what does not lie inside one array.
"""

import importlib
import itertools
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import attrs
import numpy as np

from fake_cupy import traffic
from fake_cupy.array import do
from fake_cupy.cuda import machine

Array = np.ndarray[Any, Any]

DTYPES = {0: np.float32, 1: np.float64, 2: np.float16}  # by cudaDataType
INVALID_VALUE, NOT_INITIALIZED = 7, 1


@attrs.define
class Handle:
    """What a handle of cuBLAS remembers."""

    stream: int = 0
    workspace: int = 0


@attrs.define
class Library:
    """The functions of the library, each of which returns a status, and the names of those called."""

    handles: dict[int, Handle] = attrs.field(factory=dict)
    calls: list[tuple[str, int]] = attrs.field(factory=list)  # with the compute type of products
    _numbers: Iterator[int] = attrs.field(factory=lambda: itertools.count(1))

    def cublasCreate_v2(self, handle: Any) -> int:  # noqa: N802  # as the library names it; so below
        """Make a handle, which a capture does not survive."""
        inside = traffic.capture()
        if inside is not None:
            inside.valid = False
            return NOT_INITIALIZED
        handle._obj.value = next(self._numbers)
        self.handles[handle._obj.value] = Handle()
        return 0

    def cublasDestroy_v2(self, handle: int) -> int:  # noqa: N802
        """Forget a handle."""
        del self.handles[handle]
        return 0

    def cublasSetStream_v2(self, handle: int, stream: int) -> int:  # noqa: N802
        """Set the stream, and the workspace back."""
        self.handles[handle] = Handle(stream)
        return 0

    def cublasSetWorkspace_v2(self, handle: int, address: int, size: int) -> int:  # noqa: N802
        """Set the workspace."""
        _array_with(address, size)
        self.handles[handle].workspace = size
        return 0

    def cublasGemmEx(  # noqa: N802
        self, handle: int, op_a: int, op_b: int, m: int, n: int, k: int, alpha: Any, a: int, a_type: int, lda: int,
        b: int, b_type: int, ldb: int, beta: Any, c: int, c_type: int, ldc: int, compute: int, algorithm: int,
    ) -> int:  # fmt: skip
        """C = alpha op(A) op(B) + beta C."""
        return self._gemm(
            "cublasGemmEx", handle, op_a, op_b, m, n, k, alpha, (a, a_type, lda, 0), (b, b_type, ldb, 0), beta,
            (c, c_type, ldc, 0), 1, compute,
        )  # fmt: skip

    def cublasGemmStridedBatchedEx(  # noqa: N802
        self, handle: int, op_a: int, op_b: int, m: int, n: int, k: int, alpha: Any, a: int, a_type: int, lda: int,
        stride_a: int, b: int, b_type: int, ldb: int, stride_b: int, beta: Any, c: int, c_type: int, ldc: int,
        stride_c: int, batch: int, compute: int, algorithm: int,
    ) -> int:  # fmt: skip
        """The same for each of a batch."""
        return self._gemm(
            "cublasGemmStridedBatchedEx", handle, op_a, op_b, m, n, k, alpha, (a, a_type, lda, stride_a),
            (b, b_type, ldb, stride_b), beta, (c, c_type, ldc, stride_c), batch, compute,
        )  # fmt: skip

    def _gemm(
        self, name: str, handle: int, op_a: int, op_b: int, m: int, n: int, k: int, alpha: Any, a: Any, b: Any,
        beta: Any, c: Any, batch: int, compute: int,
    ) -> int:  # fmt: skip
        stream = 0 if traffic.current.stream is None else traffic.current.stream.ptr
        assert self.handles[handle] == Handle(stream, 32 << 20), "set the current stream, then a workspace of 32 MiB"
        rows_a, rows_b = (k if op_a else m), (n if op_b else k)
        if min(m, n, k, batch) < 0 or a[2] < max(1, rows_a) or b[2] < max(1, rows_b) or c[2] < max(1, m):
            return INVALID_VALUE
        self.calls.append((name, compute))
        machine.work.append(name)
        A, B = (_matrices(x, r, s, batch) for x, r, s in ((a, rows_a, m if op_a else k), (b, rows_b, k if op_b else n)))
        C = _matrices(c, m, n, batch)
        scale_of = np.float64 if C.dtype == np.float64 else np.float32
        by, keep = scale_of(alpha._obj.value), scale_of(beta._obj.value)

        def work() -> None:
            product = (A.swapaxes(1, 2) if op_a else A) @ (B.swapaxes(1, 2) if op_b else B)
            C[...] = by * product + keep * C if keep else by * product  # with beta 0, C is not read

        do(work, [])
        return 0


def _matrices(x: tuple[int, int, int, int], rows: int, columns: int, batch: int) -> Array:
    """A batch of matrices in columns as NumPy has them, (batch, rows, columns), in the memory at an address."""
    address, kind, leading, stride = x
    dtype = np.dtype(DTYPES[kind])
    size = (batch - 1) * stride + (columns - 1) * leading + rows if min(batch, rows, columns) else 0
    buffer = _array_with(address, size * dtype.itemsize)
    strides = tuple([dtype.itemsize * s for s in (stride, 1, leading)])
    offset = address - buffer.ctypes.data if size else 0
    return np.ndarray((batch, rows, columns), dtype, buffer, offset, strides)


def _array_with(address: int, size: int) -> Array:
    """The bytes of the one live array of the device that holds all `size` bytes at `address`."""
    owner = traffic.owner_of(address, size)
    assert owner is not None, f"cuBLAS was given {size} bytes at {address:#x}, which lie in no array of the device"
    a = owner._np
    return a.transpose(sorted(range(a.ndim), key=lambda i: -a.strides[i])).reshape(-1).view(np.uint8)


@contextmanager
def installed() -> Iterator[Library]:
    """Make `minitorch.cuda.cublas` find the stand-in as its library, a new one."""
    module = importlib.import_module("minitorch.cuda.cublas")
    before, library = module.load, Library()
    module.load = lambda: library
    try:
        yield library
    finally:
        module.load = before
