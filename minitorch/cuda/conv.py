"""Convolution on a device and its two adjoints: columns of pixels, and products of matrices by `gemm`.

The columns of a few images at a time are made, so many as fit into COLUMN_BYTES; a convolution by a kernel of one pixel
needs none. Always the same products are added in the same order. Where cuDNN is installed and has a way, it is asked.
"""

import math
from collections.abc import Iterator
from typing import Any

from minitorch.cuda.array_module import xp_of
from minitorch.cuda.columns import Pair, Window, col2im, im2col
from minitorch.cuda.cudnn import convolve
from minitorch.cuda.gemm import gemm
from minitorch.cuda.kernels import contiguous

Array = Any  # a CuPy array

COLUMN_BYTES = 1 << 28  # of the columns that are there at a time


def conv2d(x: Array, W: Array, window: Window, groups: int) -> Array:
    """Cross-correlate x (N, C, H, W) with W (OC, C/groups, KH, KW): (N, OC, OH, OW)."""
    xp, positions = xp_of(x), window.positions(x.shape[2:])
    y = xp.empty((len(x), len(W), *positions), xp.result_type(x, W))
    if not _is_plain(window) and convolve("y", contiguous(x), contiguous(W), y, window, groups):
        return y
    weights = _by_group(W, groups)
    for images in _runs(x, window, positions):
        gemm(weights, _columns(x[images], window, groups), out=_grouped(y[images], groups))
    return y


def deconv2d(x: Array, W: Array, window: Window, groups: int, size: Pair) -> Array:
    """Spread x (N, OC, OH, OW) by W (OC, C/groups, KH, KW) to images (N, C, *size)."""
    xp = xp_of(x)
    y = xp.empty((len(x), W.shape[1] * groups, *size), xp.result_type(x, W))
    weights = _by_group(W, groups)
    if _is_plain(window):
        gemm(weights, _grouped(contiguous(x), groups), out=_grouped(y, groups), transpose_a=True)
        return y
    if convolve("x", y, contiguous(W), contiguous(x), window, groups):
        return y
    shape = (y.shape[1], *window.kernel, *x.shape[2:])
    for images in _runs(y, window, x.shape[2:]):
        columns = gemm(weights, _grouped(contiguous(x[images]), groups), transpose_a=True)
        y[images] = col2im(columns.reshape((-1, *shape)), window, size)
    return y


def conv2d_weight(x: Array, g: Array, window: Window, groups: int) -> Array:
    """Sum the products of x (N, C, H, W) and g (N, OC, OH, OW) where they meet: (OC, C/groups, KH, KW)."""
    xp = xp_of(x)
    W = xp.empty((g.shape[1], x.shape[1] // groups, *window.kernel), xp.result_type(x, g))
    if not _is_plain(window) and convolve("W", contiguous(x), W, contiguous(g), window, groups):
        return W
    out = _by_group(W, groups)
    for i, images in enumerate(_runs(x, window, g.shape[2:])):
        columns = im2col(x[images], window, by_image=False)
        places = math.prod(columns.shape[3:])
        of_g = contiguous(g[images].swapaxes(0, 1)).reshape((*out.shape[:-1], places))
        of_x = columns.reshape((*out.shape[:-2], out.shape[-1], places))
        gemm(of_g, of_x, out=out, beta=float(i > 0), transpose_b=True)
    return W


def _by_group(W: Array, groups: int) -> Array:
    """W (OC, C/groups, KH, KW) as (OC, C·KH·KW), or of several groups (groups, OC/groups, C/groups·KH·KW)."""
    leading = (groups, len(W) // groups) if groups > 1 else (len(W),)
    return contiguous(W).reshape((*leading, math.prod(W.shape[1:])))


def _grouped(y: Array, groups: int) -> Array:
    """See y (N, C, ...) as (N, C, P), or of several groups as (N, groups, C/groups, P)."""
    channels = (groups, y.shape[1] // groups) if groups > 1 else (y.shape[1],)
    return y.reshape((len(y), *channels, math.prod(y.shape[2:])))


def _columns(x: Array, window: Window, groups: int) -> Array:
    """The columns (N, C·KH·KW, P), or of several groups (N, groups, C/groups·KH·KW, P)."""
    if _is_plain(window):
        return _grouped(contiguous(x), groups)
    col = im2col(x, window)
    return _grouped(col.reshape((len(col), math.prod(col.shape[1:4]), *col.shape[4:])), groups)


def _is_plain(window: Window) -> bool:
    """Whether the window meets every pixel once, alone."""
    return window.kernel == window.stride == (1, 1) and window.pad == (0, 0)


def _runs(x: Array, window: Window, positions: Pair) -> Iterator[slice]:
    """Slices of the images x (N, C, H, W), as many in each as fit; at least one slice."""
    each = x.shape[1] * math.prod(window.kernel) * math.prod(positions) * x.itemsize
    count = len(x) if _is_plain(window) else max(1, COLUMN_BYTES // max(each, 1))
    return (slice(i, i + count) for i in range(0, max(len(x), 1), max(count, 1)))
