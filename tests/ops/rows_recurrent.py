"""Rows of the table of primitives: the cells of recurrent layers."""

from op_table import Row

from minitorch.ops.lstm_sequence import lstm_sequence
from minitorch.ops.recurrent import gru_cell, lstm_cell

ROWS = [
    Row("lstm_cell", lstm_cell, [(3, 8), (3, 2), (3, 2), (2, 8)]),
    Row("lstm_cell", lstm_cell, [(1, 4), (1, 1), (1, 1), (1, 4)], note="of size 1"),
    Row("lstm_sequence", lstm_sequence, [(4, 3, 5), (5, 8), (8,), (3, 2), (3, 2), (2, 8)]),
    Row("lstm_sequence", lstm_sequence, [(1, 3, 5), (5, 8), (8,), (3, 2), (3, 2), (2, 8)], note="one step"),
    Row("gru_cell", gru_cell, [(3, 6), (3, 2), (2, 6), (6,)]),
    Row("gru_cell", gru_cell, [(1, 3), (1, 1), (1, 3), (3,)], note="of size 1"),
]
