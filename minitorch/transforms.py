"""Transforms: what a data set does to its samples, one at a time or a whole batch at once with equal results.

A `Transform` implements one method, `apply`, for a batch; `transform(sample)` and `transform.batch(array)` follow from
it, so the two cannot differ. They work on NumPy and CuPy arrays alike. Images are (..., height, width), as `ToArray`
makes them. Transforms of Pillow images (`Convert`, `Resize`, `ToPIL`) are plain callables: a data set that uses one
is read sample by sample.

What a random transform draws for a sample is a pure function of (seed, epoch, index of the sample, number of the
draw within the sample), computed by counter-based Philox. A `DataLoader` says which samples are on the way with
`drawing_for`; so neither the batch size, nor resuming in the middle of an epoch, nor threads change anything.
Outside a loader the next numbers of `minitorch.random` are drawn.
"""

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Sequence
from types import ModuleType
from typing import Any

import numpy as np
from attrs import Attribute, field, frozen

from minitorch import random
from minitorch.cuda import as_cupy, as_numpy, get_array_module
from minitorch.errors import ConfigError, DTypeError, MissingExtraError, ShapeError

Array = Any  # a NumPy or CuPy array
Image = Any  # a Pillow image
Size = int | tuple[int, int]  # one number for both, or (width, height) as in Pillow


class Transform(ABC):
    """A function of array samples that works on a whole batch as well; subclasses implement `apply`."""

    @abstractmethod
    def apply(self, array: Array) -> Array:
        """Transform `array`, a batch with samples along axis 0, which the caller gives away: it may be overwritten."""

    def batch(self, array: Array) -> Array:
        """Transform a batch: equals transforming each sample by itself, and leaves `array` as it is."""
        return self.apply(array.copy())

    def __call__(self, sample: Any) -> Any:
        """Transform one sample and leave `sample` as it is."""
        return self.apply(get_array_module(sample).asarray(sample)[None].copy())[0]

    @property
    def on_batches(self) -> bool:
        """Whether `apply` works; only a `Compose` with a plain function among its parts says no."""
        return True


def works_on_batches(transform: Any) -> bool:
    """Whether `transform` can be applied to a whole batch at once."""
    return isinstance(transform, Transform) and transform.on_batches


def _in_order(transforms: Iterable[Callable[[Any], Any]]) -> tuple[Callable[[Any], Any], ...]:
    return tuple(transforms)


@frozen
class Compose(Transform):
    """Apply `transforms` one after the other; without any, pass everything on unchanged.

    Raises:
        ConfigError: one of `transforms` cannot be called.
    """

    transforms: tuple[Callable[[Any], Any], ...] = field(default=(), converter=_in_order)

    def __attrs_post_init__(self) -> None:
        for transform in self.transforms:
            if not callable(transform):
                raise ConfigError(f"Compose: {transform!r} is no transform; give functions or objects with __call__")

    def __call__(self, sample: Any) -> Any:
        """Transform one sample, an array or a Pillow image, and leave `sample` as it is."""
        for transform in self.transforms:
            sample = transform(sample)
        return sample

    def batch(self, array: Array) -> Array:
        """Transform a batch: equals transforming each sample by itself, and leaves `array` as it is.

        Raises:
            DTypeError: one of the parts takes single samples only.
        """
        for transform in self.transforms:
            if not works_on_batches(transform):
                raise DTypeError(f"Compose.batch: {transform!r} takes single samples only; call the Compose on each")
        return super().batch(array)

    def apply(self, array: Array) -> Array:
        """Transform a batch part by part."""
        for transform in self.transforms:
            array = transform.apply(array)  # type: ignore[attr-defined]  # callers ask `on_batches` first
        return array

    @property
    def on_batches(self) -> bool:
        """Whether all parts work on batches."""
        return all(map(works_on_batches, self.transforms))


# Array transforms ----------------------------------------------------------------------------------------------------


