"""The spiral data set: three classes in the plane that no straight line separates."""

from typing import Any

import numpy as np

from minitorch.datasets.dataset import Dataset

Array = np.ndarray[Any, Any]


def get_spiral(train: bool = True) -> tuple[Array, Array]:
    """The 300 points of `Spiral`, float32 of shape (300, 2), and their classes 0 to 2, int64 of shape (300,)."""
    generator = np.random.RandomState(
        1984 if train else 2020
    )  # the numbers of the book, and nobody's generator touched
    points, classes = 100, 3
    t = np.repeat(np.arange(classes), points)
    radius = np.tile(np.arange(points) / points, classes)
    theta = t * 4.0 + 4.0 * radius + generator.randn(t.size) * 0.2
    x = np.stack([radius * np.sin(theta), radius * np.cos(theta)], axis=1).astype(np.float32)
    order = generator.permutation(t.size)
    return x[order], t[order]


class Spiral(Dataset):
    """Three arms of 100 points each, the same points in every run: x is (2,) float32, t is 0, 1 or 2.

    Source: K. Saitoh, "Deep Learning from Scratch 3", step 48.
    """

    def prepare(self) -> None:
        """Compute the points."""
        self.data, self.label = get_spiral(self.train)
