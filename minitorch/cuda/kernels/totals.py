"""Weighted sums of single values that stay on the device, each at an address of its own."""

import ctypes
from collections.abc import Sequence
from typing import Any

import numpy as np

from minitorch.cuda.kernels.kernel import kernel
from minitorch.cuda.kernels.tensors import address_of
from minitorch.errors import DTypeError

Array = Any

VALUES = 32  # that fit into the arguments of one launch
FIELDS = (("at", np.uint64), ("weight", np.float64), ("column", np.int32), ("wide", np.int32))
RECORD = np.dtype([(name, dtype, VALUES) for name, dtype in FIELDS])


@kernel("totals")
def add_values(sums: Array, values: Array, count: int, rows: int, columns: int) -> None:
    """Add value times weight in each row of sums (rows, columns), in the column of the value, one after the other."""
    for i in range(count):
        ctype = ctypes.c_double if values["wide"][i] else ctypes.c_float
        value = ctype.from_address(int(values["at"][i])).value
        sums[:, values["column"][i]] += value * values["weight"][i]


def add_to_sums(sums: Array, values: Sequence[tuple[Array, float, int]]) -> None:
    """Add `weight * value` to `sums[:, column]` for each (value, weight, column), in this order.

    Args:
        sums: (rows, columns), float64.
        values: the values are arrays of one element, float32 or float64.

    Raises:
        DTypeError: a value has another dtype.
    """
    for first in range(0, len(values), VALUES):
        some = values[first : first + VALUES]
        by_value = np.zeros((), RECORD)
        for i, (value, weight, column) in enumerate(some):
            if value.dtype not in (np.float32, np.float64):
                raise DTypeError(f"add_to_sums: a value is {value.dtype}; it must be float32 or float64")
            by_value["at"][i], by_value["weight"][i] = address_of(value), weight
            by_value["column"][i], by_value["wide"][i] = column, value.dtype == np.float64
        rows, columns = sums.shape
        add_values((1,), sums, by_value, np.int32(len(some)), np.int32(rows), np.int32(columns))
