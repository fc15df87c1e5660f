"""`CSVLogger`: the metrics of a run as two tables that any spreadsheet opens."""

import csv
import io
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

import attrs

from minitorch.errors import CheckpointError
from minitorch.serialize import check_keys
from minitorch.trainer.callback import Phase
from minitorch.trainer.callbacks.append_file import AppendFile
from minitorch.trainer.callbacks.run_files import RunFiles

if TYPE_CHECKING:
    from minitorch.trainer.state import FitResult, StepOutputs
    from minitorch.trainer.trainer import Trainer


@attrs.define(eq=False)
class CSVLogger(RunFiles):
    """Appends a row for each epoch to `epochs.csv` and one for each log interval to `steps.csv` in a folder.

        Trainer(model, optimizer, loss=loss, callbacks=[CSVLogger("runs/mnist")])
        ...
        pandas.read_csv("runs/mnist/epochs.csv").plot(x="epoch", y=["loss", "val_loss"])

    A metric that appears later gets a new column, empty in the rows before it. There is no time in the files, so that
    those of a run that was killed and resumed equal, byte for byte, those of one that was not: a resumed run first cuts
    off what lies beyond its checkpoint. NaN and infinity are written as `nan` and `inf`.

    Args:
        folder: the folder of the run; made where it is missing.
        overwrite: whether a new run may replace the files of an earlier one.

    Raises:
        ConfigError: the files exist, and the run neither resumes them nor may overwrite them.
        CheckpointError: they hold less than the resumed run had written.
    """

    phase = Phase.LOG
    needs_host = ()
    at_log_interval = True
    patterns = ("epochs.csv", "steps.csv")

    _tables: "dict[str, _Table]" = attrs.field(init=False, repr=False)

    def __attrs_post_init__(self) -> None:
        self._tables = {
            name: _Table(AppendFile("CSVLogger", self.folder / f"{name}.csv")) for name in ("epochs", "steps")
        }

    def on_fit_start(self, trainer: "Trainer") -> None:
        """Open the files, cut to what the resumed run had written."""
        for table in self._tables.values():
            table.open(trainer)

    def on_batch_end(self, trainer: "Trainer", outputs: "StepOutputs") -> None:
        """Write the means of the log interval that this step ends."""
        if outputs.metrics is not None:
            self._tables["steps"].add({"step": trainer.state.step, "epoch": trainer.state.epoch, **outputs.metrics})

    def on_epoch_end(self, trainer: "Trainer", metrics: dict[str, float]) -> None:
        """Write the metrics of the epoch."""
        self._tables["epochs"].add({"step": trainer.state.step, "epoch": trainer.state.epoch, **metrics})

    def on_exception(self, trainer: "Trainer", error: BaseException) -> None:
        """Close the files."""
        self._close()

    def on_fit_end(self, trainer: "Trainer", result: "FitResult") -> None:
        """Close the files."""
        self._close()

    def state_dict(self) -> dict[str, Any]:
        """The columns and the number of rows of both tables, all of them on disk."""
        for table in self._tables.values():
            table.file.sync()
        return {name: {"columns": list(t.columns), "rows": t.rows} for name, t in self._tables.items()}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Cut the files to these rows, when the run begins."""
        check_keys("CSVLogger", self._tables, state)
        for name, table in self._tables.items():
            check_keys(f"CSVLogger {name}", ("columns", "rows"), state[name])
            table.columns, table.rows = list(state[name]["columns"]), state[name]["rows"]

    def _close(self) -> None:
        for table in self._tables.values():
            table.file.close()


@attrs.define(eq=False)
class _Table:
    """One CSV file: a header, and rows that may bring new columns."""

    file: AppendFile
    columns: list[str] = attrs.field(factory=list)
    rows: int = 0

    def open(self, trainer: "Trainer") -> None:
        """Begin the table, or cut it to the rows and columns of a resumed run."""
        if trainer.state.is_new:
            self.columns, self.rows = [], 0
        else:
            self._cut()
        self.file.open(trainer)

    def add(self, row: Mapping[str, float]) -> None:
        """Append `row`; where it has unseen columns, give them to the rows before it too."""
        unseen = [name for name in row if name not in self.columns]
        if unseen:
            before = self._read()[1:]
            self.columns += unseen
            self.file.replace(_lines([self.columns, *[cells + [""] * len(unseen) for cells in before]]))
        self.file.write(_lines([[row.get(name, "") for name in self.columns]]))
        self.rows += 1

    def _cut(self) -> None:
        lines = self._read()
        header, found = (lines[0], len(lines) - 1) if lines else ([], 0)
        if header[: len(self.columns)] != self.columns or found < self.rows:
            raise CheckpointError(
                f"CSVLogger: {self.file.path} has {found} rows of {', '.join(header) or 'nothing'}, "
                f"and the resumed run had written {self.rows} of {', '.join(self.columns)}; put the file back, or "
                "start a new run in another folder"
            )
        content = _lines([cells[: len(self.columns)] for cells in lines[: self.rows + 1]] if self.columns else [])
        if lines:
            self.file.replace(content)

    def _read(self) -> list[list[str]]:
        """The cells of all lines, the header among them."""
        content = self.file.path.read_bytes() if self.file.path.exists() else b""
        return list(csv.reader(io.StringIO(content.decode("utf-8"), newline="")))


def _lines(rows: Iterable[Iterable[Any]]) -> bytes:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(rows)
    return text.getvalue().encode("utf-8")
