"""Rows of the table of primitives: padding."""

from op_table import Row

from minitorch.ops.pad import pad

ROWS = [
    Row("pad", lambda a: pad(a, widths=((1, 2), (0, 3)), value=0.0), [(2, 3)]),
    Row("pad", lambda a: pad(a, widths=((1, 2), (0, 3)), value=-7.0), [(2, 3)], note="with another value"),
    Row("pad", lambda a: pad(a, widths=(), value=0.0), [()]),
]
