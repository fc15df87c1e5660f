"""Convolution and its two adjoints. Each is linear in both arguments, and their derivatives are one another.

With `<a, b>` for the sum of products, `<conv2d(x, W), g> = <x, deconv2d(g, W)> = <W, conv2d_weight(x, g)>`.
"""

import math

import numpy as np

from minitorch.autograd.node import Array
from minitorch.autograd.primitive import primitive
from minitorch.cpu import conv as on_host
from minitorch.cpu.window import Pair, Window
from minitorch.cuda import xp_of
from minitorch.ops.im2col import as_met, col2im, im2col
from minitorch.ops.linalg import product


@primitive
def conv2d(x: Array, W: Array, b: Array | None, *, window: Window, groups: int) -> Array:
    """Cross-correlate x (N, C, H, W) with W (OC, C/groups, KH, KW), and add b (OC,): (N, OC, OH, OW)."""
    xp = xp_of(x)
    if xp is np:
        return on_host.conv2d(x, W, b, window, groups)
    positions = window.positions(x.shape[2:])
    weights = _by_group(W, groups)
    columns = im2col(x, window=window).reshape((len(x), groups, weights.shape[2], positions[0] * positions[1]))
    y = product(weights, columns).reshape((len(x), len(W), *positions))
    if b is not None:
        y += b.reshape((-1, 1, 1))
    return y


@primitive
def deconv2d(x: Array, W: Array, b: Array | None, *, window: Window, groups: int, size: Pair) -> Array:
    """Spread x (N, OC, OH, OW) by W (OC, C/groups, KH, KW) to images (N, C, *size), and add b (C,)."""
    xp = xp_of(x)
    if xp is np:
        return on_host.deconv2d(x, W, b, window, groups, size)
    images = x.reshape((len(x), groups, len(W) // groups, x.shape[2] * x.shape[3]))
    columns = product(_by_group(W, groups).swapaxes(1, 2), images)
    columns = columns.reshape((len(x), W.shape[1] * groups, *window.kernel, *x.shape[2:]))
    y = col2im(columns, window=window, size=size)
    if b is not None:
        y += b.reshape((-1, 1, 1))
    return y


def _by_group(W: Array, groups: int) -> Array:
    """W (OC, C/groups, KH, KW) as (groups, OC/groups, C/groups·KH·KW)."""
    return W.reshape((groups, len(W) // groups, math.prod(W.shape[1:])))


@primitive
def conv2d_weight(x: Array, g: Array, *, window: Window, groups: int) -> Array:
    """Sum the products of x (N, C, H, W) and g (N, OC, OH, OW) where they meet: (OC, C/groups, KH, KW)."""
    xp = xp_of(x)
    if xp is np:
        return on_host.conv2d_weight(x, g, window, groups)
    channels, places = x.shape[1] // groups, len(g) * g.shape[2] * g.shape[3]
    columns = (
        as_met(x, window).transpose((1, 2, 3, 0, 4, 5)).reshape((groups, channels * math.prod(window.kernel), places))
    )
    images = g.transpose((1, 0, 2, 3)).reshape((groups, g.shape[1] // groups, places))
    return product(images, columns.swapaxes(1, 2)).reshape((g.shape[1], channels, *window.kernel))


conv2d.defvjp(
    lambda g, y, x, W, b, window, groups: deconv2d(g, W, None, window=window, groups=groups, size=x.shape[2:]),
    lambda g, y, x, W, b, window, groups: conv2d_weight(x, g, window=window, groups=groups),
    lambda g, y, x, W, b, window, groups: g.sum(axis=(0, 2, 3)),
)
deconv2d.defvjp(
    lambda g, y, x, W, b, window, groups, size: conv2d(g, W, None, window=window, groups=groups),
    lambda g, y, x, W, b, window, groups, size: conv2d_weight(g, x, window=window, groups=groups),
    lambda g, y, x, W, b, window, groups, size: g.sum(axis=(0, 2, 3)),
)
conv2d_weight.defvjp(
    lambda h, y, x, g, window, groups: deconv2d(g, h, None, window=window, groups=groups, size=x.shape[2:]),
    lambda h, y, x, g, window, groups: conv2d(x, h, None, window=window, groups=groups),
)
