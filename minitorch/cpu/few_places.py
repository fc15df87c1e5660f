"""Convolution at few places by many weights: one product each way, that reads the weights once, as they lie.

The last layers of a network have many channels and few pixels. Columns of all images are made together, images along
the last axis, so that rows of them are long enough to be copied and added fast.
"""

import math
from typing import Any

import numpy as np

from minitorch.cpu.columns import parts
from minitorch.cpu.matmul import tasks
from minitorch.cpu.onednn import gemm
from minitorch.cpu.scratch import scratch
from minitorch.cpu.threads import parallel
from minitorch.cpu.window import Pair, Window

Array = np.ndarray[Any, Any]

PLACES = 256  # at most, in all images together
WEIGHTS = 1 << 15  # at least


def takes(W: Array, images: int, positions: Pair, groups: int) -> bool:
    """Whether a convolution by W (OC, C/groups, KH, KW), whose kernel stands at so many positions, is one of these."""
    places = images * math.prod(positions)
    return groups == 1 and 0 < places <= PLACES and W.size >= WEIGHTS


def conv2d(x: Array, W: Array, b: Array | None, y: Array, window: Window) -> None:
    """Write to y (N, OC, OH, OW) what `cpu.conv.conv2d` of x (N, C, H, W), W (OC, C, KH, KW) and b (OC,) is."""
    product = scratch("places product", (len(W), len(y) * math.prod(y.shape[2:])), y.dtype)
    _multiply(W.reshape(len(W), -1), _columns(x, window, y.shape[2:]), product)
    if b is not None:
        product += b[:, None]
    y[...] = product.reshape(*y.shape[1:], len(y)).transpose(3, 0, 1, 2)


def conv2d_weight(x: Array, g: Array, W: Array, window: Window) -> None:
    """Write to W (OC, C, KH, KW) what `cpu.conv.conv2d_weight` of x (N, C, H, W) and g (N, OC, OH, OW) is."""
    _multiply(_images_last(g), _columns(x, window, g.shape[2:]).T, W.reshape(len(W), -1))


def deconv2d(g: Array, W: Array, x: Array, window: Window) -> None:
    """Write to x (N, C, H, W) what `cpu.conv.deconv2d` of g (N, OC, OH, OW) and W (OC, C, KH, KW) is."""
    columns = scratch("places columns", (W[0].size, len(g) * math.prod(g.shape[2:])), x.dtype)
    _multiply(W.reshape(len(W), -1).T, _images_last(g), columns)
    padded = _padded(x, window)
    padded.fill(0)
    met = _met(padded, window, g.shape[2:])
    columns = columns.reshape(met.shape)
    for i, j in np.ndindex(window.kernel):  # one by one, since they overlap
        met[:, i, j] += columns[:, i, j]
    (ph, pw), (h, w) = window.pad, x.shape[2:]
    x[...] = padded[:, ph : ph + h, pw : pw + w].transpose(3, 0, 1, 2)


def _multiply(a: Array, b: Array, out: Array) -> None:
    """Write `a @ b` to `out`, rows of it shared out to the threads."""
    multiply = gemm.multiply if gemm.takes(a, b) else np.matmul
    blocks = parts(len(out), tasks(a.size * b.shape[1]))

    def task(i: int) -> None:
        multiply(a[blocks[i]], b, out[blocks[i]])

    parallel(task, len(blocks))


def _images_last(g: Array) -> Array:
    """G (N, OC, OH, OW) as a matrix (OC, OH·OW·N)."""
    slopes = scratch("places slopes", (*g.shape[1:], len(g)), g.dtype)
    np.copyto(slopes, g.transpose(1, 2, 3, 0))
    return slopes.reshape(g.shape[1], -1)


def _columns(x: Array, window: Window, positions: Pair) -> Array:
    """The pixels of x (N, C, H, W) that each element of the kernel meets: (C·KH·KW, OH·OW·N)."""
    padded = _padded(x, window)
    padded.fill(0)
    (ph, pw), (h, w) = window.pad, x.shape[2:]
    padded[:, ph : ph + h, pw : pw + w] = x.transpose(1, 2, 3, 0)
    met = _met(padded, window, positions)
    columns = scratch("places columns", met.shape, x.dtype)
    np.copyto(columns, met)
    return columns.reshape(x.shape[1] * math.prod(window.kernel), -1)


def _padded(x: Array, window: Window) -> Array:
    """Space for images like x with their padding, (C, H, W, N)."""
    n, c, h, w = x.shape
    return scratch("places padded", (c, h + 2 * window.pad[0], w + 2 * window.pad[1], n), x.dtype)


def _met(padded: Array, window: Window, positions: Pair) -> Array:
    """A view of images (C, H, W, N) as each element of the kernel meets them: (C, KH, KW, OH, OW, N)."""
    c, h, w, n = padded.strides
    (sh, sw), (dh, dw) = window.stride, window.dilation
    shape = (len(padded), *window.kernel, *positions, padded.shape[3])
    return np.lib.stride_tricks.as_strided(padded, shape, (c, h * dh, w * dw, h * sh, w * sw, n))
