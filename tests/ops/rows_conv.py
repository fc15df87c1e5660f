"""Rows of the table of primitives: convolution, its adjoints, and columns of pixels."""

from op_table import Row

from minitorch.cpu.window import Window
from minitorch.ops.conv import conv2d, conv2d_weight, deconv2d
from minitorch.ops.im2col import col2im, im2col

PLAIN = Window((3, 2))
PADDED = Window((3, 3), pad=(1, 2))
UNEVEN = Window((3, 2), (2, 1), (1, 1), (1, 2))  # stride, pad and dilation, other ones in each direction
GAPS = Window((2, 2), (3, 3))  # the kernel never meets some of the pixels
ONE = Window((1, 1))
X = (2, 4, 5, 6)


def conv(window, groups=1):
    return lambda x, W, b: conv2d(x, W, b, window=window, groups=groups)


def deconv(window, groups=1, size=X[2:]):
    return lambda x, W, b: deconv2d(x, W, b, window=window, groups=groups, size=size)


def weight(window, groups=1):
    return lambda x, g: conv2d_weight(x, g, window=window, groups=groups)


def at(channels, window):
    """The shape that a convolution of images `X` gives."""
    return (X[0], channels, *window.positions(X[2:]))


ROWS = [
    Row("conv2d", conv(PLAIN), [X, (6, 4, 3, 2), (6,)], order=3),
    Row("conv2d", conv(PADDED), [X, (3, 4, 3, 3), (3,)], note="padded"),
    Row("conv2d", conv(UNEVEN, 2), [X, (6, 2, 3, 2), (6,)], note="stride, pad, dilation, groups"),
    Row("conv2d", conv(GAPS), [X, (3, 4, 2, 2), (3,)], note="gaps"),
    Row("conv2d", conv(ONE), [X, (3, 4, 1, 1), (3,)]),
    Row("conv2d", conv(Window((3, 3)), 4), [X, (4, 1, 3, 3), (4,)], note="each channel by itself"),
    Row("conv2d", lambda x, W: conv2d(x, W, None, window=PLAIN, groups=1), [X, (2, 4, 3, 2)], note="no bias"),
    Row("deconv2d", deconv(PLAIN), [at(3, PLAIN), (3, 4, 3, 2), (4,)]),
    Row("deconv2d", deconv(UNEVEN, 2), [at(6, UNEVEN), (6, 2, 3, 2), (4,)], note="stride, pad, dilation, groups"),
    Row("deconv2d", deconv(GAPS), [at(3, GAPS), (3, 4, 2, 2), (4,)], note="gaps"),
    Row("deconv2d", deconv(Window((1, 1), pad=(1, 0)), 1, (3, 4)), [(2, 3, 5, 4), (3, 2, 1, 1), (2,)], note="cut off"),
    Row("conv2d_weight", weight(PLAIN), [X, at(3, PLAIN)]),
    Row("conv2d_weight", weight(UNEVEN, 2), [X, at(6, UNEVEN)], note="stride, pad, dilation, groups"),
    Row("im2col", lambda x: im2col(x, window=UNEVEN), [X]),
    Row("col2im", lambda x: col2im(x, window=UNEVEN, size=X[2:]), [(2, 4, 3, 2, *UNEVEN.positions(X[2:]))]),
]
