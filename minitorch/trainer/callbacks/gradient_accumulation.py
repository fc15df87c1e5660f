"""`GradientAccumulation`: one update for several batches."""

from typing import TYPE_CHECKING

import attrs

from minitorch.trainer.callback import Callback, Phase
from minitorch.trainer.settings import at_least

if TYPE_CHECKING:
    from minitorch.trainer.state import FitResult
    from minitorch.trainer.trainer import Trainer


@attrs.define(eq=False)
class GradientAccumulation(Callback):
    """Makes one update of so many batches, for a batch that does not fit into memory at once.

        Trainer(model, optimizer, loss=loss, callbacks=[GradientAccumulation(batches=4), EpochTimer()])

    The gradient is that of the mean loss over all samples of the update, as of one batch with the same samples, also
    at the end of an epoch, where fewer batches are left or the last one is short. That holds for losses that are means
    over samples; batch norm sees each batch by itself. `trainer.state.step` counts updates, and so do
    `Every(steps=...)` and `fit(steps=...)`; `on_after_backward` runs when an update is due. A run can be resumed
    between the batches of an update.

    Args:
        batches: how many make an update.

    Raises:
        ConfigError: it is not a positive int.
    """

    phase = Phase.CONTROL

    batches: int = attrs.field(validator=at_least(1, int))

    def on_fit_start(self, trainer: "Trainer") -> None:
        """Tell the loop."""
        trainer.accumulation.batches = self.batches

    def on_exception(self, trainer: "Trainer", error: BaseException) -> None:
        """Take it back."""
        trainer.accumulation.batches = 1

    def on_fit_end(self, trainer: "Trainer", result: "FitResult") -> None:
        """Take it back."""
        trainer.accumulation.batches = 1
