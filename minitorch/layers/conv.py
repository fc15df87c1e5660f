"""`Conv2d` and `Deconv2d`: convolution of images and its transpose, with kernels to learn."""

import math
from typing import Any

import numpy as np

from minitorch import functions as F
from minitorch import random
from minitorch.cpu.window import Window
from minitorch.errors import ConfigError, ShapeError
from minitorch.functions.conv import Size, check_fit
from minitorch.layers.layer import Layer
from minitorch.variable import Parameter, Variable, as_variable
from minitorch.warning import warn

ORDER = "Conv2d(out_channels, kernel_size, stride, pad)"
LARGE = 12  # pixels of a kernel that is doubted


class _Kernels(Layer):
    """Base of both: kernels W, which start as normal × gain × sqrt(1 / (C · KH · KW)), and b, which starts as zeros.

    C is the number of input channels that a kernel sees.
    """

    def __init__(
        self,
        out_channels: int,
        window: Window,
        nobias: bool,
        dtype: Any,
        in_channels: int | None,
        groups: int = 1,
        gain: float = 1.0,
    ) -> None:
        super().__init__()
        who = type(self).__name__
        for name, size in (("out_channels", out_channels), ("in_channels", in_channels), ("groups", groups)):
            if size is not None and (not isinstance(size, int | np.integer) or size < 1):
                raise ConfigError(f"{who}: {name} is {size!r}; it must be a positive integer")
        if not isinstance(nobias, bool):
            raise ConfigError(
                f"{who}: nobias is {nobias!r:.80}; it must be True or False. {who}(out_channels, kernel_size, stride, "
                "pad) takes the channels of the input from the first batch, or as in_channels=..."
            )
        if out_channels % groups or (in_channels or 0) % groups:
            channels = f"in_channels {in_channels} and " if in_channels else ""
            raise ConfigError(f"{who}: groups is {groups}; it must divide {channels}out_channels {out_channels}")
        self.in_channels = in_channels
        self.out_channels = out_channels
        self.window = window
        self.groups = groups
        self.gain = gain
        self.W = Parameter(None, name="W", shape=self._kernel_shape(in_channels), dtype=dtype)
        self.b = None if nobias else Parameter(np.zeros(out_channels, dtype=dtype), name="b")
        if in_channels is not None:
            self._draw_weights(in_channels)

    def _kernel_shape(self, in_channels: int | None) -> tuple[int | None, ...]:
        raise NotImplementedError

    def _draw_weights(self, in_channels: int) -> None:
        shape = self._kernel_shape(in_channels)
        W = random.normal("weights", shape, self.W.wanted_dtype)  # type: ignore[arg-type]
        W *= self.gain * math.sqrt(1 / (in_channels // self.groups * math.prod(self.window.kernel)))
        self.W.assign(W)

    def _size(self, x: Any) -> None:
        """Before the first call: draw the weights for the channels of `x`."""
        if self.W.data is not None:
            return
        shape = as_variable(x).shape
        if len(shape) != 4 or not shape[1] or shape[1] % self.groups:
            raise ShapeError(
                f"{type(self).__name__}: the input has shape {shape}; images are (N, C, H, W), with a number of "
                f"channels C that is a multiple of groups, {self.groups}"
            )
        self.in_channels = shape[1]
        self._draw_weights(shape[1])

    def __repr__(self) -> str:
        channels = "?" if self.in_channels is None else self.in_channels
        plain = Window(self.window.kernel)
        settings = [
            f", {name}={value}"
            for name, value, usual in (
                ("stride", self.window.stride, plain.stride),
                ("pad", self.window.pad, plain.pad),
                ("dilation", self.window.dilation, plain.dilation),
                ("groups", self.groups, 1),
            )
            if value != usual
        ]
        return f"{type(self).__name__}({channels} -> {self.out_channels}, {self.window.kernel}{''.join(settings)})"


class Conv2d(_Kernels):
    """Convolution of images: see `minitorch.functions.conv2d`. W is (out_channels, in_channels / groups, KH, KW).

    Args:
        out_channels: the number of kernels, and so of channels of the output.
        kernel_size: int, or (KH, KW).
        stride: by how many pixels the kernel moves.
        pad: how many zeros are put around each image.
        nobias: leave out b.
        dtype: of the Parameters.
        in_channels: the number of channels of the input; None: taken from the first call.
        dilation: the distance between the pixels that a kernel meets.
        groups: into how many groups the channels are cut.
        gain: the deviation with which W starts is `gain / sqrt(inputs of a pixel)`. With sqrt(2) the variance stays as
            it is through a deep stack of convolutions and `relu` (He et al., ICCV 2015).

    The order of arguments is DeZero's; what looks like PyTorch's, `Conv2d(1, 16, 3)`, gets a warning.

    Raises:
        ConfigError: a size is too small, `nobias` neither True nor False, or `groups` does not divide the channels.
    """

    def __init__(
        self,
        out_channels: int,
        kernel_size: Size,
        stride: Size = 1,
        pad: Size = 0,
        nobias: bool = False,
        dtype: Any = np.float32,
        in_channels: int | None = None,
        *,
        dilation: Size = 1,
        groups: int = 1,
        gain: float = 1.0,
    ) -> None:
        window = Window.of("Conv2d", kernel_size, stride, pad, dilation)
        super().__init__(out_channels, window, nobias, dtype, in_channels, groups, gain)
        _doubt_order(out_channels, kernel_size, stride)

    def _kernel_shape(self, in_channels: int | None) -> tuple[int | None, ...]:
        return self.out_channels, in_channels and in_channels // self.groups, *self.window.kernel

    def forward(self, x: Any) -> Variable:
        """(N, in_channels, H, W) -> (N, out_channels, OH, OW)."""
        first = self.W.data is None
        self._size(x)
        if first:
            check_fit("Conv2d", as_variable(x), self.window, f"; the order is {ORDER}")
        w = self.window
        return F.conv2d(x, self.W, self.b, w.stride, w.pad, w.dilation, self.groups)


def _doubt_order(out_channels: int, size: Size, stride: Size) -> None:
    """Warn where PyTorch's order is the likelier one: a large kernel is moved by one pixel, or by its own size."""
    if isinstance(size, int) and isinstance(stride, int) and size >= LARGE and stride not in (1, size):
        warn(
            f"Conv2d({out_channels}, {size}, {stride}) makes kernels of {size}x{size} pixels, and moves them by "
            f"{stride}; the order is {ORDER}. For {out_channels} channels in and {size} out write Conv2d({size}, "
            f"{stride}); if {size}x{size} is meant, kernel_size=({size}, {size})"
        )


class Deconv2d(_Kernels):
    """The transpose of a convolution: see `minitorch.functions.deconv2d`. W is (in_channels, out_channels, KH, KW).

    Args:
        out_channels: the number of channels of the output.
        kernel_size: int, or (KH, KW).
        stride: by how many pixels the kernel moves in the output.
        pad: how many pixels are left out of the output, on every side.
        nobias: leave out b.
        dtype: of the Parameters.
        in_channels: the number of channels of the input; None: taken from the first call.

    Raises:
        ConfigError: a size is too small, or `nobias` neither True nor False.
    """

    def __init__(
        self,
        out_channels: int,
        kernel_size: Size,
        stride: Size = 1,
        pad: Size = 0,
        nobias: bool = False,
        dtype: Any = np.float32,
        in_channels: int | None = None,
    ) -> None:
        window = Window.of("Deconv2d", kernel_size, stride, pad)
        super().__init__(out_channels, window, nobias, dtype, in_channels)

    def _kernel_shape(self, in_channels: int | None) -> tuple[int | None, ...]:
        return in_channels, self.out_channels, *self.window.kernel

    def forward(self, x: Any) -> Variable:
        """(N, in_channels, H, W) -> (N, out_channels, OH, OW)."""
        self._size(x)
        return F.deconv2d(x, self.W, self.b, self.window.stride, self.window.pad)
