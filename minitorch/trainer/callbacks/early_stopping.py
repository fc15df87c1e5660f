"""`EarlyStopping`: an end when nothing gets better any more."""

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import attrs

from minitorch.serialize import check_keys
from minitorch.trainer.callback import Callback, Phase
from minitorch.trainer.callbacks.ema import as_validated
from minitorch.trainer.callbacks.monitored import Mode, Monitoring, Progress, metric_named, unnamed_mode
from minitorch.trainer.settings import at_least, one_of

if TYPE_CHECKING:
    from minitorch.trainer.state import FitResult
    from minitorch.trainer.trainer import Trainer

Array = Any


@attrs.define(eq=False)
class EarlyStopping(Callback, Monitoring):
    """Stops the run when a metric has not become better for some epochs.

        Trainer(model, optimizer, loss=loss, callbacks=[EarlyStopping("val_accuracy", patience=5, mode="max")])

    Args:
        monitor: the name of the metric, as `on_epoch_end` gets it. Epochs without a validation are not looked at where
            it is one of validation.
        patience: after how many epochs in a row without improvement the run ends. A run that is resumed after that
            trains no further, as it would not have done without the interruption.
        min_delta: what counts as better must be better by more than this.
        mode: whether a better metric is smaller ("min", unless given) or larger ("max").
        restore_best: whether the model has the weights of its best epoch when the run has ended, however that came.
            They are kept on its device, and in checkpoints. Where `EMA` validates with averages, those are the weights.
        check_finite: whether the run ends at once when the metric is NaN or infinite.
        start: how many epochs at the beginning are not looked at.

    Raises:
        ConfigError: a setting is not allowed; or no metric has the name, which `fit` says before the first step where
            it can be known.
    """

    phase = Phase.CONTROL

    monitor: str = "val_loss"
    patience: int = attrs.field(default=3, validator=at_least(1, int))
    min_delta: float = attrs.field(default=0.0, validator=at_least(0, float))
    mode: Mode = attrs.field(default=attrs.Factory(unnamed_mode, takes_self=True), validator=one_of("min", "max"))
    restore_best: bool = attrs.field(default=False, kw_only=True)
    check_finite: bool = attrs.field(default=True, kw_only=True)
    start: int = attrs.field(default=0, kw_only=True, validator=at_least(0, int))
    progress: Progress = attrs.field(factory=Progress, init=False, repr=False)
    _weights: dict[str, Array] = attrs.field(factory=dict, init=False, repr=False)

    def on_fit_start(self, trainer: "Trainer") -> None:
        """Forget an earlier run, where this one is new; end at once one that has waited long enough already."""
        if trainer.state.is_new:
            self.progress, self._weights = Progress(), {}
        self._stop_if_due(trainer)

    def on_epoch_end(self, trainer: "Trainer", metrics: dict[str, float]) -> None:
        """Compare with the best so far."""
        value = metric_named(trainer, self.monitor, metrics, "EarlyStopping")
        if value is None or trainer.state.epoch <= self.start:
            return
        if self.check_finite and not math.isfinite(value):
            trainer.request_stop(f"{self.monitor} is {value} in epoch {trainer.state.epoch} (EarlyStopping)")
            return
        if self.progress.note(value, self.mode, self.min_delta):
            self._keep(trainer)
        self._stop_if_due(trainer)

    def _stop_if_due(self, trainer: "Trainer") -> None:
        if self.progress.waited >= self.patience:
            trainer.request_stop(
                f"{self.monitor} has not been better than {self.progress.best:.6g} for {self.progress.waited} epoch(s) "
                "(EarlyStopping)"
            )

    def on_fit_end(self, trainer: "Trainer", result: "FitResult") -> None:
        """Give the model its best weights, if asked to."""
        params = dict(trainer.model.named_params())
        for path, best in self._weights.items():
            params[path].assign(best)

    def _keep(self, trainer: "Trainer") -> None:
        if self.restore_best:
            with as_validated(trainer):
                self._weights = {path: array.copy() for path, array in trainer.model.weights().items()}

    def state_dict(self) -> dict[str, Any]:
        """The best value, for how long there was none better, and the best weights if they are to be restored."""
        kept = {"weights": dict(self._weights)} if self.restore_best else {}
        return self.progress.state_dict() | kept

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on waiting."""
        check_keys("EarlyStopping", self.state_dict(), state)
        self.progress = Progress(state["best"], state["waited"])
        self._weights = {path: array.copy() for path, array in state.get("weights", {}).items()}
