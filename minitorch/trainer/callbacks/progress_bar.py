"""`ProgressBar`: how far the epoch is, where somebody can watch."""

import sys
from typing import TYPE_CHECKING, Any

import attrs

from minitorch.trainer.callback import Callback, Phase

if TYPE_CHECKING:
    from minitorch.trainer.state import FitResult, StepOutputs
    from minitorch.trainer.trainer import Trainer

SECONDS = 0.1  # between two drawings


@attrs.define(eq=False)
class ProgressBar(Callback):
    """A tqdm bar for each epoch on a terminal or in a notebook, redrawn at most ten times a second; else nothing.

        Trainer(model, optimizer, loss=loss, callbacks=[ProgressBar(), ConsoleLogger()])

    The means that it shows are those of the last log interval: none is computed for it.
    """

    phase = Phase.LOG
    needs_host = ()

    _bar: Any = attrs.field(default=None, init=False, repr=False)
    _moved: int = attrs.field(default=0, init=False, repr=False)  # batches that the bar does not show yet
    _drawn: float = attrs.field(default=0.0, init=False, repr=False)  # when, in seconds of the run

    def on_epoch_start(self, trainer: "Trainer") -> None:
        """Draw an empty bar, or where a resumed epoch stands."""
        if not (sys.stderr.isatty() or "ipykernel" in sys.modules):
            return
        from tqdm.auto import tqdm  # here, since most programs that import minitorch draw no bar

        self._bar = tqdm(
            total=trainer.batches_per_epoch,
            initial=trainer.state.batch,
            desc=f"epoch {trainer.state.epoch + 1}",
            unit="batch",
            mininterval=0,  # it is asked no oftener than it may draw
            leave=False,
        )
        self._moved, self._drawn = 0, trainer.state.elapsed

    def on_batch_end(self, trainer: "Trainer", outputs: "StepOutputs") -> None:
        """Move on, and show the newest means where they were computed anyway."""
        if self._bar is None:
            return
        self._moved += 1
        if outputs.metrics:
            self._bar.set_postfix({k: f"{v:.4g}" for k, v in outputs.metrics.items()}, refresh=False)
        if trainer.state.elapsed - self._drawn >= SECONDS:
            self._bar.update(self._moved)
            self._moved, self._drawn = 0, trainer.state.elapsed

    def on_epoch_end(self, trainer: "Trainer", metrics: dict[str, float]) -> None:
        """Take the bar away."""
        self._close()

    def on_exception(self, trainer: "Trainer", error: BaseException) -> None:
        """Take the bar away."""
        self._close()

    def on_fit_end(self, trainer: "Trainer", result: "FitResult") -> None:
        """Take the bar away."""
        self._close()

    def _close(self) -> None:
        if self._bar is not None:
            self._bar.update(self._moved)
            self._bar.close()
            self._bar = None
