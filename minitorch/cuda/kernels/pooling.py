"""Pooling of images: the largest element or the mean under a window, and back, without atomics."""

import math
from typing import Any

import numpy as np

from minitorch.cuda.array_module import xp_of
from minitorch.cuda.kernels.kernel import blocks_for, kernel
from minitorch.cuda.kernels.window import Pair, add_to_pixels, pixels_met, window_of

Array = Any


@kernel("pooling")
def max_pool_forward(x: Array, y: Array, w: Any, planes: int) -> None:
    """y: the largest; padding never wins."""
    met, best, _ = _winners(x, w)
    y[...] = np.take_along_axis(met, best, axis=-3)[..., 0, :, :]


@kernel("pooling")
def max_pool_backward(g: Array, x: Array, y: Array, dx: Array, w: Any, planes: int) -> None:
    """dx: each pixel's share of g, from the windows that it is the largest of, and the first, row by row."""
    _, best, at = _winners(x, w)
    where = np.take_along_axis(at, best, axis=-3).reshape(planes, -1)
    flat = dx.reshape(planes, -1)
    flat[...] = 0
    np.add.at(flat, (np.arange(planes)[:, None], where), g.reshape(planes, -1))


def _winners(x: Array, w: Any) -> tuple[Array, Array, Array]:
    """What each position meets, (..., K, rows, columns), the number of the first largest, and places in the plane."""
    height, width = x.shape[-2:]
    places = np.arange(height * width, dtype=np.int32).reshape(height, width)
    met, at = (pixels_met(a, w, fill) for a, fill in ((x, -np.inf), (places, -1)))
    met, at = (a.reshape(*a.shape[:-4], -1, *a.shape[-2:]) for a in (met, at))
    best = np.where(at >= 0, met, -np.inf).argmax(axis=-3)[..., None, :, :]
    return met, best, np.broadcast_to(at, met.shape)


@kernel("pooling")
def average_pool_forward(x: Array, y: Array, w: Any, planes: int) -> None:
    """y: the mean, padding counting as 0."""
    y[...] = pixels_met(x, w, 0).mean(axis=(-4, -3))


@kernel("pooling")
def average_pool_backward(g: Array, dx: Array, w: Any, planes: int) -> None:
    """dx: each pixel's share of g, from the windows that it is under."""
    places = int(w["kernel_h"]), int(w["kernel_w"])
    dx[...] = 0
    add_to_pixels(dx, np.broadcast_to(g[..., None, None, :, :], (*g.shape[:-2], *places, *g.shape[-2:])), w)
    dx /= places[0] * places[1]


def max_pool(x: Array, kernel: Pair, stride: Pair, pad: Pair, positions: Pair | None = None) -> Array:
    """The largest element under each position of the window, for x (N, C, H, W).

    Padding never wins. By default `positions` are those inside the padded image.
    """
    w = window_of(x.shape[-2:], kernel, stride, pad, positions=positions)
    y = _positions(x, w)
    max_pool_forward(blocks_for(y.size), x, y, w, _planes(x))
    return y


def max_pool_gradient(g: Array, x: Array, y: Array, kernel: Pair, stride: Pair, pad: Pair) -> Array:
    """The gradient of x, given that of y, which `max_pool` returned; of equals the first gets it, row by row."""
    w = window_of(x.shape[-2:], kernel, stride, pad, positions=g.shape[-2:])
    dx = xp_of(x).empty_like(x)
    max_pool_backward(blocks_for(dx.size), g, x, y, dx, w, _planes(x))
    return dx


def average_pool(x: Array, kernel: Pair, stride: Pair, pad: Pair) -> Array:
    """The mean under each position of the window, padding counting as 0, for x (N, C, H, W)."""
    w = window_of(x.shape[-2:], kernel, stride, pad)
    y = _positions(x, w)
    average_pool_forward(blocks_for(y.size), x, y, w, _planes(x))
    return y


def average_pool_gradient(g: Array, size: Pair, kernel: Pair, stride: Pair, pad: Pair) -> Array:
    """The gradient of x, with images of `size`."""
    w = window_of(size, kernel, stride, pad)
    dx = xp_of(g).empty((*g.shape[:-2], *size), np.float32)
    average_pool_backward(blocks_for(dx.size), g, dx, w, _planes(g))
    return dx


def _positions(x: Array, w: Any) -> Array:
    return xp_of(x).empty((*x.shape[:-2], int(w["rows"]), int(w["columns"])), np.float32)


def _planes(x: Array) -> Any:
    return np.int32(math.prod(x.shape[:-2]))
