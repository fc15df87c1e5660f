"""Dropout by a numbered draw: nothing is kept for the backward but the number."""

from typing import Any

import numpy as np

from minitorch.autograd.node import Array
from minitorch.autograd.primitive import primitive
from minitorch.cuda import kernels, xp_of
from minitorch.random import Draw


@primitive
def dropped(a: Array, *, ratio: float, draw: Draw) -> Array:
    """`a` with zeros where the words of `draw` say so, at a share of `ratio`, and the rest times `1 / (1 - ratio)`."""
    xp = xp_of(a)
    if ratio == 1:
        return xp.zeros_like(a)
    if kernels.takes(a) and draw.counter is not None:
        return kernels.dropped(
            kernels.contiguous(a), ratio, seed=draw.seed, step=draw.counter, draw=draw.draw, stream=draw.stream
        )  # fmt: skip
    y = a * mask_of(draw, ratio, a.shape, xp)
    y *= 1.0 / (1.0 - ratio)
    return y


dropped.defvjp(lambda g, y, a, ratio, draw: dropped(g, ratio=ratio, draw=draw))


def mask_of(draw: Draw, ratio: float, shape: tuple[int, ...], xp: Any) -> Array:
    """Where elements are kept: booleans of `shape`, an array of module `xp`; equal on every device."""
    size = int(np.prod(shape, dtype=np.int64))
    return draw.words(size, xp).reshape(shape) >= xp.uint32(min(round(ratio * 2**32), 2**32 - 1))
