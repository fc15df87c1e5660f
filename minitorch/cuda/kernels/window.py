"""The geometry of a convolution or a pooling, as its kernels take it by value; and their references' view of it."""

from collections.abc import Iterator
from typing import Any

import numpy as np

from minitorch.errors import ShapeError

Array = Any
Pair = tuple[int, int]  # of heights, then widths

FIELDS = (
    "height", "width", "rows", "columns", "kernel_h", "kernel_w", "stride_h", "stride_w", "pad_h", "pad_w",
    "dilation_h", "dilation_w",
)  # fmt: skip
WINDOW = np.dtype([(name, np.int32) for name in FIELDS])  # struct Window of common.cuh


def window_of(
    size: Pair, kernel: Pair, stride: Pair, pad: Pair, dilation: Pair = (1, 1), positions: Pair | None = None
) -> Any:
    """A window of `kernel` over images of `size`; its `rows` and `columns` are the positions down and across.

    By default `positions` are those at which it lies inside the padded image.

    Raises:
        ShapeError: the window does not fit into the padded image.
    """
    if positions is None:
        down, across = (
            (n + 2 * p - (k - 1) * d - 1) // s + 1
            for n, k, s, p, d in zip(size, kernel, stride, pad, dilation, strict=True)
        )
        positions = down, across
    if min(positions) < 1:
        raise ShapeError(
            f"a window of {kernel} with dilation {dilation} does not fit into images of {size} padded by {pad}; make "
            "it smaller or pad more"
        )
    return np.array((*size, *positions, *kernel, *stride, *pad, *dilation), WINDOW)


def pixels_met(x: Array, window: Any, fill: float) -> Array:
    """For references: x (..., H, W) under the window, (..., kernel_h, kernel_w, rows, columns), padded by `fill`."""
    w = {name: int(window[name]) for name in FIELDS}
    out = np.full((*x.shape[:-2], w["kernel_h"], w["kernel_w"], w["rows"], w["columns"]), fill, x.dtype)
    for i, j, position, pixel in _meetings(w):
        out[(..., i, j, *position)] = x[(..., *pixel)]
    return out


def add_to_pixels(x: Array, met: Array, window: Any) -> None:
    """For references: add what belongs to each place of the window, shaped as by `pixels_met`, to the pixels x."""
    w = {name: int(window[name]) for name in FIELDS}
    for i, j, position, pixel in _meetings(w):
        x[(..., *pixel)] += met[(..., i, j, *position)]


def _meetings(w: dict[str, int]) -> Iterator[tuple[int, int, Pair, Pair]]:
    """Each place of the kernel, the position of the window, and the pixel of the image that they meet at."""
    for i, j, row, column in np.ndindex(w["kernel_h"], w["kernel_w"], w["rows"], w["columns"]):
        y = row * w["stride_h"] - w["pad_h"] + i * w["dilation_h"]
        x = column * w["stride_w"] - w["pad_w"] + j * w["dilation_w"]
        if 0 <= y < w["height"] and 0 <= x < w["width"]:
            yield i, j, (row, column), (y, x)
