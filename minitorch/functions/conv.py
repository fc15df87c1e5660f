"""Convolution of images and its transpose, and the columns of pixels that it is made of."""

from typing import Any

from minitorch.cpu.window import Pair, Window, as_pair
from minitorch.errors import ConfigError, ShapeError
from minitorch.ops import conv as ops
from minitorch.ops import im2col as column_ops
from minitorch.variable import Variable, as_variable

Size = int | Pair  # for both directions, or height and width


def conv2d(
    x: Any, W: Any, b: Any = None, stride: Size = 1, pad: Size = 0, dilation: Size = 1, groups: int = 1
) -> Variable:
    """Slide the kernels of `W` over images; what each gives at each place is one pixel of one output channel.

    As everywhere in deep learning this is a cross-correlation: the kernels are not turned around.

    Args:
        x: images (N, C, H, W).
        W: kernels (OC, C / groups, KH, KW).
        b: what is added to each output channel, (OC,), or None.
        stride: by how many pixels the kernel moves.
        pad: how many zeros are put around each image, on every side.
        dilation: the distance between the pixels that a kernel meets.
        groups: into how many groups the channels are cut; each output channel sees the channels of its group alone.

    Returns:
        (N, OC, OH, OW) with `OH = (H + 2 pad - dilation (KH - 1) - 1) // stride + 1`.

    Raises:
        ShapeError: the shapes do not fit, or the kernel is larger than the padded image.
        ConfigError: a size is too small, or `groups` does not divide the channels.
    """
    images, kernels = as_variable(x), as_variable(W)
    _check_axes("conv2d", images, kernels)
    window = Window.of("conv2d", kernels.shape[2:], stride, pad, dilation)
    channels, out_channels, taken = images.shape[1], kernels.shape[0], kernels.shape[1] * groups
    if groups < 1 or channels % groups or out_channels % groups:
        raise ConfigError(
            f"conv2d: groups is {groups}; it must divide the {channels} channels of x {images.shape} and the "
            f"{out_channels} of W {kernels.shape}"
        )
    if channels != taken:
        raise ShapeError(
            f"conv2d: x {images.shape} has {channels} channels, W {kernels.shape} takes {taken} in {groups} group(s); "
            "x is (N, C, H, W) and W (OC, C / groups, KH, KW)"
        )
    check_fit("conv2d", images, window)
    return ops.conv2d(images, kernels, _bias("conv2d", b, out_channels), window=window, groups=groups)


def deconv2d(x: Any, W: Any, b: Any = None, stride: Size = 1, pad: Size = 0, outsize: Size | None = None) -> Variable:
    """The transpose of a convolution: each pixel of `x` adds a multiple of a kernel of `W` to the output.

    It gives images of the size from which `conv2d` with the same stride and pad makes images of the size of `x`.

    Args:
        x: (N, C, H, W).
        W: kernels (C, OC, KH, KW).
        b: what is added to each output channel, (OC,), or None.
        stride: by how many pixels the kernel moves from one pixel of `x` to the next.
        pad: how many pixels are left out of the output, on every side.
        outsize: (OH, OW); needed where a larger stride leaves several possible. By default the smallest.

    Returns:
        (N, OC, OH, OW) with `OH = stride (H - 1) + KH - 2 pad`, or as `outsize` says.

    Raises:
        ShapeError: the shapes do not fit, the output would be empty, or `outsize` is not one of those possible.
        ConfigError: a size is too small.
    """
    images, kernels = as_variable(x), as_variable(W)
    _check_axes("deconv2d", images, kernels)
    window = Window.of("deconv2d", kernels.shape[2:], stride, pad)
    channels, taken, out_channels, *_ = images.shape[1], *kernels.shape
    if channels != taken:
        raise ShapeError(
            f"deconv2d: x {images.shape} has {channels} channels, W {kernels.shape} takes {taken}; x is (N, C, H, W) "
            "and W (C, OC, KH, KW)"
        )
    least = window.least_size(images.shape[2:])
    size = least if outsize is None else as_pair("deconv2d", "outsize", outsize, 1)
    given = f"x {images.shape}, W {kernels.shape}, stride {window.stride} and pad {window.pad}"
    if min(size) < 1:
        raise ShapeError(f"deconv2d: with {given} the output would be {size}; use less pad, or give outsize")
    if window.positions(size) != images.shape[2:]:
        most = (least[0] + window.stride[0] - 1, least[1] + window.stride[1] - 1)
        raise ShapeError(f"deconv2d: outsize is {size}; with {given} it is from {least} to {most}")
    return ops.deconv2d(images, kernels, _bias("deconv2d", b, out_channels), window=window, groups=1, size=size)


