"""MNIST for every contestant alike: the same weights, the same batches in the same order, made at the same cost.

A batch is gathered from the bytes in memory and scaled to float32 by the same NumPy lines for everybody, within the
timed part. Frameworks with tensors of their own convert it, by `torch.from_numpy` for instance, which copies nothing.
"""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from minitorch.datasets import MNIST

Array = np.ndarray[Any, Any]

DATA = Path(__file__).parents[1] / "examples" / "data" / "mnist"
PIXELS, HIDDEN, CLASSES = 784, 1000, 10
BATCH = 100


def weights() -> list[Array]:
    """New arrays of W1 (784, 1000), b1, W2 (1000, 10), b2, float32: always the same values."""
    draw = np.random.default_rng(0)
    made: list[Array] = []
    for rows, columns in ((PIXELS, HIDDEN), (HIDDEN, CLASSES)):
        made.append(draw.standard_normal((rows, columns), np.float32) * np.float32(rows**-0.5))
        made.append(np.zeros(columns, np.float32))
    return made


def first_batch() -> tuple[Array, Array]:
    """The batch of the first step, the gradients of which are compared before the race."""
    return next(iter(Batches(1)))


class Batches:
    """The batches of one epoch after the other: x float32 (100, 784) in [0, 1], t int64 (100,).

    Args:
        steps: batches in an epoch.
        convert: applied to x and to t.
    """

    def __init__(self, steps: int, convert: Callable[[Array], Any] | None = None) -> None:
        data = MNIST(train=True, transform=None, root=DATA)
        self.x = data.data.reshape(len(data), PIXELS)
        self.t = data.label
        self.steps = steps
        self.convert = convert
        self.epoch = 0

    def __len__(self) -> int:
        return self.steps

    def __iter__(self) -> Iterator[tuple[Any, Any]]:
        """Begin the next epoch."""
        order = np.random.default_rng((0, self.epoch)).permutation(len(self.x))
        self.epoch += 1
        for start in range(0, self.steps * BATCH, BATCH):
            rows = order[start : start + BATCH]
            x = np.multiply(self.x.take(rows, axis=0), np.float32(1 / 255))
            t = self.t.take(rows)
            yield (x, t) if self.convert is None else (self.convert(x), self.convert(t))
