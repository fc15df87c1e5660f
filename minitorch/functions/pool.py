"""Pooling of images: the largest, or the mean, of the pixels under each position of a sliding kernel."""

from typing import Any

from minitorch.cpu.window import Pair, Window
from minitorch.errors import ConfigError, ShapeError
from minitorch.functions.conv import Size, check_fit
from minitorch.ops import pooling as ops
from minitorch.variable import Variable, as_variable


def pooling(x: Any, kernel_size: Size, stride: Size = 1, pad: Size = 0, *, cover_all: bool = False) -> Variable:
    """The largest pixel under each position of the kernel, in each channel by itself.

    The first of several equal ones, row by row, gets the gradient. Padding is below every pixel, and never wins.

    Args:
        x: images (N, C, H, W).
        kernel_size: int, or (KH, KW).
        stride: by how many pixels the kernel moves.
        pad: by how many pixels the kernel may reach over the edge.
        cover_all: let a last position reach over the lower and right edge where pixels would be left out otherwise,
            as Caffe does (PyTorch's `ceil_mode`).

    Returns:
        (N, C, OH, OW) with `OH = (H + 2 pad - KH) // stride + 1`, rounded up for `cover_all`.

    Raises:
        ShapeError: `x` is no batch of images, or the kernel is larger than the padded image.
        ConfigError: a size is too small, or `pad` as large as the kernel.
    """
    images = as_variable(x)
    window = Window.of("pooling", kernel_size, stride, pad)
    if any(p >= k for p, k in zip(window.pad, window.kernel, strict=True)):
        raise ConfigError(
            f"pooling: pad {window.pad} is as large as the kernel {window.kernel}, so it could meet no pixel at all; "
            "use less pad"
        )
    check_fit("pooling", images, window)
    positions = _covering(window, images.shape[2:]) if cover_all else window.positions(images.shape[2:])
    return ops.max_pool(images, window=window, positions=positions)


def average_pooling(x: Any, kernel_size: Size, stride: Size = 1, pad: Size = 0) -> Variable:
    """The mean of the pixels under each position of the kernel, in each channel by itself.

    Padding counts, as zeros: the divisor is always the number of pixels of the kernel.

    Args:
        x: images (N, C, H, W).
        kernel_size: int, or (KH, KW).
        stride: by how many pixels the kernel moves.
        pad: how many zeros are put around each image.

    Returns:
        (N, C, OH, OW) with `OH = (H + 2 pad - KH) // stride + 1`.

    Raises:
        ShapeError: `x` is no batch of images, or the kernel is larger than the padded image.
        ConfigError: a size is too small.
    """
    images = as_variable(x)
    window = Window.of("average_pooling", kernel_size, stride, pad)
    check_fit("average_pooling", images, window)
    return ops.average_pool(images, window=window)


def global_average_pooling(x: Any) -> Variable:
    """The mean of each channel of each image: (N, C, H, W) -> (N, C).

    Raises:
        ShapeError: `x` is no batch of images.
    """
    images = as_variable(x)
    if images.ndim != 4:
        raise ShapeError(f"global_average_pooling: x has shape {images.shape}; images are (N, C, H, W)")
    return images.mean(axis=(2, 3))


def _covering(window: Window, size: tuple[int, ...]) -> Pair:
    """As many positions as reach every pixel, none of which lies in the padding alone."""
    counts = []
    for n, k, s, p in zip(size, window.kernel, window.stride, window.pad, strict=True):
        count = -(-(n + 2 * p - k) // s) + 1
        counts.append(count - 1 if (count - 1) * s >= n + p else count)
    return counts[0], counts[1]
