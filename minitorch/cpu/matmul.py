"""Products of matrices on the host, cut into blocks that the threads share out, with BLAS on one thread in each.

BLAS libraries share a product out themselves, but their threads spin while they wait: beside a busy neighbour that
takes many times longer, and the bits depend on the number of threads. Here a product waits for no thread that does
nothing for it, and the cut depends on the shapes alone. Where oneDNN is installed it computes the large ones.
"""

import math
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import numpy as np

from minitorch.cpu import blas
from minitorch.cpu.onednn import gemm
from minitorch.cpu.threads import parallel

Array = Any  # a NumPy array

SMALL = 1 << 18  # multiplications up to which OpenBLAS stays on one thread by itself
WORTH_SHARING = 1 << 24  # multiplications: about 0.2 ms, several times what waking up a thread costs
IN_TASK = 1 << 25  # multiplications at least where there are more than two tasks: each packs the operands anew
MOST = 16  # tasks
ALIGNED = 16  # columns or rows: whole vectors


def matmul(a: Array, b: Array) -> Array:
    """`a @ b`, as of NumPy."""
    work = a.size * b.shape[-1]
    if a.ndim == 2 and work <= SMALL:
        return np.matmul(a, b)
    count = tasks(work)
    if count < 2 or a.dtype != b.dtype or a.ndim < 2 or a.shape[:-2] != b.shape[:-2] or a.shape[-1] != b.shape[-2]:
        if gemm.takes(a, b):
            gemm.multiply(a, b, out := np.empty((len(a), b.shape[1]), a.dtype))
            return out
        with blas.on_one_thread:
            return np.matmul(a, b)
    out = np.empty((*a.shape[:-1], b.shape[-1]), a.dtype)
    if a.ndim == 2:
        _share_out(a, b, out, count)
    else:
        _share_out_stack(a, b, out, count)
    return out


def tasks(work: int) -> int:
    """Into how many a product of so many multiplications is cut: a power of two, as of most machines' cores."""
    most = min(MOST, max(work // IN_TASK, 2 if work >= WORTH_SHARING else 1))
    return 1 << most.bit_length() - 1


def multiplier(a: Array, b: Array) -> Callable[..., None]:
    """A function `f(a, b, out, add=False)` for these matrices or parts of them: it writes `a @ b` to `out`, or adds it.

    To be chosen before the work is shared out to tasks, in which it computes on the thread that calls it: whether
    oneDNN is used is a flag of the thread that asks.
    """
    return gemm.multiply if gemm.takes(a, b) else multiply


def multiply(a: Array, b: Array, out: Array, *, add: bool = False) -> None:
    """Write `a @ b` to `out`, or `add` it, by NumPy."""
    if add:
        out += np.matmul(a, b)
    else:
        np.matmul(a, b, out=out)


def _share_out(a: Array, b: Array, out: Array, count: int) -> None:
    """Cut `out` into blocks near to squares, since each packs its part of a and of b; higher rather than wider."""
    m, n = out.shape
    down = min(count, 1 << max(0, math.ceil(math.log2(count * m / n) / 2)))
    rows, columns = _cut(m, down), _cut(n, count // down)
    into = multiplier(a, b)

    def task(i: int) -> None:
        row, column = rows[i // len(columns)], columns[i % len(columns)]
        into(a[row], b[:, column], out[row, column])

    parallel(task, count)


def _cut(length: int, count: int) -> list[slice]:
    at = [length * i // count // ALIGNED * ALIGNED for i in range(count)] + [length]
    return [slice(*pair) for pair in pairwise(at)]


def _share_out_stack(a: Array, b: Array, out: Array, count: int) -> None:
    """Cut the first axis of which there is more than one."""
    axis = next((i for i, size in enumerate(out.shape[:-2]) if size > 1), 0)
    before = (slice(None),) * axis
    length = out.shape[axis]
    count = min(count, length)

    def task(i: int) -> None:
        at = (*before, slice(length * i // count, length * (i + 1) // count))
        np.matmul(a[at], b[at], out=out[at])

    parallel(task, count)
