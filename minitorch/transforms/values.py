"""Transforms of arrays of any meaning: shape, type and scale of their values."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from attrs import field, frozen

from minitorch.cuda import get_array_module
from minitorch.errors import ConfigError, ShapeError
from minitorch.transforms.transform import Array, Transform


def as_dtype(dtype: Any) -> np.dtype[Any]:
    """`np.dtype(dtype)`: as a function, since attrs reads signatures, and that of a built-in type takes it long."""
    found: np.dtype[Any] = np.dtype(dtype)
    return found


@frozen
class Flatten(Transform):
    """Make each sample one row: (N, ...) becomes (N, size of a sample)."""

    def apply(self, array: Array) -> Array:
        """Flatten each sample of a batch."""
        return array.reshape(len(array), math.prod(array.shape[1:]))


@frozen
class AsType(Transform):
    """Convert to `dtype`."""

    dtype: np.dtype[Any] = field(default=np.float32, converter=as_dtype)

    def apply(self, array: Array) -> Array:
        """Convert a batch."""
        return array.astype(self.dtype, copy=False)


@frozen
class ToFloat(AsType):
    """Convert to float32, or to the float type given."""


@frozen
class ToInt(AsType):
    """Convert to int64, or to the integer type given."""

    dtype: np.dtype[Any] = field(default=np.int64, converter=as_dtype)


def _number_or_channels(value: float | Sequence[float]) -> float | tuple[float, ...]:
    """A float for all values, or a tuple with one float a channel."""
    return float(value) if isinstance(value, int | float | np.number) else tuple(float(v) for v in value)


@frozen
class Normalize(Transform):
    """Compute `(x - mean) / std`, with one number for all values or one a channel (the first axis of a sample).

    Floats keep their type, integers become float32.

    Raises:
        ConfigError: a standard deviation is 0.
        ShapeError: the samples do not have as many channels as there are numbers.
    """

    mean: float | tuple[float, ...] = field(default=0.0, converter=_number_or_channels)
    std: float | tuple[float, ...] = field(default=1.0, converter=_number_or_channels)
    _constants: dict[Any, Array] = field(factory=dict, init=False, repr=False, eq=False)  # on the device, once

    def __attrs_post_init__(self) -> None:
        if not np.all(self.std):
            raise ConfigError(f"Normalize: std is {self.std}; it divides, so it must not be 0")

    def apply(self, array: Array) -> Array:
        """Normalize a batch in place, if it is of a float type."""
        if array.dtype.kind != "f":
            array = array.astype(np.float32)
        if self.mean != 0.0:
            array -= self._fitting("mean", self.mean, array)
        if self.std != 1.0:
            array /= self._fitting("std", self.std, array)
        return array

    def _fitting(self, name: str, values: float | tuple[float, ...], array: Array) -> Array:
        """The number, or an array that broadcasts along the channels of the batch `array`."""
        if isinstance(values, float):
            return values
        if array.ndim < 2 or len(values) not in (1, array.shape[1]):
            raise ShapeError(
                f"Normalize: {len(values)} values of {name} for samples of shape {array.shape[1:]}; give one number, "
                "or one for each channel, the first axis of a sample (put Normalize before Flatten)"
            )
        xp = get_array_module(array)
        key = (name, xp.__name__, array.dtype.str)
        if key not in self._constants:
            self._constants[key] = xp.asarray(values, dtype=array.dtype)
        return self._constants[key].reshape(-1, *(1,) * (array.ndim - 2))
