"""The next batch of a data set that is in device memory: which it is, is read from the device too."""

import math
from typing import Any

import numpy as np

from minitorch.cuda.array_module import xp_of
from minitorch.cuda.kernels.kernel import blocks_for, kernel
from minitorch.errors import DTypeError

Array = Any

LABELS = tuple(map(np.dtype, (np.int32, np.int64, np.float32, np.float64)))  # that are copied as they are
IDS = LABELS[:2]


def _copy_rows(rows: Array, to: Array, none: float) -> None:
    """The rows, and `none` where there are not so many."""
    to[: len(rows)] = rows
    to[len(rows) :] = none


@kernel("gather")
def gather_uint8(
    data: Array, labels: Array, permutation: Array, batch: Array, x: Array, t: Array, scale: Array, shift: Array,
    samples: int, rows: int, features: int, channels: int, width: int, wide: int,
) -> None:  # fmt: skip
    """Row r of x and t: sample permutation[batch rows + r] and its labels; 0 and -1 past the end of the permutation."""
    taken = permutation[int(batch[()]) * rows :][:rows]
    values = data[taken].reshape(len(taken), channels, features // channels).astype(np.float32)
    _copy_rows((values * scale[:, None] + shift[:, None]).reshape(len(taken), *x.shape[1:]), x, 0)
    _copy_rows(labels[taken], t, -1 if t.dtype.kind == "i" else np.nan)


@kernel("gather")
def gather_float32(
    data: Array, labels: Array, permutation: Array, batch: Array, x: Array, t: Array, scale: Array, shift: Array,
    samples: int, rows: int, features: int, channels: int, width: int, wide: int,
) -> None:  # fmt: skip
    """The same of float32 data."""
    gather_uint8.reference(
        data, labels, permutation, batch, x, t, scale, shift, samples, rows, features, channels, width, wide
    )


@kernel("gather")
def gather_ids(
    data: Array, labels: Array, permutation: Array, batch: Array, x: Array, t: Array, samples: int, rows: int,
    features: int, wide_data: int, step: int, width: int, wide: int, label_step: int,
) -> None:  # fmt: skip
    """The same of whole numbers, which stay as they are; samples and their labels are so many numbers apart."""
    taken = permutation[int(batch[()]) * rows :][:rows]
    for of, to, each, apart, none in (
        (data, x, features, step, 0),
        (labels, t, width, label_step, -1 if t.dtype.kind == "i" else np.nan),
    ):
        flat = of.reshape(-1)[taken[:, None] * apart + np.arange(each)]
        _copy_rows(flat.reshape(len(taken), *to.shape[1:]), to, none)


def gather_batch(
    data: Array, labels: Array, permutation: Array, batch: Array, *, rows: int, scale: Array | None,
    shift: Array | None, window: int | None = None,
) -> tuple[Array, Array]:  # fmt: skip
    """The samples `permutation[batch * rows :][:rows]` of a data set, and their labels.

    Rows past the end of the permutation are 0, with labels -1, or nan, which make a loss nan.

    Args:
        data: (M, ...), in C order: uint8 or float32, which become float32, or int32 or int64, which stay as they are.
        labels: (M, ...), in C order: int32, int64, float32 or float64, which stay as they are.
        permutation: int64, indices of samples.
        batch: int64, 0-d: the number of the batch, from 0.
        rows: the number of samples of a batch.
        scale: (C,), float32: by what to multiply the elements of each channel; (1,) for all alike. None for whole
            numbers.
        shift: (C,), float32: what to add to them then. None for whole numbers.
        window: None, or data and labels are sequences, of whole numbers (L,), whose samples are their windows of so
            many elements: number i begins at element i.

    Raises:
        DTypeError: `data` or `labels` have another dtype.
    """
    kernels = {np.dtype(np.uint8): gather_uint8, np.dtype(np.float32): gather_float32}
    if data.dtype not in (*kernels, *IDS) or labels.dtype not in LABELS:
        raise DTypeError(
            f"gather_batch: data {data.dtype} with labels {labels.dtype}; data must be uint8, float32, int32 or int64 "
            "and labels int32, int64, float32 or float64: convert them once, before training"
        )
    xp = xp_of(data)
    of_x, of_t = (data.shape[1:], labels.shape[1:]) if window is None else ((window,), (window,))
    features, width = math.prod(of_x), math.prod(of_t)
    x = xp.empty((rows, *of_x), data.dtype if data.dtype in IDS else np.float32)
    t = xp.empty((rows, *of_t), labels.dtype)
    grid, numbers = blocks_for(x.size, 1024), (np.int32(len(permutation)), np.int32(rows), np.int32(features))
    end = np.int32(width), np.int32(labels.dtype.itemsize == 8)
    if data.dtype in IDS:
        wide = np.int32(data.dtype.itemsize == 8)
        step, label_step = (features, width) if window is None else (1, 1)
        gather_ids(
            grid, data, labels, permutation, batch, x, t, *numbers, wide, np.int32(step), *end, np.int32(label_step)
        )
    else:
        assert scale is not None
        channels = np.int32(scale.size)
        gather = kernels[data.dtype]
        gather(grid, data, labels, permutation, batch, x, t, scale, shift, *numbers, channels, *end)
    return x, t
