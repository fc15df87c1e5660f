"""Rows of the table of primitives: matrix products."""

from op_table import Row

from minitorch.ops import linalg

ROWS = [
    Row("matmul", linalg.matmul, [(2, 3), (3, 4)]),
    Row("matmul", linalg.matmul, [(3,), (3,)]),
    Row("matmul", linalg.matmul, [(2, 3), (3,)]),
    Row("matmul", linalg.matmul, [(3,), (3, 4)]),
    Row("matmul", linalg.matmul, [(2, 3, 4), (2, 4, 5)]),
    Row("matmul", linalg.matmul, [(2, 3, 4), (4, 5)]),
    Row("matmul", linalg.matmul, [(3, 4), (2, 4, 5)]),
    Row("matmul", linalg.matmul, [(2, 1, 3, 4), (5, 4, 2)]),
    Row("matmul", linalg.matmul, [(2, 3, 4), (4,)]),
    Row("matmul", linalg.matmul, [(4,), (2, 4, 3)]),
    Row("matmul", linalg.matmul, [(1, 1), (1, 1)]),
    Row("matmul", lambda a: linalg.matmul(a, a), [(3, 3)], note="with itself"),
]
