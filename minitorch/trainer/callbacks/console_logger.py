"""`ConsoleLogger`: a table that grows by a row for each epoch."""

import sys
from typing import TYPE_CHECKING

import attrs

from minitorch.trainer.callback import Callback, Phase
from minitorch.trainer.callbacks.checkpoint import Checkpoint

if TYPE_CHECKING:
    from minitorch.trainer.state import FitResult
    from minitorch.trainer.trainer import Trainer


@attrs.define(eq=False)
class ConsoleLogger(Callback):
    """Writes the metrics and timings of each epoch to stdout as a row of a table, and at the end how the run ended.

        Trainer(model, optimizer, loss=loss, callbacks=[EpochTimer(), ConsoleLogger()])

        epoch      loss   seconds
            1    1.9008    1.8114

        completed: 1 epoch done (step 600, 1.8 s, callbacks 0.4%)

    Where the columns change, there is a new header. What each callback took is in `print(result.bill)`.
    """

    phase = Phase.LOG
    last_in = ("on_fit_end",)  # the share of the callbacks counts what the others do at the end

    _columns: list[str] = attrs.field(factory=list, init=False, repr=False)

    def on_fit_start(self, trainer: "Trainer") -> None:
        """Begin a new table; say where a resumed run goes on, and from which file, or that there is none."""
        self._columns = []
        if not trainer.state.is_new:
            source = f" from {trainer.checkpoint}" if trainer.resuming and trainer.checkpoint is not None else ""
            self._write(f"resumed after epoch {trainer.state.epoch}, batch {trainer.state.batch}{source}")
        elif trainer.resuming:
            folders = [str(callback.folder) for callback in trainer.callbacks if isinstance(callback, Checkpoint)]
            self._write(f"nothing to resume in {', '.join(folders)}: the run begins")

    def on_epoch_end(self, trainer: "Trainer", metrics: dict[str, float]) -> None:
        """Write a row, below a new header where the columns have changed."""
        values = metrics | trainer.timings
        if self._columns != list(values):
            self._columns = list(values)
            self._write("  ".join(["epoch", *[f"{name:>{_width(name)}}" for name in self._columns]]))
        cells = [f"{_number(values[name]):>{_width(name)}}" for name in self._columns]
        self._write("  ".join([f"{trainer.state.epoch:>5}", *cells]))

    def on_fit_end(self, trainer: "Trainer", result: "FitResult") -> None:
        """Write how the run ended, and the metrics so far where no epoch was finished."""
        if not result.history and result.metrics:
            self._write("  ".join(f"{name} {_number(value)}" for name, value in result.metrics.items()))
        passed = f"step {result.state.step}, {result.state.elapsed:.1f} s, callbacks {trainer.bill.share():.1%}"
        self._write(f"{result.status}: {result.reason} ({passed})")
        if result.checkpoint is not None:
            self._write(f"checkpoint: {result.checkpoint}")

    @staticmethod
    def _write(line: str) -> None:
        sys.stdout.write(line + "\n")
        sys.stdout.flush()


def _width(name: str) -> int:
    return max(len(name), 8)


def _number(value: float) -> str:
    """With four places, fewer from a thousand on; or, where these show little, as of a rate, with its power of ten."""
    if abs(value) >= 1000:
        return f"{value:.1f}"
    return f"{value:.4f}" if value == 0 or abs(value) >= 1e-3 else f"{value:.1e}"
