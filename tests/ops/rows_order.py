"""Rows of the table of primitives: what depends on the order along an axis."""

import numpy as np
from op_table import Row

from minitorch.ops.order import argmin, cumsum

ROWS = [
    Row("cumsum", lambda a: cumsum(a, axis=0), [(3,)]),
    Row("cumsum", lambda a: cumsum(a, axis=1), [(2, 3, 2)]),
    Row("cumsum", lambda a: cumsum(a, axis=-1), [(2, 3)]),
    Row("argmin", argmin, [np.array([[3.0, 1.0], [0.5, 2.0]])], order=0),
    Row("argmin", lambda a: argmin(a, axis=1), [np.array([[3.0, 1.0], [0.5, 2.0]])], order=0, note="along an axis"),
]
