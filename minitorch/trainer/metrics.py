"""Means weighted by samples, of values that stay on the device until somebody needs the numbers."""

import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np

from minitorch.cuda import xp_of
from minitorch.errors import ConfigError, DeviceError, DTypeError, NonFiniteError
from minitorch.metrics import Metric, Part
from minitorch.serialize import check_keys
from minitorch.trainer.device_sums import DeviceSums
from minitorch.variable import Variable

if TYPE_CHECKING:
    from minitorch.trainer.trainer import Trainer

Array = Any
INTERVAL, EPOCH = 0, 1
WAITING = 500
PART = "\x1f"  # between the name of a metric and the number of one of its sums


class RunningMeans:
    """Means over the log interval and over the epoch at once.

    `add` converts nothing. Values of the host are added up there, and those of a device there, in float64 and in the
    order in which they came, so that reading more or less often changes no bit of a mean. All sums of a device are read
    by one transfer.

    Args:
        metrics: those by name that a resumed run may be asked for before it logs them again.

    Attributes:
        size: the samples of the batch under way, the weight of what is added; 0 between batches.
        logged: the loss that a replay has added itself, if the newest step was one.
        has_own_loss: whether `validation_step` has logged the loss itself, and what it returns does not count.
        settle: called before sums are read: whoever holds steps back sets it, to do them then.
        host_reads: how often values were fetched from a device.
    """

    def __init__(self, metrics: Mapping[str, Any] | None = None) -> None:
        self._metrics = {name: metric for name, metric in (metrics or {}).items() if isinstance(metric, Metric)}
        self._totals: tuple[dict[str, float], dict[str, float]] = ({}, {})  # sums of value * samples on the host
        self._counts: tuple[dict[str, float], dict[str, float]] = ({}, {})  # sums of samples
        self._waiting: list[tuple[str, float, float]] = []  # values of the host, to be added up together
        self._on_device: DeviceSums | None = None
        self._captured: list[tuple[str, float]] | None = None
        self.logged: Any = None
        self.has_own_loss = False
        self.settle: Callable[[], None] | None = None
        self.size = 0
        self.host_reads = 0

    @property
    def sums(self) -> Array | None:
        """The sums on the device, if there are any: always the same array, until there are many more names."""
        return None if self._on_device is None else self._on_device.array

    def add(self, name: str, value: Any) -> None:
        """Add `value`: one number or an array of one element, the mean over the batch; or what a Metric returned.

        On a device it is added some time later, so an array that is changed in place meanwhile must be copied.

        Raises:
            ConfigError: no batch is under way, or it is of a Metric whose value is no number.
            DTypeError: it is not one number.
            DeviceError: it is a number of the host, in a step that is being captured.
        """
        if not self.size:
            raise ConfigError(
                f"log: no batch is under way to log {name!r} for; on_validation_end and on_epoch_end may add to the "
                "metrics that they are given"
            )
        if type(value) is np.ndarray and value.size == 1 and self._on_device is None and self._captured is None:
            self._waiting.append((name, float(value.item()), self.size))  # what it is most often without a GPU
            if len(self._waiting) >= WAITING:
                self._settle()
        elif isinstance(value, Part):
            self._add_part(name, value)
        else:
            self._add(name, value, self.size)

    def _add_part(self, name: str, part: Part) -> None:
        """Add the sums of a metric, each as a value of its own with a name that nobody sees."""
        if not part.metric.is_number:
            raise ConfigError(
                f"log: {name!r} is {part.metric!r}, whose value is no number; update one of your own in "
                "validation_step, and compute and reset it in on_validation_end"
            )
        self._metrics[name] = part.metric
        for i in range(len(part.sums)):
            self._add(f"{name}{PART}{i}", part.sums[i : i + 1], 1.0)

    def _add(self, name: str, value: Any, weight: float) -> None:
        self._settle()
        if not isinstance(value, int | float) and getattr(value, "size", 0) != 1:
            raise DTypeError(
                f"log: {name!r} is {type(value).__name__} of shape {getattr(value, 'shape', None)}; log one number: "
                "take its mean()"
            )
        xp = xp_of(value)
        if xp is np and self._captured is not None:
            raise DeviceError(f"the step logs {name!r}, a number of the host, which a replay would not change")
        sums = self._on_device
        if xp is np and (sums is None or name not in sums.columns):  # what is done to the array later is not seen
            self._totals_add(name, float(np.asarray(value).item()), weight)
        else:
            self._add_on_device(name, value, weight)
        if self._captured is not None:
            self._captured.append((name, weight))
        else:
            self.count([(name, weight)])

    def _settle(self) -> None:
        """Add up what waits on the host, in the order in which it came."""
        waiting, self._waiting = self._waiting, []
        for totals, counts in zip(self._totals, self._counts, strict=True):
            for name, value, size in waiting:
                totals[name] = totals.get(name, 0.0) + value * size
                counts[name] = counts.get(name, 0.0) + size

    def _totals_add(self, name: str, value: float, weight: float) -> None:
        for totals in self._totals:
            totals[name] = totals.get(name, 0.0) + value * weight

    def _add_on_device(self, name: str, value: Any, weight: float) -> None:
        if self._on_device is None:
            self._on_device = DeviceSums(rows=2)
        sums = self._on_device
        if name not in sums.columns:
            if self._captured is not None:
                raise DeviceError(f"the step logs {name!r}, which the steps before it did not")
            sums.name(name, [totals.pop(name, 0.0) for totals in self._totals])
        if xp_of(value) is np:  # once on the device, a name stays there
            value = xp_of(sums.array).full((), float(np.asarray(value).item()), np.float64)
        sums.add(name, value, weight)

    def count(self, logged: Iterable[tuple[str, float]]) -> None:
        """Count the samples of values that were added: name and samples of each."""
        for name, size in logged:
            for counts in self._counts:
                counts[name] = counts.get(name, 0.0) + size

    @contextmanager
    def captured(self) -> Iterator[list[tuple[str, float]]]:
        """Inside, values are added by work that is recorded, which ends with `flush`: gives what a replay counts."""
        self.flush()
        logged: list[tuple[str, float]] = []
        self._captured = logged
        try:
            yield logged
        except BaseException:
            if self._on_device is not None:
                self._on_device.drop()  # it was never computed
            raise
        finally:
            self._captured = None

    def replayed(self, logged: Iterable[tuple[str, float]]) -> None:
        """Count what a replay has added on the device."""
        self.count(logged)
        if self._on_device is not None:
            self._on_device.changed()

    def flush(self) -> None:
        """Add on the device what waits for it; arrays that were logged may then be changed."""
        self._settle()
        if self._on_device is not None:
            self._on_device.flush()

    def catch_up(self) -> None:
        """Have steps done that are held back: before anybody looks at what they change."""
        if self.settle is not None:
            self.settle()

    def _sums(self, which: int) -> dict[str, tuple[float, float]]:
        """By name the sum of value * samples and the sum of samples; on a device all is read that is not known."""
        self._settle()
        self.catch_up()
        on_device, counts = self._on_device, self._counts[which]
        read = None
        if on_device is not None and any(name in on_device.columns for name in counts):
            self.host_reads += not on_device.is_known
            read = on_device.read()
        sums = {}
        for name, count in counts.items():
            total = self._totals[which].get(name, 0.0)
            if read is not None and name in on_device.columns:  # type: ignore[union-attr]
                total = float(read[which, on_device.columns[name]])  # type: ignore[union-attr]
            sums[name] = total, count
        return sums

    def _means(self, sums: Mapping[str, tuple[float, float]]) -> dict[str, float]:
        """The means, and the values of metrics; the loss first, the others as they were logged."""
        means: dict[str, float] = {}
        parts: dict[str, list[float]] = {}
        for name in sorted(sums, key=lambda name: name != "loss"):
            whole, _, part = name.partition(PART)
            if part:
                means.setdefault(whole, math.nan)  # its place among the others
                parts.setdefault(whole, []).append(sums[name][0])
            else:
                means[name] = sums[name][0] / sums[name][1]
        for name, totals in parts.items():
            if name in self._metrics:
                means[name] = self._metrics[name].value_of(np.array(totals))
            else:  # of a resumed run, and not logged again yet
                del means[name]
        return means

    def _clear(self, which: int) -> None:
        self._totals[which].clear()
        self._counts[which].clear()
        if self._on_device is not None:
            self._on_device.clear(which)

    def end_interval(self) -> dict[str, float]:
        """The means since the last call."""
        means = self._means(self._sums(INTERVAL))
        self._clear(INTERVAL)
        return means

    def end_epoch(self) -> dict[str, float]:
        """The means since the last call; the interval under way goes on."""
        means = self._means(self._sums(EPOCH))
        self._clear(EPOCH)
        return means

    def so_far(self) -> dict[str, float]:
        """The means of the epoch under way."""
        return self._means(self._sums(EPOCH))

    def mean(self, name: str) -> float:
        """The mean of one value over the epoch under way.

        Raises:
            ConfigError: nothing was logged under this name.
        """
        means = self.so_far()
        if name not in means:
            over = "" if means else "; the metrics of an epoch that is over are in history, and given to on_epoch_end"
            there = ", ".join(means) or "nothing yet"
            raise ConfigError(f"read: nothing is logged as {name!r} in the epoch under way; there is {there}{over}")
        return means[name]

    def state_dict(self) -> dict[str, Any]:
        """The sums."""
        return {
            "interval": {name: list(pair) for name, pair in self._sums(INTERVAL).items()},
            "epoch": {name: list(pair) for name, pair in self._sums(EPOCH).items()},
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from the sums of `state_dict`."""
        check_keys("running means", ("interval", "epoch"), state)
        self._waiting.clear()
        self._on_device = None
        for which, sums in enumerate((state["interval"], state["epoch"])):
            self._totals[which].clear()
            self._counts[which].clear()
            for name, (total, count) in sums.items():
                self._totals[which][name], self._counts[which][name] = total, count


def check_finite(means: dict[str, float], trainer: "Trainer") -> dict[str, float]:
    """`means` themselves, unless the loss among them is NaN or infinite."""
    loss = means.get("loss", 0.0)
    if not math.isfinite(loss):
        state = trainer.state
        raise NonFiniteError(
            f"the mean loss up to step {state.step} (epoch {state.epoch}) is {loss}: lower the learning rate, clip "
            "gradients (GradientClipping), and look for NaN or huge values in the data; NaNGuard finds the operation, "
            f"layer and batch; {last_good(trainer)}"
        )
    return means


def last_good(trainer: "Trainer") -> str:
    """What a run that went wrong can go back to, in words."""
    return "there is no checkpoint" if trainer.checkpoint is None else "the last checkpoint is from before"


def checked_metrics(metrics: Mapping[str, Any]) -> dict[str, Any]:
    """Functions and Metrics by name as a new dict.

    Raises:
        ConfigError: they have no names, or there is something else among them.
    """
    if not isinstance(metrics, Mapping):
        raise ConfigError(f'Trainer: metrics is {metrics!r}; give them by name: metrics={{"accuracy": F.accuracy}}')
    for name, metric in metrics.items():
        if name == "loss":
            raise ConfigError("Trainer: a metric is named 'loss', as the loss itself is; give it another name")
        if isinstance(metric, type):
            raise ConfigError(f"Trainer: metric {name!r} is a class; give an instance: {metric.__name__}(...)")
        if not callable(metric):
            raise ConfigError(f"Trainer: metric {name!r} is {metric!r}; give metric(y, t), such as F.accuracy")
    return dict(metrics)


def checked_loss(loss: Callable[[Any, Any], Variable] | None) -> Callable[[Any, Any], Variable] | None:
    """`loss` itself.

    Raises:
        ConfigError: it can not be called.
    """
    if loss is not None and not callable(loss):
        raise ConfigError(f"Trainer: loss is {loss!r}; give loss(y, t), such as F.softmax_cross_entropy")
    return loss
