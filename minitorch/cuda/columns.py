"""The pixels under each position of a window, gathered, and added back, on a device; each the adjoint of the other.

Kernels do it for float32, expressions of CuPy for other dtypes.
"""

from collections.abc import Sequence
from typing import Any, Protocol

from minitorch.cuda.array_module import xp_of
from minitorch.cuda.kernels import columns, contiguous, takes

Array = Any  # a CuPy array
Pair = tuple[int, int]


class Window(Protocol):
    """The geometry of a convolution, each attribute (height, width): see `minitorch.cpu.window`."""

    @property
    def kernel(self) -> Pair:
        """Its size."""

    @property
    def stride(self) -> Pair:
        """By how many pixels it moves."""

    @property
    def pad(self) -> Pair:
        """How many zeros go around an image, on either side."""

    @property
    def dilation(self) -> Pair:
        """The distance between the pixels that it meets."""

    def positions(self, size: Sequence[int]) -> Pair:
        """At how many places it stands in an image of `size`."""

    def meets(self, axis: int, k: int, size: int, positions: int) -> tuple[slice, slice]:
        """The positions at which element `k` along `axis` meets a pixel, and those pixels."""


def im2col(x: Array, window: Window, *, by_image: bool = True) -> Array:
    """Gather from x (N, C, H, W), zeros around it: (N, C, KH, KW, OH, OW), or (C, KH, KW, N, OH, OW)."""
    positions = window.positions(x.shape[2:])
    order = (0, 1, 2, 3, 4, 5) if by_image else (1, 2, 3, 0, 4, 5)
    shape = (*x.shape[:2], *window.kernel, *positions)
    if takes(x):
        sizes = window.kernel, window.stride, window.pad, window.dilation
        return columns.im2col(contiguous(x), *sizes, by_image=by_image).reshape([shape[i] for i in order])
    return contiguous(as_met(x, window).transpose(order))


def col2im(col: Array, window: Window, size: Pair) -> Array:
    """Add col (N, C, KH, KW, OH, OW) up to images (N, C, *size)."""
    if takes(col):
        sizes = window.kernel, window.stride, window.pad, window.dilation
        return columns.col2im(contiguous(col), (*col.shape[:2], *size), *sizes)
    x = xp_of(col).zeros((*col.shape[:2], *size), col.dtype)
    kh, kw, *positions = col.shape[2:]
    for i in range(kh):
        down, pixels_down = window.meets(0, i, size[0], positions[0])
        for j in range(kw):
            across, pixels_across = window.meets(1, j, size[1], positions[1])
            x[:, :, pixels_down, pixels_across] += col[:, :, i, j, down, across]
    return x


def as_met(x: Array, window: Window) -> Array:
    """See x (N, C, H, W), on a device or the host, as the window meets it: a view, of a copy where zeros go around.

    (N, C, KH, KW, OH, OW).
    """
    xp, ((sh, sw), (dh, dw), (ph, pw)) = xp_of(x), (window.stride, window.dilation, window.pad)
    shape = (*x.shape[:2], *window.kernel, *window.positions(x.shape[2:]))
    if ph or pw:
        n, c, height, width = x.shape
        padded = xp.zeros((n, c, height + 2 * ph, width + 2 * pw), x.dtype)
        padded[:, :, ph : ph + height, pw : pw + width] = x
        x = padded
    n, c, h, w = x.strides
    return xp.lib.stride_tricks.as_strided(x, shape, (n, c, h * dh, w * dw, h * sh, w * sw))
