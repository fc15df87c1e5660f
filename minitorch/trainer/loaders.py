"""What a loader is, and what to do with the things that are often given in its place."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import PurePath
from typing import Any

import numpy as np

from minitorch.cuda import is_array
from minitorch.datasets import Dataset
from minitorch.errors import ConfigError, DataError
from minitorch.variable import Variable

SCALARS = (int, float, np.generic)


def check_loader(loader: Any) -> None:
    """Raise unless `loader` is something that gives batches when it is iterated, as far as that can be told beforehand.

    Raises:
        ConfigError: it is a data set, an array, a pair of arrays, a function, or something else to be wrapped.
    """
    if hasattr(loader, "iterate"):  # a DataLoader, or what is made like one
        return
    name = type(loader).__name__
    if isinstance(loader, Dataset):
        raise _samples(name)
    if is_array(loader) or isinstance(loader, Variable):
        raise ConfigError(
            f"an array of shape {loader.shape} is no loader; give DataLoader(ArrayDataset(x, t), batch_size), or a "
            "list of batches"
        )
    if _is_pair_of_arrays(loader):
        shapes = " and ".join(str(array.shape) for array in loader)
        raise ConfigError(
            f"a {name} of arrays of shapes {shapes} is no loader; give DataLoader(ArrayDataset(x, t), batch_size), or "
            "[(x, t)] for one batch of all samples"
        )
    if isinstance(loader, list | tuple) and loader and hasattr(loader[0], "iterate"):
        raise ConfigError(
            f"a {name} of loaders is no loader; several for validation are named, as their metrics will be: "
            '{"clean": loader, "noisy": other}'
        )
    if isinstance(loader, Mapping):
        raise ConfigError(
            f"a {name} of {', '.join(map(repr, loader))} is no loader of batches; give DataLoader(ArrayDataset(x, t), "
            "batch_size), or a list of batches, each perhaps a dict (several loaders by name are for validation)"
        )
    is_text = isinstance(loader, str | bytes | PurePath)
    if is_text or (not isinstance(loader, Iterable) and not hasattr(loader, "__getitem__")):
        call = f"; it can be called: {loader.__name__}()" if _is_function(loader) else ""
        raise ConfigError(f"{loader!r} is no loader of batches; give a DataLoader, or a list of batches{call}")


def check_first(loader: Any) -> None:
    """Raise ConfigError if `loader` is a data set of another framework: indexed, without an iterator, of samples."""
    is_indexed = hasattr(loader, "__getitem__") and not hasattr(loader, "__iter__")
    if is_indexed and hasattr(loader, "__len__") and len(loader) and is_sample(loader[0]):
        raise _samples(type(loader).__name__)


def check_passes(loader: Any, epochs: int | None) -> None:
    """Raise where `loader` lasts for one pass and more than one of `epochs` are asked for; None: nobody knows.

    Raises:
        DataError: it is a generator, or another iterator.
    """
    if epochs is not None and epochs > 1 and isinstance(loader, Iterator) and _is_built_in(loader):
        raise DataError(
            f"a {type(loader).__name__} lasts for one pass, and {epochs} epochs are asked for; give something that can "
            "be iterated anew for each pass: a list, a DataLoader, or an object whose __iter__ makes a new generator"
        )


def check_not_empty(loader: Any) -> None:
    """Raise DataError if `loader` knows that it has no batch."""
    if hasattr(loader, "__len__") and not len(loader):
        raise empty(loader)


def empty(loader: Any, where: str = "") -> DataError:
    """The error to raise where `loader` gave no batch."""
    return DataError(
        f"the loader ({type(loader).__name__}) gave no batch{where}; give data, in something that can be iterated anew "
        "for each pass (a list or a DataLoader, not a generator)"
    )


def begun(loader: Any) -> Iterator[Any]:
    """A pass over `loader`.

    Raises:
        ConfigError: it is no loader.
    """
    check_loader(loader)
    return iter(loader)


def is_sample(item: Any) -> bool:
    """Whether it is a pair of one sample: with a label that is a bare number."""
    return isinstance(item, tuple | list) and len(item) == 2 and is_array(item[0]) and isinstance(item[1], SCALARS)


def _samples(name: str) -> ConfigError:
    return ConfigError(f"{name} gives samples one by one; wrap it: DataLoader({name}(...), batch_size)")


def _is_pair_of_arrays(loader: Any) -> bool:
    """Whether it is `(x, t)` rather than several batches without labels, which are alike."""
    if not isinstance(loader, tuple | list) or len(loader) != 2 or not all(map(is_array, loader)):
        return False
    x, t = loader
    differ = (x.ndim, x.dtype.kind) != (t.ndim, t.dtype.kind) or x.shape[1:] != t.shape[1:]
    return x.ndim > 0 and t.ndim > 0 and len(x) == len(t) and differ


def _is_function(value: Any) -> bool:
    return isinstance(value, Callable) and hasattr(value, "__name__")  # type: ignore[arg-type]


def _is_built_in(loader: Any) -> bool:
    """Whether it is an iterator of Python's own, which begins nothing anew; of others nobody knows."""
    return type(loader).__module__ in ("builtins", "itertools")
