"""`EpochTimer`: seconds for each epoch."""

import time
from typing import TYPE_CHECKING

import attrs

from minitorch.trainer.callback import Callback, Phase

if TYPE_CHECKING:
    from minitorch.trainer.trainer import Trainer


@attrs.define(eq=False)
class EpochTimer(Callback):
    """Measures the seconds of each epoch, validation included, as `trainer.timings["seconds"]`.

        Trainer(model, optimizer, loss=loss, callbacks=[EpochTimer(), ConsoleLogger()])

    A resumed epoch counts from where it was resumed.
    """

    phase = Phase.METRIC

    _start: float = attrs.field(default=0.0, init=False, repr=False)

    def on_epoch_start(self, trainer: "Trainer") -> None:
        """Start the clock."""
        self._start = time.perf_counter()

    def on_epoch_end(self, trainer: "Trainer", metrics: dict[str, float]) -> None:
        """Stop the clock."""
        trainer.timings["seconds"] = time.perf_counter() - self._start
