"""Products of matrices by oneDNN's `dnnl_sgemm`, where they are large enough for it to be faster than OpenBLAS."""

from typing import Any

import numpy as np

from minitorch.config import Config
from minitorch.cpu.onednn.library import check, find, on_one_thread

Array = np.ndarray[Any, Any]

WORK = 1 << 22  # multiplications from which on it is the faster one, by a tenth on a processor with AVX-512,
ROWS, COLUMNS = 16, 128  # if the result has at least so many of them;
LONG, NARROW = 512, 32  # or, where sums are so long, so many columns


def takes(a: Array, b: Array) -> bool:
    """Whether oneDNN computes `a @ b`: large matrices of float32, with no gaps in their rows or in their columns."""
    if a.ndim != 2 or b.ndim != 2 or len(a) < ROWS or len(a) * b.size < WORK:
        return False
    if b.shape[1] < (NARROW if len(b) >= LONG and b.flags.c_contiguous else COLUMNS):
        return False
    if a.shape[1] != len(b):  # NumPy says what is wrong
        return False
    if a.dtype != np.float32 or b.dtype != np.float32 or _form(a) is None or _form(b) is None:
        return False
    return Config.use_onednn and find().library is not None


def multiply(a: Array, b: Array, out: Array, *, add: bool = False) -> None:
    """Write `a @ b` to `out`, the rows of which have no gaps, or `add` it; on the thread that calls.

    a and b: matrices that `takes` takes, or some of their rows and columns.
    """
    assert out.strides[1] == out.itemsize
    (turned_a, step_a), (turned_b, step_b) = [form for form in (_form(a), _form(b)) if form is not None]
    with on_one_thread:
        status = find().library.dnnl_sgemm(
            turned_a, turned_b, *out.shape, a.shape[1], 1.0, a.ctypes.data, step_a, b.ctypes.data, step_b,
            float(add), out.ctypes.data, out.strides[0] // out.itemsize,
        )  # fmt: skip
    check(status, f"dnnl_sgemm of {a.shape} and {b.shape}")


def _form(a: Array) -> tuple[bytes, int] | None:
    """Whether a matrix lies by rows or by columns, as BLAS says it, and how far apart; None for other matrices."""
    size = a.itemsize
    for letter, (along, across), length in ((b"N", a.strides, a.shape[1]), (b"T", a.strides[::-1], len(a))):
        if across == size and along >= length * size and along % size == 0:
            return letter, along // size
    return None
