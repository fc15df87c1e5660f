"""`JSONLLogger`: the metrics of a run as a file of JSON lines."""

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import attrs

from minitorch.serialize import check_keys
from minitorch.trainer.callback import Phase
from minitorch.trainer.callbacks.append_file import AppendFile
from minitorch.trainer.callbacks.run_files import RunFiles

if TYPE_CHECKING:
    from minitorch.trainer.state import FitResult, StepOutputs
    from minitorch.trainer.trainer import Trainer


@attrs.define(eq=False)
class JSONLLogger(RunFiles):
    """Appends one line for each log interval and each epoch to `metrics.jsonl` in a folder.

        Trainer(model, optimizer, loss=loss, callbacks=[JSONLLogger("runs/mnist")])
        ...
        rows = [json.loads(line) for line in open("runs/mnist/metrics.jsonl")]

    There is no time in it, so that the file of a run that was killed and resumed equals, byte for byte, that of one
    that was not: a resumed run first cuts off what lies beyond its checkpoint. NaN and infinity are written as by
    Python's json.

    Args:
        folder: the folder of the run; made where it is missing.
        overwrite: whether a new run may replace the file of an earlier one.

    Raises:
        ConfigError: the file exists, and the run neither resumes it nor may overwrite it.
        CheckpointError: it holds less than the resumed run had written.
    """

    phase = Phase.LOG
    needs_host = ()
    at_log_interval = True
    patterns = ("metrics.jsonl",)

    _file: AppendFile = attrs.field(init=False, repr=False)

    def __attrs_post_init__(self) -> None:
        self._file = AppendFile("JSONLLogger", self.folder / "metrics.jsonl")

    def on_fit_start(self, trainer: "Trainer") -> None:
        """Open the file, cut to what the resumed run had written."""
        self._file.open(trainer)

    def on_batch_end(self, trainer: "Trainer", outputs: "StepOutputs") -> None:
        """Write the means of the log interval that this step ends."""
        if outputs.metrics is not None:
            self._write({"step": trainer.state.step, "epoch": trainer.state.epoch, **outputs.metrics})

    def on_epoch_end(self, trainer: "Trainer", metrics: dict[str, float]) -> None:
        """Write the metrics of the epoch."""
        self._write({"event": "epoch", "step": trainer.state.step, "epoch": trainer.state.epoch, **metrics})

    def on_exception(self, trainer: "Trainer", error: BaseException) -> None:
        """Close the file."""
        self._file.close()

    def on_fit_end(self, trainer: "Trainer", result: "FitResult") -> None:
        """Close the file."""
        self._file.close()

    def state_dict(self) -> dict[str, Any]:
        """How many bytes are written, all of them on disk."""
        self._file.sync()
        return {"written": self._file.written}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Cut the file to what was written, when the run begins."""
        check_keys("JSONLLogger", ("written",), state)
        self._file.written = state["written"]

    def _write(self, row: dict[str, Any]) -> None:
        self._file.write(json.dumps(row).encode() + b"\n")
