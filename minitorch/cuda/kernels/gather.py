"""The next batch of a data set that is in device memory: which it is, is read from the device too."""

import math
from typing import Any

import numpy as np

from minitorch.cuda.array_module import xp_of
from minitorch.cuda.kernels.kernel import blocks_for, kernel
from minitorch.errors import DTypeError

Array = Any


@kernel("gather")
def gather_uint8(
    data: Array, labels: Array, wide: int, permutation: Array, batch: Array, x: Array, t: Array, scale: Array,
    shift: Array, samples: int, rows: int, features: int, channels: int,
) -> None:  # fmt: skip
    """Row r of x and t: sample permutation[batch rows + r] and its label; 0 and -1 past the end of the permutation."""
    taken = permutation[int(batch[()]) * rows :][:rows]
    values = data[taken].reshape(len(taken), channels, features // channels).astype(np.float32)
    x[: len(taken)] = (values * scale[:, None] + shift[:, None]).reshape(len(taken), *x.shape[1:])
    t[: len(taken)] = labels[taken]
    x[len(taken) :] = 0
    t[len(taken) :] = -1


@kernel("gather")
def gather_float32(
    data: Array, labels: Array, wide: int, permutation: Array, batch: Array, x: Array, t: Array, scale: Array,
    shift: Array, samples: int, rows: int, features: int, channels: int,
) -> None:  # fmt: skip
    """The same of float32 data."""
    gather_uint8.reference(
        data, labels, wide, permutation, batch, x, t, scale, shift, samples, rows, features, channels
    )


def gather_batch(
    data: Array, labels: Array, permutation: Array, batch: Array, *, rows: int, scale: Array, shift: Array
) -> tuple[Array, Array]:
    """The samples `permutation[batch * rows :][:rows]` of a data set as float32, and their labels.

    Rows past the end of the permutation are 0, with label -1, which makes a cross entropy nan.

    Args:
        data: (M, ...), uint8 or float32, in C order.
        labels: (M,), int32 or int64.
        permutation: int64, indices of samples.
        batch: int64, 0-d: the number of the batch, from 0.
        rows: the number of samples of a batch.
        scale: (C,), float32: by what to multiply the elements of each channel; (1,) for all alike.
        shift: (C,), float32: what to add to them then.

    Raises:
        DTypeError: `data` or `labels` have another dtype.
    """
    kernels = {np.dtype(np.uint8): gather_uint8, np.dtype(np.float32): gather_float32}
    if data.dtype not in kernels or labels.dtype not in (np.int32, np.int64):
        raise DTypeError(
            f"gather_batch: data {data.dtype} with labels {labels.dtype}; data must be uint8 or float32 and labels "
            "int32 or int64: convert them once, before training"
        )
    xp, features = xp_of(data), math.prod(data.shape[1:])
    x, t = xp.empty((rows, *data.shape[1:]), np.float32), xp.empty(rows, labels.dtype)
    kernels[data.dtype](
        blocks_for(x.size, 1024), data, labels, np.int32(labels.dtype == np.int64), permutation, batch, x, t, scale,
        shift, np.int32(len(permutation)), np.int32(rows), np.int32(features), np.int32(scale.size),
    )  # fmt: skip
    return x, t
