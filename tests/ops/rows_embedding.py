"""Rows of the table of primitives: rows of a matrix by number."""

import numpy as np
from op_table import Row

from minitorch.ops.embedding import add_rows, take_rows

IDS = np.array([[3, 0, 3], [1, 3, 0]])

ROWS = [
    Row("take_rows", lambda W, i: take_rows(W, ids=i), [(5, 2), IDS]),
    Row("take_rows", lambda W, i: take_rows(W, ids=i), [(5, 2), np.array(4, np.uint8)], note="one"),
    Row("take_rows", lambda W, i: take_rows(W, ids=i), [(4, 2, 3), IDS.astype(np.int32)], note="of more axes"),
    Row("take_rows", lambda W, i: take_rows(W, ids=i), [(4,), IDS], note="of one axis"),
    Row("take_rows", lambda W, i: take_rows(W, ids=i), [(4, 2), IDS[:0]], note="none"),
    Row("add_rows", lambda g, i: add_rows(g, ids=i, count=5), [(2, 3, 2), IDS]),
    Row("add_rows", lambda g, i: add_rows(g, ids=i, count=4), [(80, 2), np.arange(80) % 7 % 3], note="long runs"),
    Row("add_rows", lambda g, i: add_rows(g, ids=i, count=70_000), [(3, 1), np.array([69_999, 4, 69_999])],
        note="of large numbers"),
]  # fmt: skip
