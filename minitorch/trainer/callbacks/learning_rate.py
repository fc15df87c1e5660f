"""`LearningRate`: what the callbacks that set the learning rate share."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import attrs

from minitorch.errors import ConfigError
from minitorch.serialize import check_keys
from minitorch.trainer.callback import Callback, Phase

if TYPE_CHECKING:
    from minitorch.trainer.state import StepOutputs
    from minitorch.trainer.trainer import Trainer


@attrs.define(eq=False)
class LearningRate(Callback, ABC):
    """Sets the learning rate before each step: the one that the run began with, times a share.

    Groups of Parameters keep their share of the learning rate of the optimizer, so all move in proportion. The one of
    the last update is added to the metrics of log intervals and epochs, as `lr`.
    """

    phase = Phase.CONTROL

    _base: float | None = attrs.field(default=None, init=False, repr=False)

    @abstractmethod
    def _share(self, trainer: "Trainer") -> float:
        """The share of the base learning rate for the step that begins."""

    def on_fit_start(self, trainer: "Trainer") -> None:
        """Take the learning rate of the optimizer as the base, where the run is new."""
        name, optimizer = type(self).__name__, _optimizer(trainer)
        if "lr" not in optimizer.hyperparameters:
            raise ConfigError(
                f"{name}: {type(optimizer).__name__} has no hyperparameter lr to set; use another optimizer"
            )
        others = [type(c).__name__ for c in trainer.callbacks if isinstance(c, LearningRate) and c is not self]
        if others:
            raise ConfigError(
                f"{name}: {others[0]} sets the learning rate too; keep one of them: schedules are put one after the "
                "other by optimizers.schedules.Chained"
            )
        if self._base is None or trainer.state.is_new:
            self._base = optimizer.lr

    def on_batch_start(self, trainer: "Trainer", batch: Any) -> Any:
        """Set the learning rate for the step."""
        assert self._base is not None
        _optimizer(trainer).lr = self._base * self._share(trainer)
        return batch

    def on_batch_end(self, trainer: "Trainer", outputs: "StepOutputs") -> None:
        """Add the learning rate to the means of a log interval."""
        if outputs.metrics is not None:
            outputs.metrics["lr"] = _optimizer(trainer).lr

    def on_epoch_end(self, trainer: "Trainer", metrics: dict[str, float]) -> None:
        """Add the learning rate to the metrics of the epoch."""
        metrics["lr"] = _optimizer(trainer).lr

    def on_exception(self, trainer: "Trainer", error: BaseException) -> None:
        """Leave the optimizer as it was, where no step was finished."""
        if self._base is not None and trainer.state.is_new:
            _optimizer(trainer).lr = self._base

    def state_dict(self) -> dict[str, Any]:
        """The base."""
        return {"base": self._base}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from the same base."""
        check_keys(type(self).__name__, ("base",), state)
        self._base = state["base"]


def _optimizer(trainer: "Trainer") -> Any:
    """That of `trainer`, which is there while it trains."""
    return trainer.optimizer
