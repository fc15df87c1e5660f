"""Rows of the table of primitives: batch normalisation, of the batch and of given statistics."""

import numpy as np
from op_table import Row

from minitorch import Variable
from minitorch.ops.batch_norm import batch_norm, moments

MEAN = np.array([0, 1, -2])
VAR = np.array([1, 2, 3])


def of_batch(x, gamma, beta):
    mean, var = moments(x.data if isinstance(x, Variable) else x)
    return batch_norm(x, gamma, beta, mean, var, eps=0.1, of_batch=True)


def given(x, gamma, beta, mean, var):
    return batch_norm(x, gamma, beta, mean, var, eps=0.1, of_batch=False)


ROWS = [
    Row("batch_norm", of_batch, [(5, 3), (3,), (3,)]),
    Row("batch_norm", of_batch, [(2, 3, 2, 4), (3,), (3,)]),
    Row("batch_norm", given, [(5, 3), (3,), (3,), MEAN, VAR], note="given"),
    Row("batch_norm", given, [(2, 3, 2, 4), (3,), (3,), MEAN, VAR], note="given"),
    Row("batch_norm", given, [(1, 3), (3,), (3,), MEAN, VAR], note="given, one sample"),
]
