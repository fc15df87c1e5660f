"""`RunReport`: one HTML file that shows a run: curves, costs, configuration, machine, checkpoints, how it ended."""

from typing import TYPE_CHECKING

import attrs

from minitorch.serialize.atomic import replacing
from minitorch.trainer.callback import Phase
from minitorch.trainer.callbacks.run_files import RunFiles
from minitorch.trainer.triggers import Every, every_setting

if TYPE_CHECKING:
    from minitorch.trainer.state import FitResult
    from minitorch.trainer.trainer import Trainer


@attrs.define(eq=False)
class RunReport(RunFiles):
    """Writes `report.html` to a folder: one file that needs no network, for during the run and after.

        Trainer(model, optimizer, loss=loss, callbacks=[JSONLLogger("runs/mnist"), RunReport("runs/mnist")])

    It is made of the files in the folder: the curves of JSONLLogger there, else those of the newest Checkpoint, and
    `run.json`. So `python -m minitorch report runs/mnist` makes the same of any run. The file is replaced whole.

    Args:
        folder: the folder of the run; made where it is missing.
        every: when to write besides at the end of the run.
        overwrite: whether a new run may replace the report of an earlier one.
    """

    phase = Phase.CHECKPOINT
    patterns = ("report.html",)

    every: Every = attrs.field(default=Every(epochs=1), validator=every_setting)
    _written_at: float = attrs.field(default=0.0, init=False, repr=False)

    def on_fit_start(self, trainer: "Trainer") -> None:
        """Count the time from here."""
        self._written_at = trainer.state.elapsed

    def on_checkpoint(self, trainer: "Trainer") -> None:
        """Write, if it is time."""
        if not trainer.ending and self.every.due(trainer.state, self._written_at):
            self._written_at = trainer.state.elapsed
            self._write(trainer)

    def on_exception(self, trainer: "Trainer", error: BaseException) -> None:
        """Write how it failed."""
        self._write(trainer, error)

    def on_fit_end(self, trainer: "Trainer", result: "FitResult") -> None:
        """Write how it ended."""
        self._write(trainer)

    def _write(self, trainer: "Trainer", error: BaseException | None = None) -> None:
        from minitorch.trainer.report import report_page  # here, since most programs write none
        from minitorch.trainer.run_record import RunRecord

        record = RunRecord.read(self.folder)
        if record is None:  # the run failed before it began
            return
        if error is not None or trainer.ending:
            record.sessions[-1].end(trainer, error)
        else:
            record.sessions[-1].measure(trainer)
        content = report_page(self.folder, record).encode()
        with replacing(self.folder / self.patterns[0], len(content)) as file:
            file.write(content)
