"""Columns: the pixels that a kernel meets, copied out so that a convolution is a product of matrices, tile by tile.

A tile is some rows of one output image, or a few whole images where they are small: its columns stay in the cache.
For one image and a vertical stride of 1 the columns of all rows of the kernel are the same but for where they start, so
they are made once and read at KH places; else each element of the kernel gets a row of its own.
"""

from typing import Any, Self

import attrs
import numpy as np

from minitorch.cpu.scratch import scratch
from minitorch.cpu.window import Pair, Window

Array = np.ndarray[Any, Any]

TASKS = 8  # wanted at least, for the cores to share
COLUMN_BYTES = 1 << 20  # in the columns of one tile: about a second-level cache
POSITIONS = 768  # in a tile all the same, so that its product is worth reading the weights;
FEWEST = 192  # less, down to this, where there would be fewer tiles than TASKS
SHARED_ROWS = 32  # of columns at least, where they are shared: the products have to be long enough


@attrs.frozen
class Tile:
    """The positions in rows `top` to `bottom` of the output images `first` to `last`, ends excluded."""

    first: int
    last: int
    top: int
    bottom: int

    @property
    def images(self) -> int:
        """How many they are."""
        return self.last - self.first


@attrs.frozen
class Plan:
    """How one convolution is cut into tiles, and how its columns and weights are laid out for the product.

    A product takes weights (groups, B, OC/groups, K) and columns (groups, B, K, P), where P are the positions of the
    tile, B is KH where columns are shared between the rows of the kernel and 1 elsewhere, and B·K = C/groups·KH·KW.
    """

    window: Window
    groups: int
    size: Pair  # of the output: at how many places the kernel stands
    images: int  # in a tile, at most
    count: int  # of tiles that one image makes
    shared: bool

    @classmethod
    def of(cls, x: Array, window: Window, groups: int, size: Pair) -> Self:
        """The plan for images like x (N, C, H, W); it depends on nothing but shapes."""
        area = size[0] * size[1]
        kh, kw = window.kernel
        rows = x.shape[1] * kw
        few = max(FEWEST, len(x) * area // TASKS)
        images = max(1, min(POSITIONS, few) // max(area, 1))
        shared = images == 1 and kh > 1 and window.stride[0] == 1 and rows >= SHARED_ROWS * groups
        fitting = COLUMN_BYTES // (rows * x.itemsize * (1 if shared else kh))
        return cls(window, groups, size, images, -(-area // min(few, max(POSITIONS, fitting))), shared)

    def tiles(self, first: int, last: int) -> list[Tile]:
        """Images `first` to `last`, cut into tiles."""
        height = self.size[0]
        rows = parts(height, self.count if self.images == 1 else 1)
        starts = range(first, last, self.images)
        return [Tile(n, min(n + self.images, last), r.start, r.stop) for n in starts for r in rows]

    def split(self, W: Array) -> Array:
        """W (OC, C/groups, KH, KW), which is contiguous, seen as (groups, B, OC/groups, C/groups, K·groups/C)."""
        oc, c, kh, kw = W.shape
        if self.shared:
            return W.reshape(self.groups, oc // self.groups, c, kh, kw).transpose(0, 3, 1, 2, 4)
        return W.reshape(self.groups, 1, oc // self.groups, c, kh * kw)

    def weights(self, W: Array) -> Array:
        """W (OC, C/groups, KH, KW) as the left side of the product."""
        w = self.split(W)
        return w.reshape(*w.shape[:3], -1)

    def columns(self, x: Array, tile: Tile, channels: slice) -> Array:
        """The pixels of x (N, C, H, W), some channels of it, that the kernel meets in the tile.

        They are good until the next call in this thread, or a view of `x` where nothing is to be rearranged.
        """
        if self.window.is_identity:
            return matrix(x[:, channels], tile, self.groups, "columns")
        source, start = self._padded(x, tile, channels)
        (kh, kw), (sh, sw), (dh, dw) = self.window.kernel, self.window.stride, self.window.dilation
        n, c, h, w = source.strides
        k, rows, width = channels.stop - channels.start, tile.bottom - tile.top, self.size[1]
        if self.shared:
            high = np.ndarray((k, kw, rows + (kh - 1) * dh, width), x.dtype, source, start, (c, w * dw, h, w * sw))
            return self._overlapping(_copy(high), rows)
        strides = (c, h * dh, w * dw, n, h * sh, w * sw)
        met = np.ndarray((k, kh, kw, tile.images, rows, width), x.dtype, source, start, strides)
        return _copy(met).reshape(self.groups, 1, -1, tile.images * rows * width)

    def _overlapping(self, high: Array, rows: int) -> Array:
        """Columns (C, KW, height, width), of more rows than positions, as each row of the kernel sees them."""
        c, kw, _, width = high.shape
        row = high.strides[1]
        shape = (self.groups, self.window.kernel[0], c // self.groups * kw, rows * width)
        strides = (shape[2] * row, self.window.dilation[0] * high.strides[2], row, high.itemsize)
        return np.ndarray(shape, high.dtype, high, 0, strides)

    def _padded(self, x: Array, tile: Tile, channels: slice) -> tuple[Array, int]:
        """An array with what is needed of x and its padding, and where in it, in bytes, the first position begins."""
        ph, pw = self.window.pad
        top = tile.top * self.window.stride[0] - ph
        if not (ph or pw):
            n, c, h, _ = x.strides
            return x, tile.first * n + channels.start * c + top * h
        height = (tile.bottom - tile.top - 1) * self.window.stride[0] + self.window.reach[0]
        begin = min(height, max(0, -top))
        end = max(begin, min(height, x.shape[2] - top))
        width = x.shape[3]
        shape = (tile.images, channels.stop - channels.start, height, width + 2 * pw)
        padded = scratch("padded", shape, x.dtype)
        padded.fill(0)
        padded[:, :, begin:end, pw : pw + width] = x[tile.first : tile.last, channels, top + begin : top + end]
        return padded, 0


def _copy(met: Array) -> Array:
    columns = scratch("columns", met.shape, met.dtype)
    np.copyto(columns, met)
    return columns


def matrix(y: Array, tile: Tile, groups: int, name: str = "matrix") -> Array:
    """The positions of a tile of y (N, C, OH, OW) as (groups, 1, C/groups, P): a view, or a copy in scratch `name`."""
    part = y[tile.first : tile.last, :, tile.top : tile.bottom].swapaxes(0, 1)
    if tile.images > 1:
        copy = scratch(name, part.shape, y.dtype)
        np.copyto(copy, part)
        part = copy
    return part.reshape(groups, 1, len(part) // groups, -1)


def parts(n: int, count: int) -> list[slice]:
    """`n` things in at most `count` runs, each as long as the next, or longer by one."""
    count = min(n, count)
    return [slice(i * n // count, (i + 1) * n // count) for i in range(count)]
