"""Transforms of Pillow images, one at a time, and from them to arrays and back."""

from types import ModuleType
from typing import Any

import numpy as np
from attrs import field, frozen

from minitorch.cuda import as_numpy
from minitorch.errors import DTypeError, MissingExtraError, ShapeError
from minitorch.transforms.images import as_pair
from minitorch.transforms.transform import Array, Transform
from minitorch.transforms.values import as_dtype

Image = Any  # a Pillow image


def _pillow(name: str) -> ModuleType:
    """Pillow's `Image` module, imported when the first image comes."""
    try:
        from PIL import Image as pillow  # noqa: N813  # it is a module
    except ImportError as error:
        raise MissingExtraError(f"{name} works on Pillow images: pip install minitorch[images]") from error
    module: ModuleType = pillow
    return module


def _check_image(name: str, image: Any) -> ModuleType:
    """Pillow's `Image` module; raise DTypeError unless `image` is one of its images."""
    pillow = _pillow(name)
    if not isinstance(image, pillow.Image):
        raise DTypeError(
            f"{name}: got {type(image).__name__}; it takes Pillow images: put it before ToArray, or after ToPIL"
        )
    return pillow


@frozen
class Convert:
    """Convert a Pillow image to `mode` ("RGB", "L", ... or "BGR", which Pillow does not know).

    Raises:
        DTypeError: the sample is no Pillow image.
    """

    mode: str = "RGB"

    def __call__(self, image: Image) -> Image:
        """Convert one image."""
        pillow = _check_image("Convert", image)
        if self.mode != "BGR":
            return image.convert(self.mode)
        red, green, blue = image.convert("RGB").split()
        return pillow.merge("RGB", (blue, green, red))


@frozen
class Resize:
    """Scale a Pillow image to `size`.

    Args:
        size: width and height, as one number or as (width, height).
        mode: one of Pillow's `Image.Resampling`; bilinear by default.

    Raises:
        DTypeError: the sample is no Pillow image.
    """

    size: tuple[int, int] = field(converter=as_pair)
    mode: int | None = None

    def __call__(self, image: Image) -> Image:
        """Scale one image."""
        pillow = _check_image("Resize", image)
        return image.resize(self.size, pillow.Resampling.BILINEAR if self.mode is None else self.mode)


@frozen
class ToArray(Transform):
    """Make a Pillow image an array (channels, height, width) of `dtype`; arrays pass unchanged.

    Raises:
        DTypeError: the sample is neither an image nor an array.
    """

    dtype: np.dtype[Any] = field(default=np.float32, converter=as_dtype)

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
    """Make an array (channels, height, width) a Pillow image; one channel makes a grey image.

    Raises:
        ShapeError: the array has not three axes.
        DTypeError: Pillow has no images of such channels, as of three of floats.
    """

    def __call__(self, array: Array) -> Image:
        """Convert one array."""
        pillow, array = _pillow("ToPIL"), as_numpy(array)
        if array.ndim != 3:
            raise ShapeError(f"ToPIL: got an array of shape {array.shape}; an image is (channels, height, width)")
        try:
            return pillow.fromarray(array[0] if len(array) == 1 else array.transpose(1, 2, 0))
        except TypeError as error:
            raise DTypeError(
                f"ToPIL: Pillow has no images of {len(array)} channels of {array.dtype}; put it before ToFloat, or use "
                "x.astype(np.uint8)"
            ) from error
