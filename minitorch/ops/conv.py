"""Convolution and its two adjoints. Each is linear in both arguments, and their derivatives are one another.

With `<a, b>` for the sum of products, `<conv2d(x, W), g> = <x, deconv2d(g, W)> = <W, conv2d_weight(x, g)>`.
"""

import numpy as np

from minitorch.autograd.node import Array
from minitorch.autograd.primitive import primitive
from minitorch.cpu import conv as on_host
from minitorch.cpu.window import Pair, Window
from minitorch.cuda import conv as on_device
from minitorch.cuda import xp_of
from minitorch.ops.linalg import add_bias, bias_gradient


@primitive
def conv2d(x: Array, W: Array, b: Array | None, *, window: Window, groups: int) -> Array:
    """Cross-correlate x (N, C, H, W) with W (OC, C/groups, KH, KW), and add b (OC,): (N, OC, OH, OW)."""
    if xp_of(x) is np:
        return on_host.conv2d(x, W, b, window, groups)
    y = on_device.conv2d(x, W, window, groups)
    if b is not None:
        add_bias(y, b)
    return y


@primitive
def deconv2d(x: Array, W: Array, b: Array | None, *, window: Window, groups: int, size: Pair) -> Array:
    """Spread x (N, OC, OH, OW) by W (OC, C/groups, KH, KW) to images (N, C, *size), and add b (C,)."""
    if xp_of(x) is np:
        return on_host.deconv2d(x, W, b, window, groups, size)
    y = on_device.deconv2d(x, W, window, groups, size)
    if b is not None:
        add_bias(y, b)
    return y


@primitive
def conv2d_weight(x: Array, g: Array, *, window: Window, groups: int) -> Array:
    """Sum the products of x (N, C, H, W) and g (N, OC, OH, OW) where they meet: (OC, C/groups, KH, KW)."""
    if xp_of(x) is np:
        return on_host.conv2d_weight(x, g, window, groups)
    return on_device.conv2d_weight(x, g, window, groups)


conv2d.defvjp(
    lambda g, y, x, W, b, window, groups: deconv2d(g, W, None, window=window, groups=groups, size=x.shape[2:]),
    lambda g, y, x, W, b, window, groups: conv2d_weight(x, g, window=window, groups=groups),
    lambda g, y, x, W, b, window, groups: bias_gradient(g),
)
deconv2d.defvjp(
    lambda g, y, x, W, b, window, groups, size: conv2d(g, W, None, window=window, groups=groups),
    lambda g, y, x, W, b, window, groups, size: conv2d_weight(g, x, window=window, groups=groups),
    lambda g, y, x, W, b, window, groups, size: bias_gradient(g),
)
conv2d_weight.defvjp(
    lambda h, y, x, g, window, groups: deconv2d(g, h, None, window=window, groups=groups, size=x.shape[2:]),
    lambda h, y, x, g, window, groups: conv2d(x, h, None, window=window, groups=groups),
)
