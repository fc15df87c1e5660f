"""`F1`: the harmonic mean of precision and recall."""

from typing import Any, Literal

import numpy as np

from minitorch.cuda import xp_of
from minitorch.errors import ConfigError, DTypeError, ShapeError
from minitorch.metrics.classes import class_numbers, one_hot
from minitorch.metrics.metric import Metric

Array = Any

AVERAGES = ("macro", "micro", "binary")


class F1(Metric):
    """2 TP / (2 TP + FP + FN), of each class and then averaged, of all classes together, or of one of two.

        Trainer(model, optimizer, loss=loss, metrics={"f1": F1("macro")})

    Takes scores (N, C) and class numbers (N,). With "binary" the scores may also be (N,) or (N, 1), positive ones for
    class 1, as they come before a sigmoid.

    Args:
        average: "macro": the mean over the classes that are wanted or guessed at all; "micro": over all samples, which
            is the accuracy; "binary": of class 1.

    Raises:
        ConfigError: `average` is none of these.

    Source: van Rijsbergen, Information Retrieval, 1979, chapter 7; the averages are those of scikit-learn.
    """

    def __init__(self, average: Literal["macro", "micro", "binary"] = "macro") -> None:
        super().__init__()
        if average not in AVERAGES:
            raise ConfigError(f"F1: average is {average!r}; it must be one of {', '.join(map(repr, AVERAGES))}")
        self.average = average

    def sums(self, y: Array, t: Array) -> Array:
        """For each class: right guesses, guesses, and samples, one after the other."""
        xp = xp_of(y)
        if self.average == "binary" and y.size == len(t):
            y = y.reshape(-1)
            if t.size != len(t) or t.dtype.kind not in "iub":
                raise DTypeError(
                    f"F1: t has shape {tuple(t.shape)} and dtype {t.dtype}; class numbers are integers, (N,)"
                )
            t, guessed = t.reshape(-1).astype(np.int64), (y > 0).astype(np.int64)
            classes = 2
        else:
            t = class_numbers("F1", y, t)
            guessed, classes = y.argmax(axis=1), y.shape[1]
        if self.average == "binary" and classes != 2:
            raise ShapeError(f'F1: y has shape {tuple(y.shape)}; "binary" is for two classes: take "macro" or "micro"')
        wanted, found = one_hot(t, classes), one_hot(guessed, classes)
        return xp.concatenate([(wanted & found).sum(axis=0), found.sum(axis=0), wanted.sum(axis=0)])

    def value_of(self, sums: Array) -> float:
        """2 TP / (guesses + samples), averaged."""
        right, found, wanted = sums.reshape(3, -1)
        if self.average == "micro":
            return float(2 * right.sum() / (found.sum() + wanted.sum()))
        if self.average == "binary":
            right, found, wanted = right[1:], found[1:], wanted[1:]
        there = found + wanted > 0
        return float((2 * right[there] / (found + wanted)[there]).mean()) if there.any() else 0.0

    def __repr__(self) -> str:
        return f"F1({self.average!r})"
