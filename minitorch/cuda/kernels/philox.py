"""Random bits drawn on the device, the same as `minitorch.random` draws on the host, and dropout by them.

The number of the training step is read from device memory, so a replayed graph draws anew in every step.
"""

import zlib
from typing import Any

import numpy as np

from minitorch.cuda.array_module import xp_of
from minitorch.cuda.kernels.kernel import blocks_for, kernel

Array = Any

DRAW = np.dtype([("seed", np.uint64), ("stream", np.uint64), ("draw", np.uint64)])


@kernel("philox")
def random_words(out: Array, step: Array, draw: Array, size: int) -> None:
    """out: the first `size` words of 32 bits of the draw."""
    philox = np.random.Philox(
        key=np.array([draw["seed"], draw["stream"]], np.uint64),
        counter=np.array([0, draw["draw"], step, 0], np.uint64),
    )
    out[...] = philox.random_raw((size + 1) // 2).view(np.uint32)[:size]


@kernel("philox")
def dropout(x: Array, y: Array, step: Array, draw: Array, size: int, least: int, scale: float) -> None:
    """`y = x scale` where the word of the draw is at least `least`, else 0; y may be x."""
    words = np.empty(size, np.uint32)
    random_words.reference(words, step, draw, size)
    y[...] = x * ((words >= least) * scale).reshape(x.shape)


def draw_of(stream: str, *, seed: int, draw: int) -> Any:
    """What tells one draw of a step from the others, as `minitorch.random` does, to be passed by value."""
    return np.array((seed, zlib.crc32(stream.encode()), draw), DRAW)


def random_bits(stream: str, size: int, *, seed: int, step: Array, draw: int) -> Array:
    """`size` random uint32: what `minitorch.random.bits` gives in the same state, on the device of `step`.

    Args:
        stream: names the purpose.
        size: how many.
        seed: of all random numbers.
        step: the number of the training step: int64, 0-d, on the device.
        draw: the number of the draw in this step.
    """
    out = xp_of(step).empty(size, np.uint32)
    random_words(blocks_for(size, 2048), out, step, draw_of(stream, seed=seed, draw=draw), np.int32(size))
    return out


def dropped(x: Array, ratio: float, *, seed: int, step: Array, draw: int, stream: str = "dropout") -> Array:
    """`x` with each element 0 with probability `ratio`, the others scaled to keep the mean; the gradient's rule too.

    Nothing is stored for the backward: given the same draw, the same elements are dropped of the gradient.
    """
    y = xp_of(x).empty_like(x)
    if ratio == 1:
        y.fill(0)
        return y
    least = min(round(ratio * 2**32), 2**32 - 1)
    dropout(
        blocks_for(x.size, 2048), x, y, step, draw_of(stream, seed=seed, draw=draw), np.int32(x.size),
        np.uint32(least), np.float32(1 / (1 - ratio)),
    )  # fmt: skip
    return y
