"""Rows of the table of primitives: softmax and what is built on it."""

import numpy as np
from op_table import Row

from minitorch.ops import softmax as s

LABELS = np.array([0, 2, 1, 2])

ROWS = [
    *[
        Row(op.op.name, lambda a, op=op, axis=axis: op(a, axis=axis), [(2, 3, 4)], note=str(axis))
        for op in (s.softmax, s.log_softmax, s.logsumexp)
        for axis in (0, 1, -1, (1, 2), None)
    ],
    Row("logsumexp", lambda a: s.logsumexp(a, axis=1, keepdims=True), [(2, 3)], note="kept"),
    Row("softmax_cross_entropy", s.softmax_cross_entropy, [(1, 3), LABELS[:1]], note="one row"),
    Row("softmax_cross_entropy", s.softmax_cross_entropy, [(4, 3), LABELS]),
    Row("softmax_cross_entropy", s.softmax_cross_entropy, [(4, 3), LABELS.astype(np.uint8)], note="uint8 labels"),
]
