"""Pooling: the largest, or the mean, of the pixels under each position of a sliding kernel.

Nothing is gathered: rows of the image, and then columns, are compared or added shifted against each other.
"""

from collections.abc import Iterator
from typing import Any

import numpy as np

from minitorch.autograd.node import Array
from minitorch.autograd.primitive import primitive
from minitorch.cpu.blocks import in_blocks
from minitorch.cpu.onednn import pooling
from minitorch.cpu.window import Pair, Window
from minitorch.cuda import kernels, xp_of

Index = tuple[slice, ...]  # into images (planes, height, width)
Shift = tuple[Index, Index]  # the positions at which a pixel, row or column of the kernel meets the image, and where


def _shifts(window: Window, size: Pair, positions: Pair, axis: int) -> list[Shift]:
    """For each row (axis 0) or column (1) of the kernel."""
    before = (slice(None),) * (axis + 1)
    met = [window.meets(axis, k, size[axis], positions[axis]) for k in range(window.kernel[axis])]
    return [((*before, at), (*before, pixels)) for at, pixels in met]


def _pixel_shifts(window: Window, size: Pair, positions: Pair) -> list[Shift]:
    """For each pixel of the kernel, row by row."""
    rows, columns = (_shifts(window, size, positions, axis) for axis in (0, 1))
    return [((*r, c[2]), (*pixel_r, pixel_c[2])) for r, pixel_r in rows for c, pixel_c in columns]


def _sizes(window: Window) -> tuple[Pair, Pair, Pair]:
    return window.kernel, window.stride, window.pad


def _planes(a: Array) -> Array:
    return a.reshape((-1, *a.shape[2:]))


@primitive
def max_pool(x: Array, *, window: Window, positions: Pair) -> Array:
    """The largest of x (N, C, H, W) at each position, (N, C, *positions); padding never wins."""
    if kernels.takes(x):
        return kernels.max_pool(kernels.contiguous(x), *_sizes(window), positions)
    xp = xp_of(x)
    size = x.shape[2:]
    y = xp.empty((*x.shape[:2], *positions), x.dtype)
    lowest = -np.inf if x.dtype.kind == "f" else np.iinfo(x.dtype).min

    rows_met, columns_met = (_shifts(window, size, positions, axis) for axis in (0, 1))

    def largest(x: Array, out: Array, shifts: list[Shift]) -> None:
        for k, (at, pixels) in enumerate(shifts):
            if k == 0 and out[at].shape == out.shape:
                xp.copyto(out, x[pixels])
                continue
            if k == 0:
                out.fill(lowest)
            xp.maximum(out[at], x[pixels], out=out[at])

    def pool(x: Array, y: Array) -> None:
        rows = xp.empty((len(x), positions[0], size[1]), x.dtype)
        largest(x, rows, rows_met)
        largest(rows, y, columns_met)

    in_blocks(pool, _planes(x), _planes(y))
    return y


def _winners(xp: Any, x: Array, y: Array, shifts: list[Shift]) -> Iterator[tuple[Index, Index, Array]]:
    """For each pixel of the kernel: positions, the pixels met there, and whether each of them is the first largest.

    x (planes, H, W), and y what `max_pool` gives of it.
    """
    free = xp.ones(y.shape, bool)
    for at, pixels in shifts[:-1]:
        won = x[pixels] == y[at]
        won &= free[at]
        free[at] ^= won
        yield at, pixels, won
    at, pixels = shifts[-1]
    yield at, pixels, free[at]  # if no other pixel was the largest, this one is


