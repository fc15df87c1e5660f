"""Input on a device: data sets that live there, orders that are sent ahead, and host batches that overlap with work.

Copies are made on a stream of their own, from pinned memory; the computing stream waits for them by events, the host
for nothing.
"""

import math
import threading
from collections.abc import Callable, Sequence
from typing import Any, Self

import attrs
import numpy as np

from minitorch.cuda import as_cupy, kernels, sync_allowed, transfers, xp_of
from minitorch.cuda.array_module import require_cupy
from minitorch.transforms import Compose

Array = Any  # a NumPy or CuPy array
Batch = tuple[Array, ...]


@attrs.frozen
class Resident:
    """Samples and labels in device memory, from which one kernel gathers a batch and scales it to float32.

    Attributes:
        data: (M, ...), uint8 or float32; or int32 or int64, such as tokens, which stay as they are. With `window` a
            sequence of whole numbers, (L,).
        labels: (M, ...), int32, int64, float32 or float64, which stay as they are. With `window` a sequence too.
        scale: (C,), float32: by what the elements of each channel are multiplied; (1,) for all alike; None for whole
            numbers.
        shift: (C,), float32: what is added to them then; None for whole numbers.
        flat: whether a sample becomes one row.
        window: None, or of how many elements the windows of both sequences are, which are the samples.
    """

    data: Array
    labels: Array
    scale: Array | None
    shift: Array | None
    flat: bool
    window: int | None = None
    _zero: Array = attrs.field(init=False, repr=False, factory=lambda: as_cupy(np.int64(0)))

    @classmethod
    def of(cls, arrays: Sequence[Array], transforms: Sequence[Any], window: int | None = None) -> Self | None:
        """The data set of these device arrays; None where it has no labels, or transforms that are more than a line."""
        if len(arrays) != 2 or type(transforms[1]) is not Compose or transforms[1].transforms:
            return None
        data, labels = arrays
        if not (data.flags.c_contiguous and labels.flags.c_contiguous) or labels.dtype not in kernels.LABELS:
            return None
        if not data.size or not labels.size:
            return None
        if data.dtype in kernels.IDS and type(transforms[0]) is Compose and not transforms[0].transforms:
            return cls(data, labels, None, None, flat=False, window=window)
        if window is not None or data.dtype not in (np.uint8, np.float32):
            return None
        line = line_of(transforms[0], data.shape[1:], data.dtype)
        if line is None:
            return None
        scale, shift, flat = line
        return cls(data, labels, as_cupy(scale), as_cupy(shift), flat)

    def gather(self, order: Array, rows: int, number: Array | None = None) -> Batch:
        """The first `rows` samples in this order, or batch `number` of so many (0-d, int64): new arrays x and t."""
        number = self._zero if number is None else number
        x, t = kernels.gather_batch(
            self.data, self.labels, order, number, rows=rows, scale=self.scale, shift=self.shift, window=self.window
        )
        return x.reshape(rows, -1) if self.flat else x, t


@attrs.frozen(eq=False)
class LaterBatch:
    """A batch that is not gathered yet, so that a captured step can gather it itself.

    Attributes:
        resident: the data set.
        order: that of the epoch, on the device.
        number: which batch of the epoch.
        start: the place of its first sample in the order.
        rows: its samples.
    """

    resident: Resident
    order: Array
    number: int
    start: int
    rows: int

    def __len__(self) -> int:
        return self.rows

    @property
    def is_full(self) -> bool:
        """Whether all batches before it have as many rows, so that its number tells where it starts."""
        return self.start == self.number * self.rows

    def follows(self, other: "LaterBatch") -> bool:
        """Whether it is the next batch of the same epoch, with as many rows."""
        return self.order is other.order and self.number == other.number + 1 and self.rows == other.rows

    def gather(self) -> Batch:
        """The samples and their labels, new arrays."""
        return self.resident.gather(self.order[self.start : self.start + self.rows], self.rows)


def sequences_of(arrays: Batch) -> tuple[Batch, int | None]:
    """The sequences of which host arrays (M, n) are all the windows, as `sliding_window_view` makes them, and n.

    They are views; of other arrays they are these themselves, and None.
    """
    windows = [
        xp_of(a) is np and a.ndim == 2 and a.strides == (a.itemsize, a.itemsize) and not a.flags.c_contiguous
        for a in arrays
    ]
    if not all(windows) or len({a.shape for a in arrays}) > 1:
        return arrays, None
    count, n = arrays[0].shape
    as_strided = np.lib.stride_tricks.as_strided
    return tuple([as_strided(a, (count + n - 1,), (a.itemsize,), writeable=False) for a in arrays]), n


