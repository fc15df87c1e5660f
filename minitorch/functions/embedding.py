"""Rows of a matrix looked up by number."""

from typing import Any

import numpy as np

from minitorch.cuda import xp_of
from minitorch.errors import DataError, DeviceError, DTypeError
from minitorch.ops import embedding
from minitorch.variable import Variable, as_variable


def embed_id(x: Any, W: Any) -> Variable:
    """The rows `W[x]`: a vector for each word number.

    The gradient of W is summed in the same order each time, on a GPU too, so that a run can be repeated bit for bit.

    Args:
        x: integers of any shape from 0 to V - 1. On a GPU their range is not checked, since that would wait for the
            device.
        W: (V, ...), one row for each number.

    Returns:
        (*x.shape, ...).

    Raises:
        DTypeError: `x` does not hold integers.
        DataError: a number is out of range.
        DeviceError: `x` and `W` live on different devices.
    """
    ids, rows = as_variable(x).data, as_variable(W)
    if ids.dtype.kind not in "iu":
        raise DTypeError(f"embed_id: x has dtype {ids.dtype}; row numbers are integers: use x.astype(np.int64)")
    if xp_of(ids) is not xp_of(rows.data):
        raise DeviceError("embed_id: x and W are on different devices; move the batch to the device of the model")
    if xp_of(ids) is np and ids.size and (ids.min() < 0 or ids.max() >= len(rows)):
        wrong = ids[(ids < 0) | (ids >= len(rows))]
        raise DataError(
            f"embed_id: number {wrong[0]} is out of range for {len(rows)} rows; numbers go from 0 to {len(rows) - 1}"
        )
    return embedding.take_rows(rows, ids=ids)
