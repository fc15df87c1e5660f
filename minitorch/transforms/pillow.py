"""Transforms of Pillow images, one at a time, and from them to arrays and back."""

from types import ModuleType
from typing import Any

import numpy as np
from attrs import field, frozen

from minitorch.cuda import as_numpy
from minitorch.errors import DTypeError, MissingExtraError
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

    size: tuple[int, int] = field(converter=as_pair)
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
    """Make an array (channels, height, width) a Pillow image; one channel makes a grey image."""

    def __call__(self, array: Array) -> Image:
        """Convert one array."""
        array = as_numpy(array)
        return _pillow("ToPIL").fromarray(array[0] if len(array) == 1 else array.transpose(1, 2, 0))
