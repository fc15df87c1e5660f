"""Rows of the table of primitives: layer normalisation."""

from op_table import Row

from minitorch.ops.layer_norm import layer_norm

ROWS = [
    Row("layer_norm", lambda x, gamma, beta: layer_norm(x, gamma, beta, eps=1e-5), [(3, 4), (4,), (4,)]),
    Row("layer_norm", lambda x, gamma, beta: layer_norm(x, gamma, beta, eps=1.0), [(2, 3, 4), (4,), (4,)]),
    Row("layer_norm", lambda x, gamma, beta: layer_norm(x, gamma, beta, eps=1.0), [(4,), (4,), (4,)]),
    Row("layer_norm", lambda x: layer_norm(x, None, None, eps=0.1), [(2, 3, 4)], note="without gamma and beta"),
]
