"""The gradient of max pooling by oneDNN: who was the largest is found once more, and remembered in a byte a position.

The forward is left to NumPy: oneDNN's takes NaN for less than any number, and would hide it.
"""

from functools import lru_cache
from typing import Any

import numpy as np

from minitorch.cpu.columns import parts
from minitorch.cpu.onednn import library
from minitorch.cpu.onednn.primitive import (
    DIFF_DST,
    DIFF_SRC,
    DST,
    FORWARD_TRAINING,
    SRC,
    WORKSPACE,
    Primitive,
    plain,
    primitive,
)
from minitorch.cpu.scratch import scratch
from minitorch.cpu.threads import parallel
from minitorch.cpu.window import Window

Array = np.ndarray[Any, Any]
Shape = tuple[int, ...]

MAX = 511  # dnnl_pooling_max
LEAST = 1 << 15  # pixels in all, below which calls take longer than NumPy
CHANNELS = 16  # least: with fewer the vectors of the kernel stay empty
IN_TASK = 1 << 17  # pixels at least, in whole images
TASKS = 16  # at most


def max_pool_gradient(g: Array, x: Array, y: Array, window: Window) -> Array | None:
    """`g` (N, C, OH, OW) given to the first pixel of x (N, C, H, W) that is the largest, `y`, at each position.

    None where oneDNN is not used: where it has no kernel, for little, and where a largest pixel is no finite number.
    """
    if x.size < LEAST or x.shape[1] < CHANNELS or not library.takes(g, x, y) or not np.isfinite(y).all():
        return None
    runs = parts(len(x), min(TASKS, max(1, x.size // IN_TASK)))
    pairs = [_primitives((r.stop - r.start, *x.shape[1:]), (r.stop - r.start, *y.shape[1:]), window) for r in runs]
    made = [pair for pair in pairs if pair is not None]
    if len(made) < len(runs):
        return None
    gx = np.empty_like(x)

    def task(i: int) -> None:
        run, (forward, backward) = runs[i], made[i]
        places = scratch("onednn places", (forward.layout(WORKSPACE).size,), np.dtype(np.uint8))
        largest = scratch("onednn largest", y[run].shape, y.dtype)
        forward.run({SRC: x[run], DST: largest, WORKSPACE: places})
        backward.run({DIFF_DST: g[run], DIFF_SRC: gx[run], WORKSPACE: places})

    parallel(task, len(runs))
    return gx


@lru_cache(maxsize=256)
def _primitives(x: Shape, y: Shape, window: Window) -> tuple[Primitive, Primitive] | None:
    """Forward and backward, for images and output of these shapes."""
    sizes = zip(x[2:], y[2:], window.kernel, window.stride, window.pad, strict=True)
    after = tuple([max(0, (places - 1) * stride + kernel - size - pad) for size, places, kernel, stride, pad in sizes])
    described = plain(x), plain(y), window.stride, window.kernel, (0, 0), window.pad, after
    forward = primitive("pooling_forward", FORWARD_TRAINING, MAX, *described)
    backward = None if forward is None else primitive("pooling_backward", MAX, *described, forward=forward)
    if forward is None or backward is None or "jit" not in backward.implementation:
        return None
    return forward, backward
