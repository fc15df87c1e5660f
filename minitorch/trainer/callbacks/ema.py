"""`EMA`: an exponential moving average of the weights."""

from collections.abc import Sequence
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

import attrs

from minitorch.cuda import StepNumber
from minitorch.errors import ConfigError
from minitorch.trainer.callbacks.averaging import Averaging

if TYPE_CHECKING:
    from minitorch.trainer.state import FitResult, StepOutputs
    from minitorch.trainer.trainer import Trainer


def _check_decay(owner: Any, attribute: Any, value: Any) -> None:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < 1:
        raise ConfigError(f"EMA: decay is {value!r}; it must be at least 0 and less than 1")


@attrs.define(eq=False)
class EMA(Averaging):
    """Keeps an exponential moving average of the weights, `e = decay * e + (1 - decay) * p` after each update.

        trainer = Trainer(model, optimizer, loss=loss, callbacks=[ema := EMA(0.999), ConsoleLogger()])
        trainer.fit(train_loader, test_loader, epochs=5)
        with ema.averaged(model):
            y = trainer.predict(loader)

    Running averages of batch norm are averaged too. The averages are on the device of the model, as large as it, and
    part of checkpoints. Training itself is not changed.

    Source: Polyak, Juditsky, "Acceleration of Stochastic Approximation by Averaging", 1992; the warm-up is that of
    TensorFlow's ExponentialMovingAverage.

    Args:
        decay: the share of the average that stays.
        warm_up: whether the share begins small, as `(1 + n) / (10 + n)` after n updates, until it reaches `decay`.
        validate: whether validation during the run is done with the averages.
        at_end: whether the model has the averages when the run has ended. Its last checkpoint has its own weights
            still, so that it can be resumed; they are kept in memory too, and the next `fit` goes on from them.

    Raises:
        ConfigError: `decay` is not at least 0 and less than 1.
    """

    needs_host = ()

    decay: float = attrs.field(default=0.999, validator=_check_decay)
    warm_up: bool = True
    validate: bool = True
    at_end: bool = False
    _exchanged: bool = attrs.field(default=False, init=False, repr=False)
    _begun: bool = attrs.field(default=False, init=False, repr=False)

    def step_numbers(self) -> Sequence[StepNumber]:
        """The share of the averages that stays."""
        return (self._share,)

    def on_batch_start(self, trainer: "Trainer", batch: Any) -> Any:
        """Set the share for the update to come."""
        self._begun = bool(self.averages)
        n = self.count + 1
        self._share.now = min(self.decay, (1 + n) / (10 + n)) if self.warm_up else self.decay
        return batch

    def on_after_update(self, trainer: "Trainer") -> None:
        """Take the new weights into the averages."""
        self._take(trainer.model)

    def on_batch_end(self, trainer: "Trainer", outputs: "StepOutputs") -> None:
        """Count the update, if there was one; the first of all made the averages."""
        self.count += self._begun and not trainer.state.waiting

    def on_validation_start(self, trainer: "Trainer") -> None:
        """Give the model the averages."""
        if self.validate:
            self._exchange(trainer.model)
            self._exchanged = True

    def on_validation_end(self, trainer: "Trainer", metrics: dict[str, float]) -> None:
        """Give the model its own weights back."""
        self._give_back(trainer)

    def on_exception(self, trainer: "Trainer", error: BaseException) -> None:
        """Give the model its own weights back, where validation failed."""
        self._give_back(trainer)

    def on_fit_end(self, trainer: "Trainer", result: "FitResult") -> None:
        """Leave the averages in the model, if asked to."""
        if self.at_end:
            self._leave_in(trainer.model)

    def _give_back(self, trainer: "Trainer") -> None:
        if self._exchanged:
            self._exchange(trainer.model)
            self._exchanged = False


def as_validated(trainer: "Trainer") -> ExitStack:
    """A context in which the model has the weights that it is validated with."""
    stack = ExitStack()
    for callback in trainer.callbacks:
        if isinstance(callback, EMA) and callback.validate:
            stack.enter_context(callback.averaged(trainer.model))
    return stack
