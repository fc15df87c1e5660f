"""What callbacks that watch a metric share: where to find it, and whether it got better."""

import difflib
import math
from collections.abc import Mapping
from typing import Any, Literal

import attrs

from minitorch.errors import ConfigError

Mode = Literal["min", "max"]


def metric_named(name: str, metrics: Mapping[str, float], owner: str) -> float:
    """The metric `name`.

    Raises:
        ConfigError: there is none; the message lists those there are, and names similar ones.
    """
    if name in metrics:
        return metrics[name]
    raise no_metric(name, metrics, owner, "a validation loader, and a validation in every epoch")


def no_metric(name: str, metrics: Mapping[str, float], owner: str, needed: str) -> ConfigError:
    """The error that says that `owner` watches a metric which is not there, and what those of validation need."""
    near = difflib.get_close_matches(name, metrics, n=1, cutoff=0.7)
    hint = f"did you mean {near[0]!r}? " if near else ""
    return ConfigError(
        f"{owner}: no metric is named {name!r}; {hint}there is {', '.join(metrics)} (those of validation need {needed})"
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
