"""The pixels under each position of a sliding kernel, gathered, and added back: each the adjoint of the other."""

import numpy as np

from minitorch.autograd.node import Array
from minitorch.autograd.primitive import primitive
from minitorch.cpu.blocks import in_blocks
from minitorch.cpu.window import Pair, Window
from minitorch.cuda import columns, xp_of


@primitive
def im2col(x: Array, *, window: Window) -> Array:
    """Gather from x (N, C, H, W), zeros around it: (N, C, KH, KW, OH, OW)."""
    if xp_of(x) is not np:
        return columns.im2col(x, window)
    met = columns.as_met(x, window)
    if not met.size:
        return np.zeros(met.shape, x.dtype)
    col = np.empty(met.shape, x.dtype)
    in_blocks(lambda col, met: np.copyto(col, met), col, met)
    return col


@primitive
def col2im(col: Array, *, window: Window, size: Pair) -> Array:
    """Add col (N, C, KH, KW, OH, OW) up to images (N, C, *size)."""
    if xp_of(col) is not np:
        return columns.col2im(col, window, size)
    x = np.zeros((*col.shape[:2], *size), col.dtype)
    kh, kw, *positions = col.shape[2:]

    def add(x: Array, col: Array) -> None:
        for i in range(kh):
            down, pixels_down = window.meets(0, i, size[0], positions[0])
            for j in range(kw):
                across, pixels_across = window.meets(1, j, size[1], positions[1])
                x[:, :, pixels_down, pixels_across] += col[:, :, i, j, down, across]

    in_blocks(add, x, col)
    return x


im2col.defvjp(lambda g, y, x, window: col2im(g, window=window, size=x.shape[2:]))
col2im.defvjp(lambda g, y, col, window, size: im2col(g, window=window))
