"""Convolution on the host: its forward and its two adjoints, as products of matrices shared out to the threads.

What makes columns, and how the work is cut, is in `columns`. The cut depends on the shapes alone, so the result is the
same bits for any number of threads.

Source: Chellapilla et al., "High Performance Convolutional Neural Networks for Document Processing", 2006.
"""

from typing import Any

import attrs
import numpy as np

from minitorch.cpu import few_places
from minitorch.cpu.columns import TASKS, Plan, Tile, matrix, parts
from minitorch.cpu.onednn import library as onednn
from minitorch.cpu.onednn.conv import convolve
from minitorch.cpu.scratch import scratch
from minitorch.cpu.threads import parallel
from minitorch.cpu.window import Pair, Window

Array = np.ndarray[Any, Any]

OUT_CHANNELS = 128  # in one task at least: each makes the columns anew
COLUMN_ROWS = 512  # in one task at least, of the product for the weights: each reads all gradients


def conv2d(x: Array, W: Array, b: Array | None, window: Window, groups: int) -> Array:
    """Cross-correlate x (N, C, H, W) with W (OC, C/groups, KH, KW) and add b (OC,) or None: (N, OC, OH, OW)."""
    x, W = _alike(x, W)
    y = np.empty((len(x), len(W), *window.positions(x.shape[2:])), x.dtype)
    if onednn.takes(x, W, y):
        bias = None if b is None else np.ascontiguousarray(b, x.dtype)
        if convolve("y", x, W, y, window, groups, bias):
            return y
    if few_places.takes(W, len(x), y.shape[2:], groups):
        few_places.conv2d(x, W, b, y, window)
        return y
    plan = Plan.of(x, window, groups, y.shape[2:])
    tiles = plan.tiles(0, len(x))
    blocks = _blocks(len(W), OUT_CHANNELS, len(tiles), groups)
    weights = plan.weights(W)

    def task(i: int) -> None:
        tile, block = tiles[i // len(blocks)], blocks[i % len(blocks)]
        columns = plan.columns(x, tile, slice(0, x.shape[1]))
        out = y[tile.first : tile.last, block, tile.top : tile.bottom]
        _multiply(weights if groups > 1 else weights[:, :, block], columns, out)
        if b is not None:
            out += b[block].reshape(-1, 1, 1)

    parallel(task, len(tiles) * len(blocks))
    return y


def deconv2d(x: Array, W: Array, b: Array | None, window: Window, groups: int, size: Pair) -> Array:
    """The adjoint of `conv2d` for its images, x (N, OC, OH, OW) back to (N, C, *size), plus b (C,) or None."""
    x, W = _alike(x, W)
    y = np.empty((len(x), W.shape[1] * groups, *size), x.dtype)
    by_onednn = onednn.takes(x, W, y) and convolve("x", y, W, x, window, groups)
    if by_onednn or few_places.takes(W, len(x), x.shape[2:], groups):
        if not by_onednn:
            few_places.deconv2d(x, W, y, window)
        return y if b is None else np.add(y, b.reshape(-1, 1, 1), out=y)
    (rh, rw), (ph, pw) = window.reach, window.pad
    if window.stride == (1, 1) and ph < rh and pw < rw:  # then it is a convolution itself, with the kernel turned
        turned = W.reshape(groups, -1, *W.shape[1:]).swapaxes(1, 2)[..., ::-1, ::-1]
        turned = turned.reshape(-1, len(W) // groups, *W.shape[2:])
        return conv2d(x, turned, b, attrs.evolve(window, pad=(rh - 1 - ph, rw - 1 - pw)), groups)
    plan = Plan.of(x, Window((1, 1)), groups, x.shape[2:])
    runs = [slice(n, min(n + plan.images, len(x))) for n in range(0, len(x), plan.images)]
    blocks = _blocks(y.shape[1], 1, len(runs), groups)

    def task(i: int) -> None:
        run, block = runs[i // len(blocks)], blocks[i % len(blocks)]
        weights = (W if groups > 1 else W[:, block]).reshape(groups, len(W) // groups, -1).swapaxes(1, 2)
        y[run, block] = 0 if b is None else b[block].reshape(-1, 1, 1)
        for tile in plan.tiles(run.start, run.stop):
            images = matrix(x, tile, groups)[:, 0]
            columns = scratch("columns", (*weights.shape[:2], images.shape[2]), x.dtype)
            np.matmul(weights, images, out=columns)
            _add_columns(columns, y[tile.first : tile.last, block], tile, window, x.shape[3])

    parallel(task, len(runs) * len(blocks))
    return y


def conv2d_weight(x: Array, g: Array, window: Window, groups: int) -> Array:
    """The adjoint of `conv2d` for its weights: x (N, C, H, W) and g (N, OC, OH, OW) to (OC, C/groups, KH, KW)."""
    x, g = _alike(x, g)
    W = np.empty((g.shape[1], x.shape[1] // groups, *window.kernel), x.dtype)
    if onednn.takes(x, g, W) and convolve("W", x, W, g, window, groups):
        return W
    if few_places.takes(W, len(x), g.shape[2:], groups):
        few_places.conv2d_weight(x, g, W, window)
        return W
    plan = Plan.of(x, window, groups, g.shape[2:])
    split = plan.split(W)
    blocks = _blocks(x.shape[1], -(-COLUMN_ROWS // (window.kernel[0] * window.kernel[1])), 1, groups)
    runs = parts(len(x), TASKS // len(blocks))
    sums = np.empty((len(runs), *split.shape), x.dtype)

    def task(i: int) -> None:
        run, block = runs[i // len(blocks)], blocks[i % len(blocks)]
        out = sums[i // len(blocks), :, :, :, block if groups == 1 else slice(None)]
        out = out.reshape(*out.shape[:3], -1)  # a view, since channels are side by side
        product = scratch("product", out.shape, x.dtype)
        for n, tile in enumerate(plan.tiles(run.start, run.stop)):
            columns = plan.columns(x, tile, block).swapaxes(2, 3)
            np.matmul(matrix(g, tile, groups), columns, out=product if n else out)
            if n:
                out += product

    parallel(task, len(runs) * len(blocks))
    np.add.reduce(sums, axis=0, out=split)
    return W


def _alike(*arrays: Array) -> list[Array]:
    """The arrays contiguous and of one dtype."""
    dtype = np.result_type(*arrays)
    return [np.ascontiguousarray(a, dtype) for a in arrays]


def _blocks(channels: int, least: int, tasks: int, groups: int) -> list[slice]:
    """Channels in blocks of `least` or more, where there are fewer tasks than wanted; the channels of groups stay."""
    count = 1 if groups > 1 else min(TASKS // max(tasks, 1), channels // least)
    return parts(channels, max(1, count))


def _multiply(weights: Array, columns: Array, out: Array) -> None:
    """Write weights @ columns, summed over B, to where it belongs in out (images, OC, rows, OW)."""
    groups, b, channels, _ = weights.shape
    if len(out) > 1:
        product = scratch("product", (groups, channels, columns.shape[3]), out.dtype)
        np.matmul(weights[:, 0], columns[:, 0], out=product)
        np.copyto(out, product.reshape(out.shape[1], len(out), *out.shape[2:]).swapaxes(0, 1))
        return
    flat = out.reshape(groups, channels, -1)  # a view, since out is whole rows of one image
    if b == 1:
        np.matmul(weights[:, 0], columns[:, 0], out=flat)
        return
    products = scratch("product", (groups, b, channels, columns.shape[3]), out.dtype)
    np.matmul(weights, columns, out=products)
    np.add(products[:, 0], products[:, 1], out=flat)
    for i in range(2, b):
        flat += products[:, i]


def _add_columns(columns: Array, out: Array, tile: Tile, window: Window, width: int) -> None:
    """Add columns (groups, C/groups·KH·KW, P) to the pixels of out (images, C, H, W) that the kernel meets in a tile.

    `width` is the number of positions across.
    """
    (kh, kw), rows = window.kernel, tile.bottom - tile.top
    columns = columns.reshape(out.shape[1], kh, kw, tile.images, rows, width).swapaxes(0, 3)
    lower = attrs.evolve(window, pad=(window.pad[0] - tile.top * window.stride[0], window.pad[1]))
    for i in range(kh):
        down, pixels_down = lower.meets(0, i, out.shape[2], rows)
        for j in range(kw):
            across, pixels_across = window.meets(1, j, out.shape[3], width)
            out[:, :, pixels_down, pixels_across] += columns[:, i, j, :, down, across]
