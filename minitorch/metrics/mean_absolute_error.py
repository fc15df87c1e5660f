"""`MeanAbsoluteError`: how far numbers are from those that are wanted."""

from typing import Any

import numpy as np

from minitorch.cuda import xp_of
from minitorch.errors import ShapeError
from minitorch.metrics.metric import Metric

Array = Any


class MeanAbsoluteError(Metric):
    """The mean of |y - t| over all elements, added up in float64.

        Trainer(model, optimizer, loss=F.mean_squared_error, metrics={"mae": MeanAbsoluteError()})

    Takes two arrays of one shape.
    """

    def sums(self, y: Array, t: Array) -> Array:
        """The sum of the differences, and how many there are."""
        if y.shape != t.shape:
            raise ShapeError(
                f"MeanAbsoluteError: y has shape {tuple(y.shape)}, t {tuple(t.shape)}; they must be equal: reshape one"
            )
        xp = xp_of(y)
        total = abs(y.astype(np.float64) - t).sum()
        return xp.stack([total, xp.full((), y.size, np.float64)])

    def value_of(self, sums: Array) -> float:
        """The sum by the count."""
        return float(sums[0] / sums[1])

    def __repr__(self) -> str:
        return "MeanAbsoluteError()"
