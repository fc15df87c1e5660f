"""`Window`: a kernel that slides over an image, and the arithmetic of where it stands and what it meets."""

from collections.abc import Sequence
from typing import Any, Self

import attrs
import numpy as np

from minitorch.errors import ConfigError

Pair = tuple[int, int]  # height, then width


@attrs.frozen
class Window:
    """The geometry of a convolution or a pooling: kernel, stride, padding on either side, and dilation."""

    kernel: Pair
    stride: Pair = (1, 1)
    pad: Pair = (0, 0)
    dilation: Pair = (1, 1)

    @classmethod
    def of(cls, who: str, kernel: Any, stride: Any = 1, pad: Any = 0, dilation: Any = 1) -> Self:
        """The window of `who`, each size an int, for both directions, or a pair (height, width).

        Raises:
            ConfigError: one of them is neither, or is too small.
        """
        return cls(
            as_pair(who, "kernel_size", kernel, 1),
            as_pair(who, "stride", stride, 1),
            as_pair(who, "pad", pad, 0),
            as_pair(who, "dilation", dilation, 1),
        )

    @property
    def reach(self) -> Pair:
        """The height and width that the kernel covers, the gaps of its dilation included."""
        (kh, kw), (dh, dw) = self.kernel, self.dilation
        return (kh - 1) * dh + 1, (kw - 1) * dw + 1

    @property
    def is_identity(self) -> bool:
        """Whether the kernel meets every pixel once, alone: a 1×1 convolution."""
        return self.kernel == self.stride == (1, 1) and self.pad == (0, 0)

    def positions(self, size: Sequence[int]) -> Pair:
        """At how many places down and across it stands in an image of `size`; below 1 where it does not fit."""
        (h, w), (rh, rw), (sh, sw), (ph, pw) = size, self.reach, self.stride, self.pad
        return (h + 2 * ph - rh) // sh + 1, (w + 2 * pw - rw) // sw + 1

    def least_size(self, positions: Sequence[int]) -> Pair:
        """The smallest image in which it has this many `positions`."""
        (h, w), (rh, rw), (sh, sw), (ph, pw) = positions, self.reach, self.stride, self.pad
        return sh * (h - 1) + rh - 2 * ph, sw * (w - 1) + rw - 2 * pw

    def meets(self, axis: int, k: int, size: int, positions: int) -> tuple[slice, slice]:
        """Where element `k` of the kernel along `axis` lies inside the image and not in the padding.

        Args:
            axis: 0 for heights, 1 for widths.
            k: the number of the element along that axis.
            size: of the image along that axis.
            positions: at how many places the kernel stands along that axis.

        Returns:
            The positions for which it does, and the pixels that it then meets, one for each.
        """
        step = self.stride[axis]
        start = k * self.dilation[axis] - self.pad[axis]  # the pixel that it meets at position 0
        first = max(0, -(start // step))
        last = max(first, min(positions, (size - 1 - start) // step + 1))
        pixel = start + first * step
        return slice(first, last), slice(pixel, pixel + (last - first - 1) * step + 1 if last > first else pixel, step)


def as_pair(who: str, name: str, value: Any, least: int) -> Pair:
    """`value` as (height, width); of an int, that twice.

    Raises:
        ConfigError: it is neither an int nor a pair, or is below `least`.
    """
    pair = tuple(value) if isinstance(value, tuple | list) else (value, value)
    whole = [isinstance(n, int | np.integer) and not isinstance(n, bool) and n >= least for n in pair]
    if len(pair) != 2 or not all(whole):
        raise ConfigError(
            f"{who}: {name} is {value!r}; it must be an int from {least}, or a pair (height, width) of them"
        )
    return int(pair[0]), int(pair[1])
