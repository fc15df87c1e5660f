"""`Transform`, what is done to one sample or a whole batch with equal results, and `Compose`, several in a row."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable
from typing import Any

from attrs import field, frozen

from minitorch.cuda import get_array_module
from minitorch.errors import ConfigError, DTypeError

Array = Any  # a NumPy or CuPy array


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
