"""Rows of the table of primitives: attention."""

import numpy as np
from op_table import Row

from minitorch.ops.attention import attention

PAST = np.tri(3, 4, 1, dtype=bool)
SECOND_SEES_NOTHING = np.array([[True, False], [False, False], [True, True]])
NOISE = np.array([[2, 0, 2], [0, 2, 2]], np.uint8)

ROWS = [
    Row("attention", lambda q, k, v: attention(q, k, v, None, None, scale=0.5), [(3, 2), (4, 2), (4, 5)]),
    Row("attention", lambda q, k, v: attention(q, k, v, None, None, scale=1.0), [(2, 1, 3, 2), (2, 4, 2), (4, 2)],
        note="leading axes broadcast"),
    Row("attention", lambda q, k, v, m: attention(q, k, v, m, None, scale=0.5), [(2, 3, 2), (2, 4, 2), (2, 4, 2), PAST],
        note="masked"),
    Row("attention", lambda q, k, v, m: attention(q, k, v, m, None, scale=0.5),
        [(3, 2), (2, 2), (2, 2), SECOND_SEES_NOTHING], note="a query without keys"),
    Row("attention", lambda q, k, v, n: attention(q, k, v, None, n, scale=0.5), [(2, 3), (3, 3), (3, 2), NOISE],
        note="noise"),
    Row("attention", lambda q, k, v, m, n: attention(q, k, v, m, n, scale=0.5),
        [(2, 2, 3), (2, 3, 3), (2, 3, 2), np.tri(2, 3, 1, dtype=bool), NOISE], note="masked, with noise"),
    Row("attention", lambda x: attention(x, x, x, None, None, scale=0.5), [(3, 2)], note="of one with itself"),
]  # fmt: skip
