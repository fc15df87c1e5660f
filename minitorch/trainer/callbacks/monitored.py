"""What callbacks that watch a metric share: where to find it, and whether it got better."""

import math
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, Literal

import attrs

from minitorch.errors import ConfigError
from minitorch.spelling import similar

if TYPE_CHECKING:
    from minitorch.trainer.trainer import Trainer

Mode = Literal["min", "max"]
LARGER = {"acc", "accuracy", "auc", "dice", "f1", "iou", "precision", "psnr", "r2", "recall"}  # a larger one is better


class Monitoring:
    """Watches the metric `monitor`, if that is not None; `fit` looks beforehand whether it can be there."""

    __slots__ = ()
    monitor: str | None


def unnamed_mode(callback: Monitoring) -> Mode:
    """What `mode` is where it is not given: "min".

    Raises:
        ConfigError: the name of the metric is that of one which gets better as it grows.
    """
    name = callback.monitor
    if isinstance(name, str) and name.lower().rpartition("_")[2] in LARGER:
        raise ConfigError(
            f"{type(callback).__name__}: monitor is {name!r}, and mode is not given, which is 'min': the smaller the "
            "better; give mode='max', or say mode='min' where that is meant"
        )
    return "min"


def metric_named(trainer: "Trainer", name: str, metrics: Mapping[str, float], owner: str) -> float | None:
    """The metric `name` of an epoch; None where it is one of validation, which had no turn in it.

    Raises:
        ConfigError: there is none; the message lists those there are, and names similar ones.
    """
    if name in metrics:
        return metrics[name]
    if validated(trainer, name, metrics):
        raise no_metric(name, metrics, owner)
    return None


def validated(trainer: "Trainer", name: str, metrics: Mapping[str, float]) -> bool:
    """Whether `name` should be among the metrics of an epoch: validation, if it needs one, has had its turn."""
    if not name.startswith("val_") or any(other.startswith("val_") for other in metrics):
        return True
    return trainer.validate_every.epochs is not None and trainer.validate_every.due(trainer.state)


def no_metric(name: str, metrics: Iterable[str], owner: str) -> ConfigError:
    """The error that says that `owner` watches a metric which is not there."""
    metrics = list(metrics)
    near = similar(name, metrics)
    hint = f"did you mean {near[0]!r}? " if near else ""
    return ConfigError(
        f"{owner}: no metric is named {name!r}; {hint}there is {', '.join(metrics)} (those of validation need a "
        "validation loader)"
    )


@attrs.define
class Progress:
    """The best value of a metric so far, and for how long there was none better.

    Attributes:
        best: the best value; NaN before the first.
        waited: how many values in a row were not better than that.
    """

    best: float = math.nan
    waited: int = 0

    def note(self, value: float, mode: Mode, min_delta: float) -> bool:
        """Count one more value; returns whether it is better than the best by more than `min_delta`.

        The first that is a number is better than none, and NaN is never better.
        """
        better = self.best - value if mode == "min" else value - self.best
        if better > min_delta or (math.isnan(self.best) and not math.isnan(value)):
            self.best, self.waited = value, 0
            return True
        self.waited += 1
        return False

    def state_dict(self) -> dict[str, Any]:
        """Both."""
        return attrs.asdict(self)
