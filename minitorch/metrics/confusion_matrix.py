"""`ConfusionMatrix`: how often each class is taken for each other."""

from typing import Any

import numpy as np

from minitorch.cuda import gemm, xp_of
from minitorch.errors import DataError
from minitorch.metrics.classes import class_numbers, one_hot
from minitorch.metrics.metric import Metric

Array = Any


class ConfusionMatrix(Metric):
    """Counts, int64 (C, C): row i, column j is how many samples of class i were taken for class j.

        matrix = ConfusionMatrix()
        for x, t in test_loader:
            matrix.update(model(x), t)
        print(matrix.compute())

    Takes scores (N, C) and class numbers (N,). Its value is no number, so a Trainer does not log it: keep one of your
    own, update it in `validation_step`, and compute and reset it in `on_validation_end`. As a picture: the callback
    `ConfusionMatrix`.
    """

    is_number = False

    def sums(self, y: Array, t: Array) -> Array:
        """The counts of the batch, row by row."""
        t = class_numbers("ConfusionMatrix", y, t)
        guessed, classes = y.argmax(axis=1), y.shape[1]
        if xp_of(y) is np:
            if len(t) and not 0 <= t.min() <= t.max() < classes:
                raise DataError(
                    f"ConfusionMatrix: class numbers go from 0 to {classes - 1}, t from {t.min()} to {t.max()}"
                )
            return np.bincount(t.astype(np.int64) * classes + guessed, minlength=classes * classes)
        wanted, found = (one_hot(numbers, classes).astype(np.float64) for numbers in (t, guessed))
        return gemm(wanted, found, transpose_a=True).reshape(-1)

    def value_of(self, sums: Array) -> Array:
        """The counts as a matrix."""
        classes = round(len(sums) ** 0.5)
        return sums.reshape(classes, classes).astype(np.int64)

    def __repr__(self) -> str:
        return "ConfusionMatrix()"