@primitive
def max_pool_scatter(g: Array, x: Array, y: Array, *, window: Window) -> Array:
    """`g`, at each position, given to the first pixel of x (N, C, H, W) there that is the largest, `y`."""
    if kernels.takes(g, x, y):
        g, x, y = (kernels.contiguous(a) for a in (g, x, y))
        return kernels.max_pool_gradient(g, x, y, *_sizes(window))
    by_onednn = pooling.max_pool_gradient(g, x, y, window)
    if by_onednn is not None:
        return by_onednn
    xp = xp_of(x)
    apart = all(s >= r for s, r in zip(window.stride, window.reach, strict=True))  # no pixel is met twice
    shifts = _pixel_shifts(window, x.shape[2:], y.shape[2:])
    gx = xp.zeros(x.shape, g.dtype)

    def scatter(gx: Array, g: Array, x: Array, y: Array) -> None:
        for at, pixels, won in _winners(xp, x, y, shifts):
            if apart:
                xp.multiply(g[at], won, out=gx[pixels])
            else:
                gx[pixels] += g[at] * won

    in_blocks(scatter, _planes(gx), _planes(g), _planes(x), _planes(y))
    return gx


@primitive
def max_pool_gather(h: Array, x: Array, y: Array, *, window: Window) -> Array:
    """From `h`, at each position, the pixel where the first largest of x (N, C, H, W) is, `y`."""
    xp = xp_of(x)
    shifts = _pixel_shifts(window, x.shape[2:], y.shape[2:])
    picked = xp.zeros(y.shape, h.dtype)

    def gather(picked: Array, h: Array, x: Array, y: Array) -> None:
        for at, pixels, won in _winners(xp, x, y, shifts):
            picked[at] += h[pixels] * won

    in_blocks(gather, _planes(picked), _planes(h), _planes(x), _planes(y))
    return picked


max_pool.defvjp(lambda g, y, x, window, positions: max_pool_scatter(g, x, y, window=window))
max_pool_scatter.defvjp(lambda h, gx, g, x, y, window: max_pool_gather(h, x, y, window=window), None, None)
max_pool_gather.defvjp(lambda g, picked, h, x, y, window: max_pool_scatter(g, x, y, window=window), None, None)


@primitive
def average_pool(x: Array, *, window: Window) -> Array:
    """The mean of x (N, C, H, W), and of the zeros around it, at each position."""
    if kernels.takes(x):
        return kernels.average_pool(kernels.contiguous(x), *_sizes(window))
    xp = xp_of(x)
    size = x.shape[2:]
    positions = window.positions(size)
    y = xp.zeros((*x.shape[:2], *positions), x.dtype)

    rows_met, columns_met = (_shifts(window, size, positions, axis) for axis in (0, 1))

    def average(y: Array, x: Array) -> None:
        rows = xp.zeros((len(x), positions[0], size[1]), x.dtype)
        for at, pixels in rows_met:
            rows[at] += x[pixels]
        for at, pixels in columns_met:
            y[at] += rows[pixels]
        y *= 1 / (window.kernel[0] * window.kernel[1])

    in_blocks(average, _planes(y), _planes(x))
    return y


@primitive
def average_pool_spread(g: Array, *, window: Window, size: Pair) -> Array:
    """The adjoint of `average_pool`: `g`, at each position, divided equally between the pixels there."""
    if kernels.takes(g):
        return kernels.average_pool_gradient(kernels.contiguous(g), size, *_sizes(window))
    xp = xp_of(g)
    positions = g.shape[2:]
    gx = xp.zeros((*g.shape[:2], *size), g.dtype)

    rows_met, columns_met = (_shifts(window, size, positions, axis) for axis in (0, 1))

    def spread(gx: Array, g: Array) -> None:
        share = g * (1 / (window.kernel[0] * window.kernel[1]))
        rows = xp.zeros((len(g), positions[0], size[1]), g.dtype)
        for at, pixels in columns_met:
            rows[pixels] += share[at]
        for at, pixels in rows_met:
            gx[pixels] += rows[at]

    in_blocks(spread, _planes(gx), _planes(g))
    return gx


average_pool.defvjp(lambda g, y, x, window: average_pool_spread(g, window=window, size=x.shape[2:]))
average_pool_spread.defvjp(lambda h, gx, g, window, size: average_pool(h, window=window))
