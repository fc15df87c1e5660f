"""Rows of the table of primitives: over axes."""

import numpy as np
from op_table import Row

from minitorch.ops import reduce

AXES_AND_KEEPDIMS = [
    (None, False),
    (None, True),
    (0, False),
    (1, True),
    (-1, False),
    ((0, 2), True),
    ((-1, 0), False),
    ((0, 1, 2), True),
    ((), False),
]


def _over_axes(name, op):
    return [
        Row(name, lambda a, axis=axis, keep=keep: op(a, axis=axis, keepdims=keep), [(2, 3, 4)], note=f"{axis} {keep}")
        for axis, keep in AXES_AND_KEEPDIMS
    ] + [Row(name, op, [()]), Row(name, op, [(1,)])]


ROWS = [
    *_over_axes("sum", reduce.sum_),
    *_over_axes("mean", reduce.mean),
    *_over_axes("max", reduce.max_),
    *_over_axes("min", reduce.min_),
    Row("broadcast_to", lambda a: reduce.broadcast_to(a, shape=(2, 3)), [(3,)]),
    Row("broadcast_to", lambda a: reduce.broadcast_to(a, shape=(4, 2, 3)), [(2, 1)]),
    Row("broadcast_to", lambda a: reduce.broadcast_to(a, shape=(2, 3)), [()]),
    Row("broadcast_to", lambda a: reduce.broadcast_to(a, shape=(2, 3)), [(2, 3)]),
    Row("sum_to", lambda a: reduce.sum_to(a, shape=(3,)), [(2, 3)], note="rows"),
    Row("sum_to", lambda a: reduce.sum_to(a, shape=(2, 1)), [(4, 2, 3)]),
    Row("sum_to", lambda a: reduce.sum_to(a, shape=()), [(2, 3)], note="all"),
    Row("sum_to", lambda a: reduce.sum_to(a, shape=(2, 3)), [(2, 3)], note="nothing"),
    Row("ties", lambda a, y: reduce.ties(a, y, axis=1), [np.array([[1.0, 2.0, 2.0]]), np.array([2.0])], order=0),
    Row("argmax", reduce.argmax, [(2, 3)], order=0),
    Row("argmax", lambda a: reduce.argmax(a, axis=-1), [(2, 3)], order=0, note="of rows"),
]
