"""Rows of the table of primitives: dropout by a numbered draw."""

from op_table import Row

from minitorch.ops.noise import dropped
from minitorch.random import Draw

DRAW = Draw("dropout", seed=1, step=5, draw=2)

ROWS = [
    Row("dropped", lambda a: dropped(a, ratio=0.5, draw=DRAW), [(4, 5)]),
    Row("dropped", lambda a: dropped(a, ratio=0.1, draw=DRAW), [()]),
    Row("dropped", lambda a: dropped(a, ratio=1, draw=DRAW), [(2, 3)], note="nothing is left"),
]
