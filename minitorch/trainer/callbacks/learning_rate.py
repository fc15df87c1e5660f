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

    That of each optimizer, where there are several. Groups of Parameters keep their share of the learning rate of the
    optimizer, so all move in proportion. The one of the last update is added to the metrics of log intervals and
    epochs, as `lr`, or as `lr_NAME` for each of several.
    """

    phase = Phase.CONTROL
    needs_host = ()
    at_log_interval = True
    logs = ("lr",)

    _bases: dict[str, float] = attrs.field(factory=dict, init=False, repr=False)  # by the name of each optimizer

    @abstractmethod
    def _share(self, trainer: "Trainer") -> float:
        """The share of the base learning rate for the step that begins."""

    def on_fit_start(self, trainer: "Trainer") -> None:
        """Take the learning rate of the optimizer as the base, where the run is new."""
        name, optimizers = type(self).__name__, _with_lr(trainer)
        for optimizer in optimizers.values():
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
        if trainer.state.is_new:
            self._bases = {which: optimizer.lr for which, optimizer in optimizers.items()}

    def on_batch_start(self, trainer: "Trainer", batch: Any) -> Any:
        """Set the learning rate for the step."""
        share = self._share(trainer)
        for which, optimizer in _with_lr(trainer).items():
            optimizer.lr = self._bases[which] * share
        return batch

    def on_batch_end(self, trainer: "Trainer", outputs: "StepOutputs") -> None:
        """Add the learning rate to the means of the log interval that this step ends."""
        if outputs.metrics is not None:
            outputs.metrics.update(_rates(trainer))

    def on_epoch_end(self, trainer: "Trainer", metrics: dict[str, float]) -> None:
        """Add the learning rate to the metrics of the epoch."""
        metrics.update(_rates(trainer))

    def on_exception(self, trainer: "Trainer", error: BaseException) -> None:
        """Leave the optimizer as it was, where no step was finished."""
        if trainer.state.is_new:
            for which, base in self._bases.items():
                _with_lr(trainer)[which].lr = base

    def state_dict(self) -> dict[str, Any]:
        """The base of each optimizer."""
        return {"bases": dict(self._bases)}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from the same base."""
        check_keys(type(self).__name__, ("bases",), state)
        self._bases = dict(state["bases"])


def _with_lr(trainer: "Trainer") -> Mapping[str, Any]:
    """The optimizers of `trainer` by name, "" for the only one."""
    return trainer.optimizers


def _rates(trainer: "Trainer") -> dict[str, float]:
    return {f"lr_{which}" if which else "lr": optimizer.lr for which, optimizer in _with_lr(trainer).items()}