def line_of(transform: Any, shape: tuple[int, ...], dtype: Any) -> tuple[Array, Array, bool] | None:
    """`transform` as `scale * x + shift` for each channel, and whether it flattens; None if it is something else."""
    from minitorch.transforms import AsType, Flatten, Normalize  # here, since only data on a device asks

    parts, scale, shift, flat = [transform], np.ones(1), np.zeros(1), len(shape) == 1
    while parts:
        part = parts.pop(0)
        if type(part) is Compose:
            parts = [*part.transforms, *parts]
        elif type(part) is Flatten:
            shape, flat = (math.prod(shape),), True
        elif isinstance(part, AsType) and part.dtype == np.float32:
            dtype = part.dtype
        elif type(part) is Normalize:
            mean, std = np.atleast_1d(part.mean), np.atleast_1d(part.std)
            channels = max(len(mean), len(std))
            if channels > 1 and (shape[:1] != (channels,) or len(scale) not in (1, channels)):
                return None
            scale, shift, dtype = scale / std, (shift - mean) / std, np.dtype(np.float32)
        else:
            return None
    if dtype != np.float32:
        return None
    scale, shift = np.broadcast_arrays(scale, shift)
    return scale.astype(np.float32), shift.astype(np.float32), flat


class PinnedBuffer:
    """Host memory that a device copies from while the host goes on; made once, and larger where more is needed."""

    def __init__(self) -> None:
        self._memory: Any = None
        self._size = 0
        self._copied: Any = None

    def upload(self, arrays: Sequence[Array]) -> Batch:
        """Copies of host arrays on the device, which the current stream waits for, and the host does not."""
        cupy = require_cupy()
        if self._copied is not None and not self._copied.done:
            self._copied.synchronize()  # what is still being copied must not be overwritten
        spans = np.cumsum([0, *[-(-a.nbytes // 256) * 256 for a in arrays]])
        if self._memory is None or spans[-1] > self._size:
            self._size = max(int(spans[-1]), 1)
            self._memory = cupy.cuda.alloc_pinned_memory(self._size)
        outside, copying = cupy.cuda.get_current_stream(), _copy_stream(cupy)
        made = tuple([cupy.empty(a.shape, a.dtype) for a in arrays])
        copying.wait_event(outside.record())  # who had this memory before may still be at work
        for a, on_device, start in zip(arrays, made, spans, strict=False):
            if a.size:
                pinned = np.frombuffer(self._memory, a.dtype, a.size, int(start)).reshape(a.shape)
                pinned[...] = a
                transfers.bytes += pinned.nbytes
                on_device.set(pinned, stream=copying)
        self._copied = copying.record(cupy.cuda.Event(disable_timing=True))
        outside.wait_event(self._copied)
        return made


class Uploads:
    """Host batches on their way to the device, through two buffers in turn."""

    def __init__(self) -> None:
        self._buffers = PinnedBuffer(), PinnedBuffer()
        self._count = 0

    def put(self, batch: Batch) -> Batch:
        """The arrays of `batch` on the device; those that are there already stay as they are."""
        on_host = [a for a in batch if isinstance(a, np.ndarray)]
        if not on_host:
            return batch
        self._count += 1
        with sync_allowed():
            made = iter(self._buffers[self._count % 2].upload(on_host))
        return tuple([next(made) if isinstance(a, np.ndarray) else a for a in batch])


class Orders:
    """The orders of epochs on the device, the next one sent there while the one before is in use."""

    def __init__(self) -> None:
        self._uploads = Uploads()
        self._ahead: tuple[Any, Array] | None = None

    def get(self, key: Any, make: Callable[[], Array]) -> Array:
        """The order with this key, sent earlier, or made and sent now; it is kept until another one is wanted."""
        self.prepare(key, make)
        assert self._ahead is not None
        return self._ahead[1]

    def prepare(self, key: Any, make: Callable[[], Array]) -> None:
        """Begin to send the order that is wanted next."""
        if self._ahead is None or self._ahead[0] != key:
            self._ahead = key, self._uploads.put((make(),))[0]


_local = threading.local()


def _copy_stream(cupy: Any) -> Any:
    """The stream on which this thread sends data to the current device."""
    streams = _local.__dict__.setdefault("streams", {})
    key = (id(cupy), cupy.cuda.Device().id)
    if key not in streams:
        streams[key] = cupy.cuda.Stream(non_blocking=True)
    return streams[key]
