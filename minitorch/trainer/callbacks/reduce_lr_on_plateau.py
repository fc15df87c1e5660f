"""`ReduceLROnPlateau`: a smaller learning rate when nothing gets better any more."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import attrs

from minitorch.errors import ConfigError
from minitorch.serialize import check_keys
from minitorch.trainer.callbacks.learning_rate import LearningRate
from minitorch.trainer.callbacks.monitored import Mode, Monitoring, Progress, metric_named, unnamed_mode
from minitorch.trainer.settings import at_least, one_of

if TYPE_CHECKING:
    from minitorch.trainer.trainer import Trainer


def _check_factor(owner: Any, attribute: Any, value: Any) -> None:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < 1:
        raise ConfigError(f"ReduceLROnPlateau: factor is {value!r}; it must be a number between 0 and 1")


@attrs.define(eq=False)
class ReduceLROnPlateau(LearningRate, Monitoring):
    """Multiplies the learning rate by a factor when a metric has not become better for some epochs.

        Trainer(model, SGD(0.1), loss=loss, callbacks=[ReduceLROnPlateau("val_loss", factor=0.5, patience=3)])

    Args:
        monitor: the name of the metric, as `on_epoch_end` gets it. Epochs without a validation are not looked at where
            it is one of validation.
        factor: what the learning rate is multiplied by.
        patience: after how many epochs in a row without improvement.
        min_delta: what counts as better must be better by more than this.
        mode: whether a better metric is smaller ("min", unless given) or larger ("max").
        cooldown: for how many epochs after that none is counted.
        minimum: the smallest share of the first learning rate.

    Raises:
        ConfigError: a setting is not allowed, no metric has the name, the optimizer has no learning rate, or another
            callback sets it too.
    """

    monitor: str = "val_loss"
    factor: float = attrs.field(default=0.1, validator=_check_factor)
    patience: int = attrs.field(default=10, validator=at_least(1, int))
    min_delta: float = attrs.field(default=0.0, validator=at_least(0, float))
    mode: Mode = attrs.field(default=attrs.Factory(unnamed_mode, takes_self=True), validator=one_of("min", "max"))
    cooldown: int = attrs.field(default=0, validator=at_least(0, int))
    minimum: float = attrs.field(default=0.0, validator=at_least(0, float))
    _progress: Progress = attrs.field(factory=Progress, init=False, repr=False)
    _reduced: float = attrs.field(default=1.0, init=False, repr=False)
    _cooling: int = attrs.field(default=0, init=False, repr=False)

    def on_fit_start(self, trainer: "Trainer") -> None:
        """Forget an earlier run, where this one is new."""
        super().on_fit_start(trainer)
        if trainer.state.is_new:
            self._progress, self._reduced, self._cooling = Progress(), 1.0, 0

    def on_epoch_end(self, trainer: "Trainer", metrics: dict[str, float]) -> None:
        """Compare with the best so far."""
        super().on_epoch_end(trainer, metrics)
        value = metric_named(trainer, self.monitor, metrics, type(self).__name__)
        if value is None:
            return
        better = self._progress.note(value, self.mode, self.min_delta)
        if self._cooling:
            self._cooling -= 1
            self._progress.waited = 0
        elif not better and self._progress.waited >= self.patience:
            self._reduced = max(self._reduced * self.factor, self.minimum)
            self._progress.waited, self._cooling = 0, self.cooldown

    def _share(self, trainer: "Trainer") -> float:
        return self._reduced

    def state_dict(self) -> dict[str, Any]:
        """The base, the share of it, the best value, and for how long there was none better."""
        progress = self._progress.state_dict()
        return super().state_dict() | progress | {"reduced": self._reduced, "cooling": self._cooling}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from there."""
        check_keys(type(self).__name__, self.state_dict(), state)
        self._bases, self._reduced, self._cooling = dict(state["bases"]), state["reduced"], state["cooling"]
        self._progress = Progress(state["best"], state["waited"])
