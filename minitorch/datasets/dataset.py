"""Data sets: samples by index, one at a time or a whole batch by one gather."""

import operator
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from minitorch.cuda import as_cupy, is_array, xp_of
from minitorch.errors import ConfigError, DataError, DTypeError
from minitorch.random import drawing_for_one
from minitorch.transforms import Compose, Transform, works_on_batches

Array = Any  # a NumPy or CuPy array
Batch = tuple[Array, ...]


class Dataset:
    """Samples `(x, t)` by index, made from `data` and `label` by `transform` and `target_transform`.

    A subclass overrides either `prepare`, which sets `self.data` and `self.label` (or leaves that None), or
    `__getitem__` and `__len__`, when the samples are to be read one by one. A whole batch is made by `batch`: by one
    gather and vectorised transforms if `data` and `label` are arrays, `__getitem__` is not overridden and the
    transforms are `Transform`s; else sample by sample.

    Args:
        train: the part for training or the part for testing; what that means is up to `prepare`.
        transform: applied to each x; None passes it on.
        target_transform: applied to each t; None passes it on.

    Raises:
        ConfigError: `train` is neither True nor False.
        DataError: `data` and `label` differ in length.
    """

    def __init__(
        self,
        train: bool = True,
        transform: Callable[[Any], Any] | None = None,
        target_transform: Callable[[Any], Any] | None = None,
    ) -> None:
        if not isinstance(train, bool | np.bool_):
            raise ConfigError(
                f"{type(self).__name__}: train is {train!r:.80}; it must be True, for training, or False, for testing"
                + (" (a folder is named by root=...)" if hasattr(self, "root") else "")
            )
        self.train = bool(train)
        self.transform = Compose() if transform is None else transform
        self.target_transform = Compose() if target_transform is None else target_transform
        self.data: Any = None
        self.label: Any = None
        self.prepare()
        if self.data is not None and self.label is not None and len(self.data) != len(self.label):
            raise DataError(
                f"{type(self).__name__}: {len(self.data)} samples in `data`, but {len(self.label)} in `label`; "
                "there must be one label for each sample"
            )

    def prepare(self) -> None:
        """Set `self.data` and `self.label`; called once, by the constructor."""

    def __len__(self) -> int:
        return len(self._prepared())

    def __getitem__(self, index: int) -> tuple[Any, Any]:
        """The sample `index` as (x, t), or (x, None) where there are no labels."""
        try:
            at = operator.index(index)
        except TypeError:
            raise DTypeError(
                f"{type(self).__name__}[...]: got {index!r}; an index is one integer, and `batch([...])` takes several"
            ) from None
        x = self.transform(self._prepared()[at])
        return x, None if self.label is None else self.target_transform(self.label[at])

    def batch(self, indices: Sequence[int] | Array) -> Batch:
        """The samples `indices`, stacked: (x, t), or (x,) where there are no labels.

        The arrays are new: changing them changes nothing in the data set.
        """
        arrays = self.arrays()
        if arrays is None:
            return collate(self, indices)
        return self.transformed(tuple(rows_of(array, _rows(indices, array)) for array in arrays))

    def arrays(self) -> Batch | None:
        """All samples, not yet transformed, as arrays; None where samples must be made one by one."""
        arrays = (self.data,) if self.label is None else (self.data, self.label)
        own = type(self).__getitem__ is Dataset.__getitem__
        whole = own and all(map(_is_whole, arrays)) and all(map(works_on_batches, self._transforms()))
        return arrays if whole else None

    def transformed(self, batch: Batch) -> Batch:
        """Transform a batch cut out of `arrays`, which the caller gives away: it may be overwritten."""
        return tuple(transform.apply(array) for transform, array in zip(self._transforms(), batch, strict=False))

    def _transforms(self) -> tuple[Transform, Transform]:
        return self.transform, self.target_transform  # type: ignore[return-value]  # `arrays` asks what they are

    def _prepared(self) -> Any:
        if self.data is None:
            raise DataError(
                f"{type(self).__name__}: `data` is None; set self.data in `prepare`, "
                "or override both `__getitem__` and `__len__`"
            )
        return self.data