def im2col(x: Any, kernel_size: Size, stride: Size = 1, pad: Size = 0, to_matrix: bool = True) -> Variable:
    """The pixels that a kernel meets at each of its positions in images x (N, C, H, W).

    Returns:
        A row for each position, (N * OH * OW, C * KH * KW); without `to_matrix` (N, C, KH, KW, OH, OW).

    Raises:
        ShapeError: `x` is no batch of images, or the kernel is larger than the padded image.
        ConfigError: a size is too small.
    """
    images = as_variable(x)
    window = Window.of("im2col", kernel_size, stride, pad)
    check_fit("im2col", images, window)
    col = column_ops.im2col(images, window=window)
    if not to_matrix:
        return col
    n, _, _, _, height, width = col.shape
    return col.transpose(0, 4, 5, 1, 2, 3).reshape(n * height * width, -1)


def col2im(
    x: Any,
    input_shape: tuple[int, int, int, int],
    kernel_size: Size,
    stride: Size = 1,
    pad: Size = 0,
    to_matrix: bool = True,
) -> Variable:
    """Add columns, as `im2col` makes them of images of `input_shape`, up to such images: its adjoint.

    Raises:
        ShapeError: `x` has not the shape that `im2col` gives for `input_shape`.
        ConfigError: a size is too small.
    """
    col = as_variable(x)
    window = Window.of("col2im", kernel_size, stride, pad)
    n, c, size = input_shape[0], input_shape[1], input_shape[2:]
    (kh, kw), (height, width) = window.kernel, window.positions(size)
    wanted = (n * height * width, c * kh * kw) if to_matrix else (n, c, kh, kw, height, width)
    if col.shape != wanted:
        raise ShapeError(f"col2im: x has shape {col.shape}; im2col of images {tuple(input_shape)} gives {wanted}")
    if to_matrix:
        col = col.reshape(n, height, width, c, kh, kw).transpose(0, 3, 4, 5, 1, 2)
    return column_ops.col2im(col, window=window, size=size)


def check_fit(who: str, x: Variable, window: Window, hint: str = "") -> None:
    """Raise ShapeError unless `x` is a batch of images in which the window has a place; `hint` ends the message."""
    if x.ndim != 4:
        remedy = "; for one image use x[None]" if x.ndim == 3 else ""
        raise ShapeError(f"{who}: x has shape {x.shape}; images are (N, C, H, W){remedy}")
    if min(window.positions(x.shape[2:])) < 1:
        raise ShapeError(
            f"{who}: a kernel of {window.kernel} reaches over {window.reach} pixels and is larger than the images of x "
            f"{x.shape} with pad {window.pad}; use more pad, a smaller kernel or larger images{hint}"
        )


def _check_axes(who: str, x: Variable, W: Variable) -> None:
    if x.ndim != 4 or W.ndim != 4:
        raise ShapeError(f"{who}: x has shape {x.shape} and W {W.shape}; both have four axes, (N, C, H, W) for images")


def _bias(who: str, b: Any, channels: int) -> Variable | None:
    if b is None:
        return None
    bias = as_variable(b)
    if bias.shape != (channels,):
        raise ShapeError(
            f"{who}: b has shape {bias.shape}; there are {channels} output channels, so it must be ({channels},)"
        )
    return bias
