"""sigmoid and relu of large arrays on the host, forward and backward, block by block and by all threads."""

from collections.abc import Callable
from typing import Any

import numpy as np

from minitorch.cpu.threads import parallel

Array = Any  # a NumPy array

LARGE = 1 << 15  # elements from which on blocks pay
BLOCK = 1 << 17  # elements in one task: fewer are done before another thread wakes up


def takes(a: Any, b: Any) -> bool:
    """Whether these are large arrays of the host in C order, of one shape and floating dtype."""
    if not (isinstance(a, np.ndarray) and isinstance(b, np.ndarray)) or a.size < LARGE or a.shape != b.shape:
        return False
    return a.dtype == b.dtype and a.dtype.kind == "f" and a.flags.c_contiguous and b.flags.c_contiguous


def sigmoid(a: Array) -> Array:
    """`tanh(a / 2) / 2 + 1 / 2`."""

    def kernel(a: Array, out: Array) -> None:
        np.multiply(a, 0.5, out=out)
        np.tanh(out, out=out)
        out *= 0.5
        out += 0.5

    return _by_blocks(kernel, a)


def sigmoid_slope(g: Array, y: Array) -> Array:
    """`g * (y * (1 - y))`."""

    def kernel(g: Array, y: Array, out: Array) -> None:
        np.subtract(1, y, out=out)
        out *= y
        out *= g

    return _by_blocks(kernel, g, y)


def relu(a: Array) -> Array:
    """`max(a, 0)`."""
    return _by_blocks(lambda a, out: np.maximum(a, 0, out=out), a)


def relu_slope(g: Array, y: Array) -> Array:
    """`g` where `y` is above 0, else 0."""
    return _by_blocks(lambda g, y, out: np.multiply(g, y > 0, out=out), g, y)


def _by_blocks(kernel: Callable[..., Any], *arrays: Array) -> Array:
    """Call `kernel(*blocks, out)` for each block of the arrays; returns the array of the outs."""
    result = np.empty_like(arrays[0])
    flat = [a.reshape(-1) for a in (*arrays, result)]

    def task(i: int) -> None:
        kernel(*[a[i * BLOCK : (i + 1) * BLOCK] for a in flat])

    parallel(task, -(-result.size // BLOCK))
    return result
