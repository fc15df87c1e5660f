"""Rows of the table of primitives: a fully connected layer, alone and with its activation."""

from op_table import Row

from minitorch.ops.linear import ACTIVATIONS, linear

SHAPES = ((5, 3), (2, 2, 3), (3,))
ROWS = [
    *(Row("linear", linear, [shape, (3, 4), (4,)]) for shape in SHAPES),
    Row("linear", lambda x, W: linear(x, W, None), [(5, 3), (3, 4)], note="no bias"),
    *(
        Row("linear", lambda x, W, b, act=act: linear(x, W, b, act=act), [shape, (3, 4), (4,)], note=act)
        for act in ACTIVATIONS
        for shape in SHAPES
    ),
    *(
        Row("linear", lambda x, W, act=act: linear(x, W, None, act=act), [(5, 3), (3, 4)], note=f"{act}, no bias")
        for act in ACTIVATIONS
    ),
]
