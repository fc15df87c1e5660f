"""Loaders: a data set in batches, in an order that is a pure function of (seed, epoch), on the host or on a GPU."""

from collections.abc import Iterator
from typing import Any, TypeGuard

import numpy as np

from minitorch import random
from minitorch.cuda import as_cupy, as_numpy, is_array, sync_allowed, xp_of
from minitorch.cuda.array_module import require_cupy
from minitorch.datasets.dataset import Dataset, collate, rows_of
from minitorch.errors import ConfigError, DataError, DTypeError, StateError
from minitorch.foreign import LOADER_ARGUMENTS, LOADER_ATTRIBUTES, tells_arguments, tells_attributes
from minitorch.prefetch import in_order
from minitorch.resident import LaterBatch, Orders, Resident, Uploads, sequences_of

Array = Any  # a NumPy or CuPy array
Batch = tuple[Array, ...]


@tells_attributes(LOADER_ATTRIBUTES)
class DataLoader:
    """The samples of `dataset` in batches: tuples of new arrays, `(x, t)`, or `(x,)` where there are no labels.

    `for x, t in loader` is one pass, always from the first batch on; `epoch` counts the passes begun. A data set of
    arrays is gathered and transformed batch by batch, not sample by sample; after `to_gpu` it is moved to the device
    once, as it is stored, if it takes no more than half of the memory free there, and its batches are gathered on the
    device; of the windows of a text (`TinyText`) that is the text. Other batches are sent there through pinned memory,
    each while the one before is used.

    Args:
        dataset: a `Dataset`, or any object with `__getitem__` and `__len__`, such as a list of (x, t).
        batch_size: samples in a batch; the last one has what is left.
        shuffle: whether each epoch has an order of its own; otherwise always that of the data set.
        drop_last: leave out a last batch that is not full.
        seed: of the order and of random transforms; None takes that of `minitorch.seed`, of the thread that begins
            a pass, as each begins.
        num_workers: threads that load batches ahead, two for each thread, where samples are made one by one, such as
            images from files; 0 loads when a batch is asked for. Batches and their order are the same for any number.
            `dataset[i]` is then called from several threads at a time. A data set of arrays has no use for them.

    Raises:
        ConfigError: `batch_size`, `seed` or `num_workers` is not allowed, or `drop_last` leaves no full batch to keep.
        DataError: the data set is empty.
        DTypeError: `dataset` has no `__getitem__` or no `__len__`, or arrays are given where a Dataset is wanted.
    """

    @tells_arguments(LOADER_ARGUMENTS)
    def __init__(
        self,
        dataset: Any,
        batch_size: int,
        shuffle: bool = True,
        *,
        drop_last: bool = False,
        seed: int | None = None,
        num_workers: int = 0,
    ) -> None:
        if not (hasattr(dataset, "__getitem__") and hasattr(dataset, "__len__")):
            raise DTypeError(
                f"DataLoader: {type(dataset).__name__} has no __getitem__ and __len__; "
                "give a Dataset or a sequence (a generator fits into a list)"
            )
        if isinstance(dataset, tuple) and dataset and all(map(is_array, dataset)):
            raise DTypeError("DataLoader: got a tuple of arrays; give ArrayDataset(x, t)")
        shape = getattr(batch_size, "shape", ())
        if shape:
            raise DTypeError(
                f"DataLoader: batch_size is an array of shape {shape}; it must be an integer: give "
                f"DataLoader(ArrayDataset(x, t), {shuffle if _is_integer(shuffle) else 'batch_size'})"
            )
        if not _is_integer(batch_size) or batch_size < 1:
            raise ConfigError(f"DataLoader: batch_size is {batch_size!r:.80}; it must be an integer of at least 1")
        if seed is not None and not (_is_integer(seed) and 0 <= seed < 2**64):
            raise ConfigError(f"DataLoader: seed is {seed!r}; a seed is None or an integer from 0 to 2**64 - 1")
        if not _is_integer(num_workers) or num_workers < 0:
            raise ConfigError(f"DataLoader: num_workers is {num_workers!r}; give the number of threads, 0 for none")
        self.dataset = dataset
        self.batch_size = int(batch_size)
        self.shuffle = bool(shuffle)
        self.drop_last = bool(drop_last)
        self.seed = None if seed is None else int(seed)
        self.num_workers = int(num_workers)
        self.epoch = 0
        self.gpu = False
        self._placed: tuple[Batch, Batch, Resident | None] | None = None  # arrays of the data set, the same there
        self._orders = Orders()
        self._uploads = Uploads()
        self.deferring = False  # whether batches that a kernel gathers are left to who uses them, as `LaterBatch`
        if not len(self):
            raise ConfigError(
                f"DataLoader: {self._samples()} samples make no full batch of {batch_size}, and drop_last leaves out "
                "the rest; take a smaller batch_size or drop_last=False"
            )

    def __len__(self) -> int:
        """The number of batches in an epoch."""
        n = self._samples()
        return n // self.batch_size if self.drop_last else -(-n // self.batch_size)

    @property
    def max_iter(self) -> int:
        """The number of batches in an epoch, as examples of the book ask for it: `len(loader)`."""
        return len(self)

    def __iter__(self) -> Iterator[Batch]:
        """Begin the next epoch from its first batch."""
        batches = self.iterate(self.epoch)
        self.epoch += 1
        return batches

    def iterate(self, epoch: int, start: int = 0) -> Iterator[Batch]:
        """The batches of `epoch` from number `start` on, at no cost for those before; leaves `self.epoch` alone.

        Raises:
            ConfigError: `epoch` is no integer from 0 to 2**32 - 1, or `start` none from 0 to `len(self)`.
        """
        if not _is_integer(epoch) or not 0 <= epoch < 2**32:
            raise ConfigError(f"DataLoader.iterate: epoch is {epoch!r}; epochs are integers from 0 to 2**32 - 1")
        if not _is_integer(start) or not 0 <= start <= len(self):
            raise ConfigError(f"DataLoader.iterate: start is {start!r}; the epoch has batches 0 to {len(self) - 1}")
        seed = random.get_state().seed if self.seed is None else self.seed
        return self._batches(seed, int(epoch), int(start))

    def to_gpu(self) -> "DataLoader":
        """Yield CuPy arrays from the next pass on; returns the loader.

        A data set of arrays is then copied to the device; a change made in place after that is not seen until the next
        call of `to_gpu`, while a new array in `data` or `label` is.

        Raises:
            MissingExtraError: CuPy is not installed.
            DeviceError: CuPy finds no GPU that works.
        """
        require_cupy()  # raises now, and not at the first batch
        self.gpu = True
        self._placed = None
        return self

    def to_cpu(self) -> "DataLoader":
        """Yield NumPy arrays from the next pass on, and give back the memory on the device; returns the loader."""
        self.gpu = False
        self._placed = None
        self._orders, self._uploads = Orders(), Uploads()
        return self

    def state_dict(self) -> dict[str, int | None]:
        """All there is to save: the epoch that comes next, and what the order of the samples depends on."""
        return {
            "epoch": self.epoch,
            "samples": self._samples(),
            "batch_size": self.batch_size,
            "shuffle": int(self.shuffle),
            "drop_last": int(self.drop_last),
            "seed": self.seed,
        }

    def load_state_dict(self, state: dict[str, int | None]) -> None:
        """Go on with the epoch of `state`.

        Raises:
            StateError: `state` is of a loader whose batches would be others; every difference is listed.
        """
        mine = self.state_dict()
        epoch = mine["epoch"] = state.get("epoch", 0)
        wrong = [f"missing: {key}" for key in mine if key not in state]
        wrong += [f"unexpected: {key}" for key in state if key not in mine]
        wrong += [
            f"{key} is {state[key]!r} in the state, {mine[key]!r} here"
            for key in mine
            if key in state and state[key] != mine[key]
        ]
        if not _is_integer(epoch) or epoch < 0:
            wrong.append(f"epoch is {epoch!r}, not an integer of at least 0")
        if wrong or epoch is None:
            raise StateError(
                f"{type(self).__name__}.load_state_dict: {'; '.join(wrong)}. Make the loader as it was when the state "
                "was saved, or start afresh without the state"
            )
        self.epoch = int(epoch)

    def _samples(self) -> int:
        n = len(self.dataset)
        if n == 0:
            raise DataError(f"DataLoader: the data set ({type(self.dataset).__name__}) is empty; it has no sample")
        return n

    def _order(self, seed: int, epoch: int) -> Array:
        """The indices of all samples of an epoch, in order: int64 on the host."""
        n = self._samples()
        return random.permutation(n, seed=seed, epoch=epoch) if self.shuffle else np.arange(n)

    def _batches(self, seed: int, epoch: int, start: int) -> Iterator[Batch]:
        arrays = self._arrays()
        if arrays is not None and xp_of(arrays[0]) is not np:
            yield from self._gathered(arrays, seed, epoch, start)
            return
        order = self._order(seed, epoch)

        def make(number: int) -> Batch:
            at = order[number * self.batch_size : (number + 1) * self.batch_size]
            with random.drawing_for(seed, epoch, at):
                if arrays is not None:
                    batch: Batch = self.dataset.transformed(self._sent(tuple(rows_of(a, at) for a in arrays)))
                    return batch
                if isinstance(self.dataset, Dataset):
                    return self.dataset.batch(at)
                return collate(self.dataset, at)

        numbers = range(start, len(self))
        if self.num_workers and arrays is None:
            batches = in_order(random.as_here(make), numbers, self.num_workers)
        else:
            batches = (make(number) for number in numbers)
        for batch in batches:
            yield self._sent(batch)

    def _sent(self, batch: Batch) -> Batch:
        """The arrays of `batch` where this loader yields them."""
        return self._uploads.put(batch) if self.gpu else tuple(map(as_numpy, batch))

    def _gathered(self, arrays: Batch, seed: int, epoch: int, start: int) -> Iterator[Any]:
        """The batches of an epoch, gathered on the device."""
        rows, resident = self.order_on_device(seed, epoch), self.resident()
        order = rows if resident is not None else self._order(seed, epoch)
        for number in range(start, len(self)):
            if number == start + 1:
                self.prepare_order(seed, epoch + 1)
            at = slice(number * self.batch_size, (number + 1) * self.batch_size)
            if resident is not None:
                later = LaterBatch(resident, rows, number, at.start, min(self.batch_size, len(rows) - at.start))
                yield later if self.deferring else later.gather()
            else:
                with random.drawing_for(seed, epoch, order[at]):
                    batch = self.dataset.transformed(tuple(array.take(rows[at], axis=0) for array in arrays))
                yield self._sent(batch)

    def order_on_device(self, seed: int, epoch: int) -> Array:
        """The indices of all samples of an epoch, in order: int64 on the device."""
        return self._orders.get((seed, epoch) if self.shuffle else (), lambda: self._order(seed, epoch))

    def prepare_order(self, seed: int, epoch: int) -> None:
        """Begin to send the order of an epoch to the device, while the one before is in use."""
        self._orders.prepare((seed, epoch) if self.shuffle else (), lambda: self._order(seed, epoch))

    def resident(self) -> Resident | None:
        """The data set on the device, where one kernel makes its batches; else None."""
        arrays = self._arrays() if self.gpu else None
        return None if arrays is None or self._placed is None else self._placed[2]

    def _arrays(self) -> Batch | None:
        """The arrays that batches are gathered from, all on one side; None where samples are made one by one."""
        dataset = self.dataset
        own = isinstance(dataset, Dataset) and type(dataset).batch is Dataset.batch
        arrays = dataset.arrays() if own else None
        if arrays is None:
            return None
        if self._placed is None or list(map(id, self._placed[0])) != list(map(id, arrays)):
            self._placed = arrays, *self._place(arrays)
        return self._placed[1]

    def _place(self, arrays: Batch) -> tuple[Batch, Resident | None]:
        """The arrays where batches are gathered from, and the data set on the device where one kernel makes them.

        Windows of a sequence go there as that sequence, or not at all: each element is in as many as they are long.
        """
        sequences, window = sequences_of(arrays)
        on_host = [array for array in sequences if xp_of(array) is np]
        if not self.gpu or sum(array.nbytes for array in on_host) > _free_memory() // 2:
            return tuple(map(as_numpy, arrays)), None
        with sync_allowed():
            placed = tuple(map(as_cupy, sequences))
            resident = Resident.of(placed, (self.dataset.transform, self.dataset.target_transform), window)
        return (arrays, None) if window is not None and resident is None else (placed, resident)


