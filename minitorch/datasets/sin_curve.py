"""The sine curve data set: a time series whose next value is to be predicted."""

import numpy as np

from minitorch.datasets.dataset import Dataset
from minitorch.random import philox


class SinCurve(Dataset):
    """One period of a sine in 1,000 steps with noise (train), or of a cosine without (test).

    x is the value at a step and t the value at the next, float32 of shape (1,) each; the same in every run.

    Source: K. Saitoh, "Deep Learning from Scratch 3", step 59.
    """

    def prepare(self) -> None:
        """Compute the series."""
        angle = np.linspace(0, 2 * np.pi, 1000)
        if self.train:
            noise = np.random.Generator(philox("sin_curve", seed=0)).uniform(-0.05, 0.05, angle.shape)
            y = np.sin(angle) + noise
        else:
            y = np.cos(angle)
        series = y.astype(np.float32)[:, None]
        self.data, self.label = series[:-1], series[1:]
