"""`Accuracy` and `TopK`: the share of samples whose class is found."""

from typing import Any

from minitorch.cuda import xp_of
from minitorch.errors import ConfigError
from minitorch.metrics.classes import check_positive, class_numbers
from minitorch.metrics.metric import Metric

Array = Any


class TopK(Metric):
    """The share of samples whose class is among the `k` with the largest scores; of equal scores the first counts.

        Trainer(model, optimizer, loss=loss, metrics={"top5": TopK(5)})

    Takes scores (N, C) and class numbers (N,).

    Args:
        k: how many guesses there are, no more than classes.

    Raises:
        ConfigError: `k` is no positive int.
    """

    def __init__(self, k: int) -> None:
        super().__init__()
        self.k = check_positive("TopK", "k", k)

    def sums(self, y: Array, t: Array) -> Array:
        """The hits, and the samples."""
        t = class_numbers(type(self).__name__, y, t)
        if self.k > y.shape[1]:
            raise ConfigError(f"TopK: k is {self.k}, but there are {y.shape[1]} classes; take a smaller k")
        xp = xp_of(y)
        own = xp.take_along_axis(y, t[:, None], axis=1)
        earlier = xp.arange(y.shape[1]) < t[:, None]
        better = ~(y <= own) | ((y == own) & earlier)  # a score that is no number hides all others
        hits = (better.sum(axis=1) < self.k).sum()
        return xp.stack([hits, xp.full((), len(t), hits.dtype)])

    def value_of(self, sums: Array) -> float:
        """Hits by samples."""
        return float(sums[0] / sums[1])

    def __repr__(self) -> str:
        return f"TopK({self.k})"


class Accuracy(TopK):
    """The share of samples whose class has the largest score; of equal scores the first counts.

        Trainer(model, optimizer, loss=loss, metrics={"accuracy": Accuracy()})

    Takes scores (N, C) and class numbers (N,).
    """

    def __init__(self) -> None:
        super().__init__(1)

    def __repr__(self) -> str:
        return "Accuracy()"