class SeqDataLoader(DataLoader):
    """A time series in batches: row j walks on from sample `j * (n // batch_size)`, one sample a batch.

    A recurrent network sees `batch_size` stretches of the series side by side. Nothing is shuffled; the last batches
    wrap around where `batch_size` does not divide n, so that each sample comes at least once.

    Args:
        dataset: as for `DataLoader`, in order of time.
        batch_size: the number of stretches.
        num_workers: as for `DataLoader`.

    Raises:
        ConfigError: `batch_size` or `num_workers` is not allowed, or there are fewer samples than `batch_size`.
        DataError: the data set is empty.
    """

    @tells_arguments(LOADER_ARGUMENTS)
    def __init__(self, dataset: Any, batch_size: int, *, num_workers: int = 0) -> None:
        super().__init__(dataset, batch_size, shuffle=False, num_workers=num_workers)
        if self.batch_size > self._samples():
            raise ConfigError(
                f"SeqDataLoader: batch_size is {batch_size}, but there are {self._samples()} samples; "
                "each row of a batch needs a sample of its own to start at"
            )

    def _order(self, seed: int, epoch: int) -> Array:
        n = self._samples()
        starts = np.arange(self.batch_size) * (n // self.batch_size)
        return ((starts + np.arange(len(self))[:, None]) % n).ravel()


def _is_integer(value: Any) -> TypeGuard[int]:
    return isinstance(value, int | np.integer) and not isinstance(value, bool)


def _free_memory() -> int:
    """Bytes free on the current device."""
    free, _ = require_cupy().cuda.runtime.memGetInfo()
    return int(free)
