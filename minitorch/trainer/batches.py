"""Batches as the loop needs them: of an epoch from its middle, with the last one known, and how large they are."""

from collections.abc import Iterator, Mapping
from itertools import islice
from typing import Any

import numpy as np

from minitorch.autograd.primitive import describe
from minitorch.cuda import as_numpy, is_array
from minitorch.errors import ConfigError
from minitorch.resident import LaterBatch
from minitorch.trainer.loaders import SCALARS, begun, empty
from minitorch.variable import Variable
from minitorch.warning import warn

SEQUENCES, ARRAYS = (tuple, list), (np.ndarray, Variable)  # a union would be made anew at each use


def of_epoch(loader: Any, epoch: int, start: int, limit: int | None = None) -> Iterator[tuple[Any, bool]]:
    """The batches of `epoch` from number `start` on, each with whether it is the last; with `limit`, no more than that.

    Raises:
        ConfigError: `loader` is a data set, an array, or nothing to iterate over; or `start` lies beyond the limit.
        DataError: there is no batch.
    """
    batches = loader.iterate(epoch, start) if hasattr(loader, "iterate") else islice(begun(loader), start, None)
    if limit is not None:
        if start >= limit:
            raise ConfigError(
                f"fit: the run has done {start} batches of epoch {epoch + 1}, and Limits(train_batches={limit}) ends "
                "an epoch earlier; take a larger limit, or begin a new run"
            )
        batches = islice(batches, limit - start)
    none = object()
    batch = next(batches, none)
    if batch is none:
        raise empty(loader, f" in epoch {epoch + 1}" + (f" after batch {start}" if start else ""))
    while batch is not none:
        following = next(batches, none)
        yield batch, following is none
        batch = following


def all_of(loader: Any, limit: int | None = None) -> Iterator[Any]:
    """The batches of one pass, or the first so many, in the same order each time.

    Raises:
        ConfigError: `loader` is a data set, an array, or nothing to iterate over.
        DataError: there is no batch.
    """
    count = 0
    batches = loader.iterate(0) if hasattr(loader, "iterate") else begun(loader)
    for batch in islice(batches, limit):
        count += 1
        yield batch
    if not count:
        raise empty(loader)


def in_order(loader: Any) -> Iterator[Any]:
    """The batches of one pass, with a warning where `loader` shuffles: nobody would know whose outputs they lead to."""
    if getattr(loader, "shuffle", False) is True:
        warn(
            f"predict: {type(loader).__name__} shuffles, so the outputs are not in the order of the data set; make it "
            "with shuffle=False"
        )
    return all_of(loader)


def first(loader: Any, count: int) -> list[Any]:
    """The first so many batches of epoch 0.

    Raises:
        ConfigError: `loader` is a data set, an array, or nothing to iterate over.
        DataError: there is no batch.
    """
    return list(all_of(loader, count))


def by_name(validation: Any) -> dict[str, Any]:
    """Validation loaders by the prefix of their metrics: none, one without a name, or several with theirs."""
    if validation is None:
        return {}
    if isinstance(validation, Mapping):
        return {f"{name}_": loader for name, loader in validation.items()}
    return {"": validation}


def gathered(batch: Any) -> Any:
    """`batch` as arrays, where it is one that a captured step would gather itself."""
    return batch.gather() if isinstance(batch, LaterBatch) else batch


def size(batch: Any) -> int:
    """The number of samples: the length of the first array in `batch`."""
    first = batch
    while True:
        if isinstance(first, SEQUENCES) and first:  # what it is most often comes first
            first = first[0]
        elif isinstance(first, ARRAYS) or is_array(first):
            return len(first) if first.ndim else 1
        elif isinstance(first, LaterBatch):
            return len(first)
        elif isinstance(first, Mapping) and first:
            first = next(iter(first.values()))
        else:
            foreign = type(first).__module__.partition(".")[0] == "torch"
            raise ConfigError(
                f"a batch of type {type(batch).__name__} has no array to count its samples by; make it an array, or a "
                "tuple, list or dict whose first item is one" + ("; its Tensors are arrays by .numpy()" * foreign)
            )


def pair(batch: Any) -> tuple[Any, Any]:
    """`(x, t)` of a batch of two arrays.

    Raises:
        ConfigError: it is something else, such as a dict or inputs alone, or a sample.
    """
    if not isinstance(batch, SEQUENCES) or len(batch) != 2:
        length = f" of {len(batch)}" if isinstance(batch, tuple | list | dict) else ""
        raise ConfigError(
            f"a batch is {type(batch).__name__}{length}; without a training_step of your own it must be a pair (x, t): "
            "override training_step, or give a loader of pairs"
        )
    if isinstance(batch[1], SCALARS):
        raise ConfigError(
            f"a batch is a pair of {describe(batch[0])} and the number {batch[1]!r}, as one sample is; give batches of "
            "samples: DataLoader(samples, batch_size)"
        )
    return batch[0], batch[1]


def joined(outputs: list[Any]) -> Any:
    """Outputs of several batches as one: arrays joined along the first axis, tuples item by item."""
    if isinstance(outputs[0], tuple):
        return tuple([joined([output[i] for output in outputs]) for i in range(len(outputs[0]))])
    return np.concatenate([as_numpy(output) for output in outputs])
