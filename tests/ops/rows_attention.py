"""Rows of the table of primitives: attention."""

import numpy as np
from op_table import Row

from minitorch.ops.attention import attention, self_attention

PAST = np.tri(3, 4, 1, dtype=bool)
SECOND_SEES_NOTHING = np.array([[True, False], [False, False], [True, True]])
PADDED = np.array([[True, True], [True, False]])[:, None, None, None, :] & np.ones((2, 1), bool)
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
    Row("self_attention", lambda x: self_attention(x, None, None, n_heads=2, scale=0.5), [(3, 12)]),
    Row("self_attention", lambda x, m, n: self_attention(x, m, n, n_heads=1, scale=0.5),
        [(2, 3, 6), np.tri(3, dtype=bool), np.array([[2, 0, 2], [0, 2, 2], [2, 2, 0]], np.uint8)],
        note="masked, with noise"),
    Row("self_attention", lambda x, m: self_attention(x, m, None, n_heads=2, scale=0.5), [(2, 1, 2, 12), PADDED],
        note="masked by samples and heads"),
]  # fmt: skip
