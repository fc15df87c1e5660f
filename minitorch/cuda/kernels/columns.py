"""Pixels under a window as columns of a matrix (im2col), so that a convolution is a product, and back (col2im)."""

from typing import Any

import numpy as np

from minitorch.cuda.array_module import xp_of
from minitorch.cuda.kernels.kernel import blocks_for, kernel
from minitorch.cuda.kernels.window import Pair, add_to_pixels, pixels_met, window_of

Array = Any

BY_IMAGE, BY_PLACE = (0, 1, 2, 3, 4, 5), (1, 2, 3, 0, 4, 5)  # the axes of (N, C, KH, KW, OH, OW), as columns have them


@kernel("columns")
def gather_columns(x: Array, columns: Array, w: Any, images: int, channels: int, by_image: int) -> None:
    """columns: (N, C KH KW, OH OW) if `by_image`, else (C KH KW, N OH OW), of x (N, C, H, W)."""
    columns[...] = pixels_met(x, w, 0).transpose(BY_IMAGE if by_image else BY_PLACE).reshape(columns.shape)


@kernel("columns")
def sum_columns(columns: Array, x: Array, w: Any, images: int, channels: int, by_image: int) -> None:
    """x: for each pixel the sum of all elements of the columns that were taken from it."""
    shape = (images, channels, *(int(w[name]) for name in ("kernel_h", "kernel_w", "rows", "columns")))
    axes = BY_IMAGE if by_image else BY_PLACE
    met = columns.reshape([shape[axis] for axis in axes]).transpose(np.argsort(axes))
    x[...] = 0
    add_to_pixels(x, met, w)


def im2col(x: Array, kernel: Pair, stride: Pair, pad: Pair, dilation: Pair = (1, 1), *, by_image: bool = True) -> Array:
    """What the window meets at each position, 0 in the padding, for x (N, C, H, W).

    Returns:
        If `by_image` (N, C*KH*KW, OH*OW): a product with weights (OC, C*KH*KW) for each image gives (N, OC, OH*OW).
        Else (C*KH*KW, N*OH*OW): one product for all images.
    """
    n, channels, *size = x.shape
    w = window_of(tuple(size), kernel, stride, pad, dilation)
    places, positions = channels * kernel[0] * kernel[1], int(w["rows"]) * int(w["columns"])
    shape = (n, places, positions) if by_image else (places, n * positions)
    columns = xp_of(x).empty(shape, np.float32)
    gather_columns(blocks_for(columns.size), x, columns, w, np.int32(n), np.int32(channels), np.int32(by_image))
    return columns


def col2im(
    columns: Array, shape: tuple[int, int, int, int], kernel: Pair, stride: Pair, pad: Pair, dilation: Pair = (1, 1), *,
    by_image: bool = True,
) -> Array:  # fmt: skip
    """The adjoint of `im2col`: images of `shape` (N, C, H, W), each pixel the sum of what was taken from it."""
    w = window_of(shape[2:], kernel, stride, pad, dilation)
    x = xp_of(columns).empty(shape, np.float32)
    sum_columns(blocks_for(x.size), columns, x, w, np.int32(shape[0]), np.int32(shape[1]), np.int32(by_image))
    return x
