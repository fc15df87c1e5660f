"""`BatchSizeFinder`: the largest batch that fits into memory."""

import gc
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import attrs
import numpy as np

from minitorch.dataloader import DataLoader
from minitorch.errors import ConfigError
from minitorch.trainer.callbacks.device_stats import module_of
from minitorch.trainer.loop import Loop
from minitorch.trainer.settings import at_least, optional
from minitorch.trainer.trial import endless, trial
from minitorch.trainer.triggers import Budget

if TYPE_CHECKING:
    from minitorch.trainer.trainer import Trainer

MEMINFO = Path("/proc/meminfo")


@attrs.frozen
class Trial:
    """One batch size that was tried.

    Attributes:
        size: samples in a batch.
        fits: whether the steps could be done.
        peak: on the host, the most bytes that the steps took, foreseen where they were not done; else None.
    """

    size: int
    fits: bool
    peak: int | None


@attrs.frozen
class BatchSizes:
    """What a search found.

    Attributes:
        largest: the largest batch that fits, or of large ones one that is smaller by a 64th at most.
        trials: all that was tried, in order.
    """

    largest: int
    trials: tuple[Trial, ...]


@attrs.frozen(kw_only=True)
class BatchSizeFinder:
    """Trains steps with larger and larger batches, twice as large each time, then in between, and takes it all back.

        found = BatchSizeFinder().run(trainer, DataLoader(dataset, 32))
        loader = DataLoader(dataset, found.largest)

    On a GPU a batch fits if its steps raise no OutOfMemoryError. On the host that error comes too late: many systems
    promise memory that they have not, and kill the process. So there the peak of the memory of the steps is measured,
    and a batch whose peak, foreseen from smaller ones, is above `memory` is not tried at all.

    Weights, the optimizer, random numbers and counters are afterwards as they were, to the bit.

    Args:
        start: the first size to try.
        most: the largest to try; None: that of the data set.
        steps: how many to do with each.
        memory: bytes that the steps may take on the host; None: four fifths of what is free there.

    Raises:
        ConfigError: a setting is not allowed.
    """

    start: int = attrs.field(default=1, validator=at_least(1, int))
    most: int | None = attrs.field(default=None, validator=optional(at_least(1, int)))
    steps: int = attrs.field(default=2, validator=at_least(1, int))
    memory: int | None = attrs.field(default=None, validator=optional(at_least(1, int)))

    def run(self, trainer: "Trainer", loader: DataLoader) -> BatchSizes:
        """Search with the data set of `loader`, whose own batch size does not matter.

        Raises:
            ConfigError: `loader` is no DataLoader, or not even the first size fits.
        """
        if not isinstance(loader, DataLoader):
            raise ConfigError(f"BatchSizeFinder: got {type(loader).__name__}; give a DataLoader of the data set")
        search = _Search(self, trainer, loader)
        most = min(self.most or len(loader.dataset), len(loader.dataset))
        low, high = 0, min(self.start, most)
        while search.fits(high):
            low = high
            if high == most:
                return BatchSizes(most, tuple(search.trials))
            high = min(2 * high, most)
        if not low:
            raise ConfigError(f"BatchSizeFinder: a batch of {high} does not fit into memory; take a smaller start")
        while high - low > max(1, low // 64):
            middle = (low + high) // 2
            low, high = (middle, high) if search.fits(middle) else (low, middle)
        return BatchSizes(low, tuple(search.trials))


class _Search:
    def __init__(self, settings: BatchSizeFinder, trainer: "Trainer", loader: DataLoader) -> None:
        self.settings, self.trainer, self.loader = settings, trainer, loader
        self.trials: list[Trial] = []
        self.memory = _free_memory() if settings.memory is None else settings.memory

    def fits(self, size: int) -> bool:
        """Try a size, unless it is foreseen that it does not fit."""
        foreseen = self._foreseen(size)
        if foreseen > self.memory:
            self.trials.append(Trial(size, False, foreseen))
            return False
        peak = None
        with trial(self.trainer):
            try:
                peak, done = self._do(size), True
            except MemoryError:  # CuPy's OutOfMemoryError is one
                done = False
        gc.collect()
        _give_back(module_of(self.trainer.model))
        fits = done and (peak or 0) <= self.memory
        self.trials.append(Trial(size, fits, peak))
        return fits

    def _do(self, size: int) -> int | None:
        """Some steps with batches of `size`; returns the peak of their memory if it is that of the host."""
        loader = DataLoader(self.loader.dataset, size, shuffle=False)
        if self.loader.gpu:
            loader.to_gpu()
        self.trainer.train_loader = loader
        loop = Loop(self.trainer, Budget(None, self.settings.steps, None), {})
        with _peak() as peak:
            for _, (batch, last) in zip(range(self.settings.steps), endless(loader), strict=False):
                loop.batch(batch, last)
        return peak[0] if module_of(self.trainer.model) is np else None

    def _foreseen(self, size: int) -> int:
        """The peak that a straight line through the last two that fit gives for `size`; 0 where too few are known."""
        known = sorted((t.size, t.peak) for t in self.trials if t.fits and t.peak is not None)[-2:]
        if len(known) < 2:
            return known[0][1] * size // known[0][0] if known else 0
        (a, peak_a), (b, peak_b) = known
        return int(peak_b + max(peak_b - peak_a, 0) / (b - a) * (size - b))


@contextmanager
def _peak() -> Iterator[list[int]]:
    """Afterwards, the most bytes that were taken at once inside, by NumPy and Python, more than before."""
    import tracemalloc  # here, since most programs count no bytes

    tracing, peak = tracemalloc.is_tracing(), [0]
    if not tracing:
        tracemalloc.start()
    tracemalloc.reset_peak()
    held, _ = tracemalloc.get_traced_memory()
    try:
        yield peak
    finally:
        peak[0] = tracemalloc.get_traced_memory()[1] - held
        if not tracing:
            tracemalloc.stop()


def _free_memory() -> int:
    """Four fifths of the memory of the host that is free; where the system does not say, as much as there may be."""
    if MEMINFO.exists():
        found = [line.split() for line in MEMINFO.read_text().splitlines() if line.startswith("MemAvailable")]
        if found:
            return int(found[0][1]) * 1024 * 4 // 5
    return 2**63


def _give_back(xp: Any) -> None:
    """Give blocks of the memory pool that nobody uses back to the device."""
    if xp is not np:
        xp.get_default_memory_pool().free_all_blocks()