class ArrayDataset(Dataset):
    """The samples of arrays in hand: `ArrayDataset(x, t)`, or `ArrayDataset(x)` without labels.

    The arrays, NumPy or CuPy, are not copied.

    Raises:
        DataError: `x` and `t` differ in length, or one is no array with samples along axis 0.
    """

    def __init__(
        self,
        x: Array,
        t: Array | None = None,
        *,
        transform: Callable[[Any], Any] | None = None,
        target_transform: Callable[[Any], Any] | None = None,
    ) -> None:
        for name, array in (("x", x), ("t", t)):
            if array is not None and not (is_array(array) and array.ndim):
                found = "a single number" if getattr(array, "shape", None) == () else type(array).__name__
                raise DataError(
                    f"ArrayDataset: {name} is {found}; give an array with samples along axis 0, or a list of (x, t) "
                    "to the loader itself"
                )
        self._arrays = x, t
        super().__init__(transform=transform, target_transform=target_transform)

    def prepare(self) -> None:
        """Take the arrays."""
        self.data, self.label = self._arrays


def collate(dataset: Any, indices: Sequence[int] | Array) -> Batch:
    """The samples `dataset[i]` for i in `indices`, stacked to one array for each value of a sample.

    A sample is a tuple or list of values, or one value. A last value that is None (no label) is left out. Python
    floats become float32, Python integers int64; arrays keep their type.

    Raises:
        DataError: the samples differ in shape or in number of values, or a value is no array and no number.
    """
    samples = [_sample(dataset, position, int(i)) for position, i in enumerate(indices)]
    if not samples:
        raise DataError(f"{type(dataset).__name__}: a batch of no samples; give at least one index")
    width = len(samples[0])
    for i, sample in zip(indices, samples, strict=True):
        if len(sample) != width:
            raise DataError(
                f"{type(dataset).__name__}: sample {indices[0]} has {width} values, sample {i} has {len(sample)}; "
                "all must have the same number (a label that is None counts for none)"
            )
    return tuple(_stack(dataset, indices, [sample[k] for sample in samples]) for k in range(width))


def rows_of(array: Array, rows: Array) -> Array:
    """The samples `rows` of `array`, a new array."""
    return array.take(rows, axis=0) if array.flags.c_contiguous else array[rows]  # of windows `take` copies all first


def _is_whole(array: Any) -> bool:
    """Whether `array` is one array of values, not one of Python objects."""
    return is_array(array) and array.dtype != object


def _rows(indices: Sequence[int] | Array, array: Array) -> Array:
    """`indices` on the side where `array` is."""
    return np.asarray(indices, np.int64) if xp_of(array) is np else as_cupy(np.asarray(indices, np.int64))


def _sample(dataset: Any, position: int, index: int) -> tuple[Any, ...]:
    """The values of one sample; an error gets a note that says which one it was."""
    try:
        with drawing_for_one(position):
            sample = dataset[index]
    except Exception as error:
        error.add_note(f"while loading sample {index} of {type(dataset).__name__}")
        raise
    values = tuple(sample) if isinstance(sample, tuple | list) else (sample,)
    return values[:-1] if len(values) > 1 and values[-1] is None else values


def _stack(dataset: Any, indices: Sequence[int] | Array, values: list[Any]) -> Array:
    """Stack one value of each sample along a new axis 0."""
    arrays = [_to_array(value) for value in values]
    for i, array in zip(indices, arrays, strict=True):
        if array.dtype.kind == "O":
            raise DataError(
                f"{type(dataset).__name__}: sample {i} holds {array!r}, which is no array of numbers; a sample is an "
                "array, a number, or a tuple of these"
            )
        if array.shape != arrays[0].shape:
            raise DataError(
                f"{type(dataset).__name__}: sample {indices[0]} has shape {arrays[0].shape}, sample {i} has shape "
                f"{array.shape}; a batch needs equal shapes: cut or pad the samples in the data set's transform"
            )
    return xp_of(arrays[0]).stack(arrays)


def _to_array(value: Any) -> Array:
    """An array of one value: Python floats as float32, all else as it is."""
    if is_array(value):
        return value
    array = np.asarray(value)
    return array.astype(np.float32) if array.dtype == np.float64 and not isinstance(value, np.generic) else array
