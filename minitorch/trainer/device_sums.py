"""`DeviceSums`: sums of logged values in device memory, read by one copy for all."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from minitorch.cuda import kernels, sync_allowed, transfers
from minitorch.cuda.array_module import require_cupy

Array = Any

COLUMNS = 32


class DeviceSums:
    """For each name a column, in rows for the log interval and for the epoch: sums of value times samples, in float64.

    Attributes:
        columns: by name.
        array: (rows, columns), on the device; always the same, until there are more names than columns.
    """

    def __init__(self, rows: int) -> None:
        self._cupy = require_cupy()
        self.columns: dict[str, int] = {}
        self.array = self._cupy.zeros((rows, COLUMNS))
        self._waiting: list[tuple[Array, float, int]] = []
        self._read: Array | None = None  # what was read last, while it holds
        self._pinned: Any = None

    def name(self, name: str, totals: Sequence[float]) -> None:
        """Give `name` a column, which goes on from these totals, one for each row."""
        column = self.columns[name] = len(self.columns)
        if column == self.array.shape[1]:
            self.flush()
            self.array = self._cupy.concatenate([self.array, self._cupy.zeros_like(self.array)], axis=1)
        for row, total in enumerate(totals):
            if total:
                self.array[row, column].fill(total)
        self._read = None

    def add(self, name: str, value: Array, weight: float) -> None:
        """Put a value of one element aside; it must not be changed before `flush`."""
        if value.dtype not in (np.float32, np.float64):
            value = value.astype(np.float64)
        self._waiting.append((value, weight, self.columns[name]))
        if len(self._waiting) == kernels.VALUES:
            self.flush()

    def flush(self) -> None:
        """Add what was put aside, in the order in which it came, by one launch."""
        if self._waiting:
            kernels.add_to_sums(self.array, self._waiting)
            self._waiting, self._read = [], None

    def drop(self) -> None:
        """Forget what was put aside."""
        self._waiting = []

    def changed(self) -> None:
        """Forget what was read: a replay has added more."""
        self._read = None

    @property
    def is_known(self) -> bool:
        """Whether the host has read the sums of now."""
        return self._read is not None and not self._waiting

    def read(self) -> Array:
        """All sums on the host: one copy into pinned memory, which is waited for."""
        self.flush()
        if self._read is None:
            cuda, nbytes = self._cupy.cuda, self.array.nbytes
            if self._pinned is None or len(self._pinned) < nbytes:
                self._pinned = np.frombuffer(cuda.alloc_pinned_memory(nbytes), np.uint8, nbytes)
            transfers.reads += 1
            transfers.bytes += nbytes
            with sync_allowed():
                read = self._pinned[:nbytes].view(np.float64).reshape(self.array.shape)
                self.array.get(out=read, blocking=False)
                copied = cuda.get_current_stream().record(cuda.Event(disable_timing=True))
                copied.synchronize()
            self._read = read.copy()
        return self._read

    def clear(self, row: int) -> None:
        """Begin the sums of a row anew."""
        self.flush()
        self.array[row].fill(0)
        if self._read is not None:
            self._read[row] = 0
