"""Activations of arrays on the host, forward and backward: of large ones block by block and by all threads."""

from collections.abc import Callable
from typing import Any

import attrs
import numpy as np

from minitorch.cpu.threads import parallel

Array = Any  # a NumPy array

LARGE = 1 << 15  # elements from which on blocks pay
BLOCK = 1 << 17  # elements in one task: fewer are done before another thread wakes up


@attrs.frozen
class Activation:
    """An activation as kernels that write to arrays of the shape and dtype of their arguments.

    Attributes:
        apply: `apply(z, y)` makes `y` of `z`, which may be the same array; else, with `keeps`, what `slope` needs is
            left in `z`.
        slope: `slope(g, kept, dz)` writes the gradient for `z`; `kept` is `y`, or what `apply` has left.
        keeps: whether `slope` needs something else than `y`.
    """

    apply: Callable[[Array, Array], object]
    slope: Callable[[Array, Array, Array], object]
    keeps: bool = False


def _sigmoid(z: Array, y: Array) -> None:
    """`tanh(z / 2) / 2 + 1 / 2`."""
    np.multiply(z, 0.5, out=y)
    np.tanh(y, out=y)
    y *= 0.5
    y += 0.5


def _sigmoid_slope(g: Array, y: Array, dz: Array) -> None:
    np.subtract(1, y, out=dz)
    dz *= y
    dz *= g


def _tanh_slope(g: Array, y: Array, dz: Array) -> None:
    np.multiply(y, y, out=dz)
    np.subtract(1, dz, out=dz)
    dz *= g


def _relu_slope(g: Array, y: Array, dz: Array) -> None:
    np.greater(y, 0, out=dz)
    dz *= g


SIGMOID = Activation(_sigmoid, _sigmoid_slope)
TANH = Activation(lambda z, y: np.tanh(z, out=y), _tanh_slope)
RELU = Activation(lambda z, y: np.maximum(z, 0, out=y), _relu_slope)


def takes(a: Any, b: Any) -> bool:
    """Whether these are large arrays of the host in C order, of one shape and floating dtype."""
    if not (isinstance(a, np.ndarray) and isinstance(b, np.ndarray)) or a.size < LARGE or a.shape != b.shape:
        return False
    return a.dtype == b.dtype and a.dtype.kind == "f" and a.flags.c_contiguous and b.flags.c_contiguous


def by_blocks(kernel: Callable[..., object], *arrays: Array, per_thread: int = 1) -> Array:
    """Call `kernel(*blocks, out)` for each block of the arrays; returns the array of the outs.

    A thread gets `per_thread` blocks or more.
    """
    result = np.empty_like(arrays[0])
    flat = [a.reshape(-1) for a in (*arrays, result)]

    def task(i: int) -> None:
        kernel(*[a[i * BLOCK : (i + 1) * BLOCK] for a in flat])

    parallel(task, -(-result.size // BLOCK), per_thread=per_thread)
    return result
