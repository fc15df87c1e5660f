"""Rows of the table of primitives: pooling."""

import numpy as np
from op_table import Row

from minitorch.cpu.window import Window
from minitorch.ops.pooling import average_pool, average_pool_spread, max_pool, max_pool_gather, max_pool_scatter

APART = Window((2, 2), (2, 2))
OVERLAPPING = Window((3, 2), (2, 1))
PADDED = Window((2, 3), (2, 2), (1, 1))
X = (2, 3, 5, 6)
IMAGES = np.random.default_rng(0).permutation(180).reshape(X)  # whose largest pixels are picked, whatever is picked


def largest(window):
    return lambda x: max_pool(x, window=window, positions=window.positions(X[2:]))


def of_largest(f, window):
    """`f` of its argument, which is differentiated, and of what `max_pool` takes and gives for images."""
    return lambda a, x: f(a, x, largest(window)(x), window=window)


ROWS = [
    Row("max_pool", largest(APART), [X], order=3),
    Row("max_pool", largest(OVERLAPPING), [X], note="overlapping"),
    Row("max_pool", largest(PADDED), [X], note="padded"),
    Row("max_pool", lambda x: max_pool(x, window=Window((3, 3), (2, 2)), positions=(2, 3)), [X], note="over the edge"),
    Row("max_pool_scatter", of_largest(max_pool_scatter, APART), [(2, 3, 2, 3), IMAGES]),
    Row("max_pool_scatter", of_largest(max_pool_scatter, OVERLAPPING), [(2, 3, 2, 5), IMAGES], note="overlapping"),
    Row("max_pool_gather", of_largest(max_pool_gather, APART), [X, IMAGES]),
    Row("max_pool_gather", of_largest(max_pool_gather, PADDED), [X, IMAGES], note="padded"),
    Row("average_pool", lambda x: average_pool(x, window=OVERLAPPING), [X]),
    Row("average_pool", lambda x: average_pool(x, window=PADDED), [X], note="padded"),
    Row("average_pool_spread", lambda g: average_pool_spread(g, window=PADDED, size=X[2:]), [(2, 3, 3, 3)]),
]
