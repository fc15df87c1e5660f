"""Rows of the table of primitives: a fully connected layer with its activation."""

from op_table import Row

from minitorch.ops.linear_activation import ACTIVATIONS, linear_activation

ROWS = [
    Row(
        "linear_activation",
        lambda x, W, b, act=act: linear_activation(x, W, b, act=act),
        [shape, (3, 4), (4,)],
        note=act,
    )
    for act in ACTIVATIONS
    for shape in ((5, 3), (2, 2, 3), (3,))
]
