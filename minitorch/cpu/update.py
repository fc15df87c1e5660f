"""Optimizer updates on the host: in place, in blocks that stay in the cache, with no temporary of a parameter's size.

Every function takes flat views of one parameter `p`, its gradient `g` and its state, all of one shape and dtype.
"""

import threading
from collections.abc import Iterator
from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]

BLOCK = 1 << 16  # elements: 256 KiB of float32, so that the five arrays of Adam stay in a second-level cache


class _Scratch(threading.local):
    """Two blocks of memory for each thread and dtype."""

    def __init__(self) -> None:
        self.blocks: dict[Any, tuple[Array, Array]] = {}

    def get(self, dtype: Any) -> tuple[Array, Array]:
        if dtype not in self.blocks:
            self.blocks[dtype] = np.empty(BLOCK, dtype), np.empty(BLOCK, dtype)
        return self.blocks[dtype]


_scratch = _Scratch()


def blocks(*arrays: Array) -> Iterator[tuple[Array, ...]]:
    """The arrays, which are of one shape and dtype, in blocks side by side; after them two blocks of scratch memory.

    The blocks are views: what is written to them is written to the arrays.
    """
    if not all(a.flags.c_contiguous for a in arrays):  # cannot be seen flat: as one block, whatever its size
        yield (*arrays, np.empty_like(arrays[0]), np.empty_like(arrays[0]))
        return
    first, second = _scratch.get(arrays[0].dtype)
    size = arrays[0].size
    flat = [a.reshape(-1) for a in arrays]
    for start in range(0, size, BLOCK):
        stop = min(start + BLOCK, size)
        yield (*[a[start:stop] for a in flat], first[: stop - start], second[: stop - start])


def sgd(p: Array, g: Array, lr: float) -> None:
    """`p -= lr * g`."""
    for pb, gb, s, _ in blocks(p, g):
        np.multiply(gb, lr, out=s)
        pb -= s


def add_scaled(p: Array, a: Array, scale: float) -> None:
    """`p += scale * a`."""
    sgd(p, a, -scale)


def momentum(p: Array, g: Array, v: Array, lr: float, momentum: float) -> None:
    """`v = momentum * v - lr * g`, then `p += v`."""
    for pb, gb, vb, s, _ in blocks(p, g, v):
        vb *= momentum
        np.multiply(gb, lr, out=s)
        vb -= s
        pb += vb


def adam(
    p: Array, g: Array, m: Array, v: Array, *, step: float, beta1: float, beta2: float, root: float, eps: float
) -> None:
    """Moments `m`, `v` of `g`, then `p -= step * m / (sqrt(v) / root + eps)`."""
    for pb, gb, mb, vb, s, r in blocks(p, g, m, v):
        np.multiply(gb, 1 - beta1, out=s)
        mb *= beta1
        mb += s
        np.multiply(gb, gb, out=s)
        s *= 1 - beta2
        vb *= beta2
        vb += s
        np.sqrt(vb, out=s)
        s *= 1 / root
        s += eps
        np.divide(mb, s, out=r)
        r *= step
        pb -= r