@frozen
class Flatten(Transform):
    """Make each sample one row: (N, ...) becomes (N, size of a sample)."""

    def apply(self, array: Array) -> Array:
        """Flatten each sample of a batch."""
        return array.reshape(len(array), math.prod(array.shape[1:]))


@frozen
class AsType(Transform):
    """Convert to `dtype`."""

    dtype: np.dtype[Any] = field(default=np.float32, converter=np.dtype)

    def apply(self, array: Array) -> Array:
        """Convert a batch."""
        return array.astype(self.dtype, copy=False)


@frozen
class ToFloat(AsType):
    """Convert to float32, or to the float type given."""


@frozen
class ToInt(AsType):
    """Convert to int64, or to the integer type given."""

    dtype: np.dtype[Any] = field(default=np.int64, converter=np.dtype)


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


def _pair(size: Size) -> tuple[int, int]:
    """Make (width, height) of a size."""
    pair = tuple(size) if isinstance(size, tuple | list) else (size, size)
    if len(pair) != 2 or any(isinstance(n, bool) or not isinstance(n, int | np.integer) or n < 1 for n in pair):
        raise ConfigError(f"size: got {size!r}; a size is a positive integer or a pair (width, height) of them")
    return int(pair[0]), int(pair[1])


def _check_images(name: str, array: Array, size: tuple[int, int] = (1, 1)) -> None:
    """Raise ShapeError unless `array` is a batch of images not smaller than `size`."""
    if array.ndim < 3:
        raise ShapeError(
            f"{name}: a sample has shape {array.shape[1:]}; images have (..., height, width): put {name} before Flatten"
        )
    height, width = array.shape[-2:]
    if width < size[0] or height < size[1]:
        raise ShapeError(f"{name}: cannot cut {size[0]}x{size[1]} out of images {width}x{height} (width x height)")


@frozen
class CenterCrop(Transform):
    """Cut the middle out of an image, an array (..., height, width) or a Pillow image.

    Args:
        size: width and height of the part, as one number or as (width, height).

    Raises:
        ShapeError: the image is smaller than that.
    """

    size: tuple[int, int] = field(converter=_pair)

    def __call__(self, sample: Any) -> Any:
        """Crop one array or Pillow image."""
        if hasattr(sample, "shape"):
            return super().__call__(sample)
        (width, height), (w, h) = sample.size, self.size
        if width < w or height < h:
            raise ShapeError(f"CenterCrop: cannot cut {w}x{h} out of an image {width}x{height} (width x height)")
        left, top = (width - w) // 2, (height - h) // 2
        return sample.crop((left, top, left + w, top + h))

    def apply(self, array: Array) -> Array:
        """Crop a batch of arrays."""
        _check_images("CenterCrop", array, self.size)
        (height, width), (w, h) = array.shape[-2:], self.size
        left, top = (width - w) // 2, (height - h) // 2
        return array[..., top : top + h, left : left + w].copy()  # lets go of the whole images


def _not_negative(instance: Transform, attribute: "Attribute[int]", value: int) -> None:
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise ConfigError(f"{type(instance).__name__}: {attribute.name} is {value!r}; it is an integer of at least 0")


@frozen
class RandomCrop(Transform):
    """Cut a part out of each image (..., height, width) at a random place.

    Args:
        size: width and height of the part, as one number or as (width, height).
        padding: so many rows and columns of zeros are put around the image first.

    Raises:
        ShapeError: the padded image is smaller than that.
    """

    size: tuple[int, int] = field(converter=_pair)
    padding: int = field(default=0, validator=_not_negative)

    def apply(self, array: Array) -> Array:
        """Crop a batch by one gather."""
        _check_images("RandomCrop", array)
        xp = get_array_module(array)
        if self.padding:
            array = _framed(array, self.padding)
        _check_images("RandomCrop", array, self.size)
        (height, width), (w, h) = array.shape[-2:], self.size
        words = random.sample_words(len(array))
        top, left = words[0] * (height - h + 1) >> 32, words[1] * (width - w + 1) >> 32
        corner = (top * width + left).astype(np.int64)  # where the part begins in its image, pixels counted by rows
        corner = as_cupy(corner) if xp is not np else corner
        planes = xp.arange(math.prod(array.shape[:-2])).reshape(len(array), math.prod(array.shape[1:-2]))
        window = (xp.arange(h)[:, None] * width + xp.arange(w)).ravel()
        part = array.ravel().take((planes * (height * width) + corner[:, None])[:, :, None] + window)
        return part.reshape(*array.shape[:-2], h, w)


