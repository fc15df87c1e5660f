"""Rows of the table of primitives: the same numbers in another order."""

import numpy as np
from op_table import Row

from minitorch.ops import shape

ROWS = [
    Row("reshape", lambda a: shape.reshape(a, shape=(3, 2)), [(2, 3)]),
    Row("reshape", lambda a: shape.reshape(a, shape=(-1,)), [(2, 3)], note="flat"),
    Row("reshape", lambda a: shape.reshape(a, shape=()), [(1, 1)]),
    Row("reshape", lambda a: shape.reshape(a, shape=(1,)), [()]),
    Row("transpose", shape.transpose, [(2, 3)]),
    Row("transpose", shape.transpose, [(2, 3, 4)]),
    Row("transpose", shape.transpose, [()]),
    Row("transpose", lambda a: shape.transpose(a, axes=(2, 0, 1)), [(2, 3, 4)], note="some axes"),
    Row("transpose", lambda a: shape.transpose(a, axes=(-1, 0, -2)), [(2, 3, 4)], note="negative axes"),
    Row("getitem", lambda a: shape.getitem(a, index=1), [(3, 2)], note="an integer"),
    Row("getitem", lambda a: shape.getitem(a, index=-1), [(3,)], note="to 0-d"),
    Row("getitem", lambda a: shape.getitem(a, index=slice(None, None, -2)), [(5, 2)], note="a negative step"),
    Row("getitem", lambda a: shape.getitem(a, index=(slice(1), ..., None, 1)), [(2, 3, 4)], note="basic"),
    Row("getitem", lambda a: shape.getitem(a, index=[2, 0, 2]), [(3, 2)], note="a list"),
    Row("getitem", lambda a, i: shape.getitem(a, index=i), [(3, 2), np.array([0, 2, 2, -1])], note="repeated"),
    Row("getitem", lambda a, i: shape.getitem(a, index=i), [(3, 2), np.array([[0, 1], [1, 2]])], note="a matrix"),
    Row("getitem", lambda a, i: shape.getitem(a, index=(i, slice(1))), [(3, 2), np.array([0, 2])], note="mixed"),
    Row("getitem", lambda a, i: shape.getitem(a, index=(i, i)), [(3, 3), np.array([0, 2, 2])], note="pairs"),
    Row("getitem", lambda a, m: shape.getitem(a, index=m), [(3, 2), np.array([True, False, True])], note="a mask"),
    Row("putitem", lambda g: shape.putitem(g, index=slice(1, 3), shape=(4,)), [(2,)], note="a slice"),
    Row("putitem", lambda g, i: shape.putitem(g, index=i, shape=(4,)), [(3,), np.array([1, 1, 3])], note="repeated"),
    Row("putitem", lambda g, i: shape.putitem(g, index=i, shape=(4, 2)), [(3, 2), np.array([1, -1, 3])], note="rows"),
    Row("concat", shape.concat, [(2, 3), (1, 3)]),
    Row("concat", shape.concat, [(2, 3)], note="of one"),
    Row("concat", lambda *a: shape.concat(*a, axis=-1), [(2, 1), (2, 3), (2, 2)]),
    Row("concat", lambda a: shape.concat(a, a), [(2, 3)], note="with itself"),
]
