"""`EarlyStopping`: an end when nothing gets better any more."""

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Literal

import attrs

from minitorch.errors import ConfigError
from minitorch.serialize import check_keys
from minitorch.trainer.callback import Callback, Phase
from minitorch.trainer.settings import at_least, one_of

if TYPE_CHECKING:
    from minitorch.trainer.trainer import Trainer


@attrs.define(eq=False)
class EarlyStopping(Callback):
    """Stops the run when a metric has not become better for some epochs.

        Trainer(model, optimizer, loss=loss, callbacks=[EarlyStopping("val_accuracy", patience=5, mode="max")])

    Args:
        monitor: the name of the metric, as `on_epoch_end` gets it.
        patience: after how many epochs in a row without improvement the run ends.
        min_delta: what counts as better must be better by more than this.
        mode: whether a better metric is smaller ("min") or larger ("max").

    Raises:
        ConfigError: a setting is not allowed, or no metric has the name.
    """

    phase = Phase.CONTROL

    monitor: str = "val_loss"
    patience: int = attrs.field(default=3, validator=at_least(1, int))
    min_delta: float = attrs.field(default=0.0, validator=at_least(0, float))
    mode: Literal["min", "max"] = attrs.field(default="min", validator=one_of("min", "max"))
    best: float = attrs.field(default=math.nan, init=False)
    waited: int = attrs.field(default=0, init=False)

    def on_fit_start(self, trainer: "Trainer") -> None:
        """Forget an earlier run, where this one is new."""
        if trainer.state.is_new:
            self.best, self.waited = math.nan, 0

    def on_epoch_end(self, trainer: "Trainer", metrics: dict[str, float]) -> None:
        """Compare with the best so far."""
        if self.monitor not in metrics:
            raise ConfigError(
                f"EarlyStopping: no metric is named {self.monitor!r}; there is {', '.join(metrics)} (those of "
                "validation need a validation loader, and a validation in every epoch)"
            )
        value = metrics[self.monitor]
        better = self.best - value if self.mode == "min" else value - self.best
        if math.isnan(self.best) or better > self.min_delta:
            self.best, self.waited = value, 0
            return
        self.waited += 1
        if self.waited >= self.patience:
            trainer.request_stop(
                f"{self.monitor} has not been better than {self.best:.6g} for {self.waited} epoch(s) (EarlyStopping)"
            )

    def state_dict(self) -> dict[str, Any]:
        """The best value, and for how long there was none better."""
        return {"best": self.best, "waited": self.waited}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on waiting."""
        check_keys("EarlyStopping", ("best", "waited"), state)
        self.best, self.waited = state["best"], state["waited"]
