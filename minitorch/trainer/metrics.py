"""Means weighted by samples, of values that stay on the device until somebody needs the numbers."""

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from minitorch.cuda import as_numpy, xp_of
from minitorch.errors import ConfigError, DTypeError, NonFiniteError
from minitorch.serialize import check_keys
from minitorch.trainer.state import TrainState

Array = Any
Sums = dict[str, tuple[float, float]]  # by name: the sum of value * samples, the sum of samples


class RunningMeans:
    """Means over the log interval and over the epoch at once.

    `add` converts nothing: it puts the value aside. `read` fetches all that was put aside in one transfer and adds it
    up in the order in which it came, in float64, so that reading more or less often changes no bit of a mean.

    Attributes:
        size: the samples of the batch under way, the weight of what is added; 0 between batches.
        host_reads: how often values were fetched from a device.
    """

    def __init__(self) -> None:
        self._pending: list[tuple[str, Any, float]] = []
        self._interval: Sums = {}
        self._epoch: Sums = {}
        self.size = 0
        self.host_reads = 0

    def add(self, name: str, value: Any) -> None:
        """Put aside `value`, one number or an array of one element, the mean over the batch under way.

        Raises:
            ConfigError: no batch is under way.
            DTypeError: it is not one number.
        """
        if not self.size:
            raise ConfigError(
                f"log: no batch is under way to log {name!r} for; on_validation_end and on_epoch_end may add to the "
                "metrics that they are given"
            )
        if not isinstance(value, int | float) and getattr(value, "size", 0) != 1:
            raise DTypeError(
                f"log: {name!r} is {type(value).__name__} of shape {getattr(value, 'shape', None)}; log one number: "
                "take its mean()"
            )
        if xp_of(value) is np:  # nobody waits for it, and what is done to the array later is not seen
            value = float(np.asarray(value).item())
        self._pending.append((name, value, self.size))

    def read(self) -> None:
        """Bring the sums up to date."""
        if not self._pending:
            return
        values = self._fetch([value for _, value, _ in self._pending])
        for (name, _, size), value in zip(self._pending, values, strict=True):
            for sums in (self._interval, self._epoch):
                total, count = sums.get(name, (0.0, 0.0))
                sums[name] = (total + value * size, count + size)
        self._pending.clear()

    def _fetch(self, values: list[Any]) -> list[float]:
        on_device = [v for v in values if not isinstance(v, float)]
        if not on_device:
            return values
        self.host_reads += 1
        together = xp_of(on_device[0]).stack([v.reshape(()) for v in on_device])
        fetched = iter(as_numpy(together).tolist())
        return [v if isinstance(v, float) else float(next(fetched)) for v in values]

    def end_interval(self) -> dict[str, float]:
        """The means since the last call."""
        self.read()
        means, self._interval = _means(self._interval), {}
        return means

    def end_epoch(self) -> dict[str, float]:
        """The means since the last call; the interval under way goes on."""
        self.read()
        means, self._epoch = _means(self._epoch), {}
        return means

    def so_far(self) -> dict[str, float]:
        """The means of the epoch under way."""
        self.read()
        return _means(self._epoch)

    def mean(self, name: str) -> float:
        """The mean of one value over the epoch under way.

        Raises:
            ConfigError: nothing was logged under this name.
        """
        means = self.so_far()
        if name not in means:
            raise ConfigError(f"read: nothing is logged as {name!r}; there is {', '.join(means) or 'nothing yet'}")
        return means[name]

    def state_dict(self) -> dict[str, Any]:
        """The sums."""
        self.read()
        return {
            "interval": {name: list(pair) for name, pair in self._interval.items()},
            "epoch": {name: list(pair) for name, pair in self._epoch.items()},
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from the sums of `state_dict`."""
        check_keys("running means", ("interval", "epoch"), state)
        self._pending.clear()
        self._interval = {name: tuple(pair) for name, pair in state["interval"].items()}
        self._epoch = {name: tuple(pair) for name, pair in state["epoch"].items()}


def check_finite(means: dict[str, float], state: TrainState) -> dict[str, float]:
    """`means` themselves, unless the loss among them is NaN or infinite."""
    loss = means.get("loss", 0.0)
    if not math.isfinite(loss):
        raise NonFiniteError(
            f"the mean loss up to step {state.step} (epoch {state.epoch}) is {loss}: lower the learning rate, clip "
            "gradients (optimizers.ClipGrad), and look for NaN or huge values in the data; the last checkpoint is "
            "from before"
        )
    return means


def _means(sums: Sums) -> dict[str, float]:
    names = sorted(sums, key=lambda name: name != "loss")  # the loss first, the others as they were logged
    return {name: sums[name][0] / sums[name][1] for name in names}