def _framed(array: Array, width: int) -> Array:
    """A batch of images with a frame of zeros, `width` pixels wide, around each."""
    framed = get_array_module(array).zeros((*array.shape[:-2], *(n + 2 * width for n in array.shape[-2:])), array.dtype)
    framed[..., width:-width, width:-width] = array
    return framed


@frozen
class RandomHorizontalFlip(Transform):
    """Mirror an image (..., height, width) left to right with probability `p`."""

    p: float = 0.5

    def __attrs_post_init__(self) -> None:
        if not 0 <= self.p <= 1:
            raise ConfigError(f"RandomHorizontalFlip: p is {self.p}; a probability is from 0 to 1")

    def apply(self, array: Array) -> Array:
        """Mirror some images of a batch in place."""
        _check_images("RandomHorizontalFlip", array)
        chosen = np.flatnonzero(random.sample_words(len(array))[0] < self.p * 2**32)
        at = as_cupy(chosen) if get_array_module(array) is not np else chosen
        array[at] = array[at][..., ::-1]
        return array


# Pillow transforms ---------------------------------------------------------------------------------------------------


def _pillow(name: str) -> ModuleType:
    """Pillow's `Image` module, imported when the first image comes."""
    try:
        from PIL import Image as pillow  # noqa: N813  # it is a module
    except ImportError as error:
        raise MissingExtraError(f"{name} works on Pillow images: pip install minitorch[images]") from error
    module: ModuleType = pillow
    return module


@frozen
class Convert:
    """Convert a Pillow image to `mode` ("RGB", "L", ... or "BGR", which Pillow does not know)."""

    mode: str = "RGB"

    def __call__(self, image: Image) -> Image:
        """Convert one image."""
        if self.mode != "BGR":
            return image.convert(self.mode)
        red, green, blue = image.convert("RGB").split()
        return _pillow("Convert").merge("RGB", (blue, green, red))


@frozen
class Resize:
    """Scale a Pillow image to `size`.

    Args:
        size: width and height, as one number or as (width, height).
        mode: one of Pillow's `Image.Resampling`; bilinear by default.
    """

    size: tuple[int, int] = field(converter=_pair)
    mode: int | None = None

    def __call__(self, image: Image) -> Image:
        """Scale one image."""
        pillow = _pillow("Resize")
        return image.resize(self.size, pillow.Resampling.BILINEAR if self.mode is None else self.mode)


@frozen
class ToArray(Transform):
    """Make a Pillow image an array (channels, height, width) of `dtype`; arrays pass unchanged.

    Raises:
        DTypeError: the sample is neither an image nor an array.
    """

    dtype: np.dtype[Any] = field(default=np.float32, converter=np.dtype)

    def __call__(self, sample: Any) -> Array:
        """Convert one image."""
        if hasattr(sample, "shape"):
            return sample
        if not isinstance(sample, _pillow("ToArray").Image):
            raise DTypeError(f"ToArray: got {type(sample).__name__}; it converts Pillow images and passes arrays on")
        array = np.asarray(sample)
        return (array[None] if array.ndim == 2 else array.transpose(2, 0, 1)).astype(self.dtype)

    def apply(self, array: Array) -> Array:
        """Pass a batch of arrays on."""
        return array


@frozen
class ToPIL:
    """Make an array (channels, height, width) a Pillow image; one channel makes a grey image."""

    def __call__(self, array: Array) -> Image:
        """Convert one array."""
        array = as_numpy(array)
        return _pillow("ToPIL").fromarray(array[0] if len(array) == 1 else array.transpose(1, 2, 0))
