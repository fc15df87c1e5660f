"""Rows of the table of primitives: cross entropies beyond the plain softmax one."""

import numpy as np
from op_table import Row

from minitorch import Variable
from minitorch.cuda import xp_of
from minitorch.ops import cross_entropy as c

LABELS = np.array([0, 2, 1, 2])
WEIGHTS = np.array([1, 2, 3], np.uint8)
SHARES = [[0.7, 0.2, 0.1], [0.0, 1.0, 0.0], [0.5, 0.5, 0.5], [0.1, 0.0, 0.4]]
YES_OR_NO = np.array([[1, 0, 0], [0, 1, 1]], np.uint8)


def weighted(x, t, weights=None, *, ignored=None, smoothing=0.0):
    return c.weighted_softmax_cross_entropy(x, t, weights, ignored=ignored, smoothing=smoothing)


def soft(x):
    """Shares of three classes that do not add up to 1 in each of four rows, like the array `x`."""
    return xp_of(x.data if isinstance(x, Variable) else x).asarray(SHARES, dtype=x.dtype)


ROWS = [
    Row("weighted_softmax_cross_entropy", weighted, [(4, 3), LABELS], note="plain"),
    Row("weighted_softmax_cross_entropy", weighted, [(4, 3), LABELS, WEIGHTS], note="weights"),
    Row("weighted_softmax_cross_entropy", lambda x, t: weighted(x, t, smoothing=0.2), [(4, 3), LABELS], note="smooth"),
    Row("weighted_softmax_cross_entropy", lambda x, t: weighted(x, t, ignored=2), [(4, 3), LABELS], note="ignored"),
    Row("weighted_softmax_cross_entropy", lambda x, t, w: weighted(x, t, w, ignored=-1, smoothing=0.3),
        [(4, 3), np.array([0, -1, 1, 2]), WEIGHTS], note="all"),
    Row("weighted_softmax_cross_entropy", lambda x, t: weighted(x, t, ignored=255, smoothing=1.0),
        [(4, 3), np.array([0, 255, 1, 2], np.uint8)], note="uint8 labels"),
    Row("soft_cross_entropy", lambda x: c.soft_cross_entropy(x, soft(x)), [(4, 3)]),
    Row("sigmoid_cross_entropy", lambda x, t: c.sigmoid_cross_entropy(x, t, scale=0.5), [(2, 3), YES_OR_NO]),
    Row("binary_cross_entropy", lambda p, t: c.binary_cross_entropy(p, t, scale=0.5), [(2, 3), YES_OR_NO],
        domain=(0.1, 0.9)),
]  # fmt: skip
