"""Transforms of images (..., height, width): parts of them, and their mirror images."""

import math
from typing import Any

import numpy as np
from attrs import Attribute, field, frozen

from minitorch import random
from minitorch.cuda import as_cupy, get_array_module
from minitorch.errors import ConfigError, ShapeError
from minitorch.transforms.transform import Array, Transform

Size = int | tuple[int, int]  # one number for both, or (width, height) as in Pillow


def as_pair(size: Size) -> tuple[int, int]:
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

    size: tuple[int, int] = field(converter=as_pair)

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

    size: tuple[int, int] = field(converter=as_pair)
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
