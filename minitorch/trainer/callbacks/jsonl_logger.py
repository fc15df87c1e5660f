"""`JSONLLogger`: the metrics of a run as a file of JSON lines."""

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import attrs

from minitorch.errors import CheckpointError, ConfigError
from minitorch.trainer.callback import Callback, Phase

if TYPE_CHECKING:
    from minitorch.trainer.state import FitResult, StepOutputs
    from minitorch.trainer.trainer import Trainer


@attrs.define(eq=False)
class JSONLLogger(Callback):
    """Appends one line for each log interval and each epoch to `metrics.jsonl` in a folder.

    There is no time in it, so that the file of a run that was killed and resumed equals, byte for byte, that of one
    that was not: a resumed run first cuts off what lies beyond its checkpoint. NaN and infinity are written as by
    Python's json.

    Args:
        folder: the folder of the run; made where it is missing.
        overwrite: whether a new run may replace the file of an earlier one.

    Raises:
        ConfigError: the file exists, and the run neither resumes it nor may overwrite it.
    """

    phase = Phase.LOG

    folder: Path = attrs.field(converter=Path)
    overwrite: bool = False
    _file: IO[bytes] | None = attrs.field(default=None, init=False, repr=False)
    _written: int = attrs.field(default=0, init=False, repr=False)

    @property
    def path(self) -> Path:
        """The file."""
        return self.folder / "metrics.jsonl"

    def on_fit_start(self, trainer: "Trainer") -> None:
        """Open the file, cut to what the resumed run had written."""
        size = self.path.stat().st_size if self.path.exists() else 0
        if trainer.state.step == 0 and size and not self.overwrite:
            raise ConfigError(
                f"JSONLLogger: {self.path} is of an earlier run; resume that run, choose another folder, or pass "
                "overwrite=True"
            )
        if size < self._written:
            raise CheckpointError(
                f"JSONLLogger: {self.path} has {size} bytes, and the resumed run had written {self._written}; put the "
                "file back, or start a new run in another folder"
            )
        self.folder.mkdir(parents=True, exist_ok=True)
        self._file = self.path.open("ab")
        self._file.truncate(self._written)

    def on_batch_end(self, trainer: "Trainer", outputs: "StepOutputs") -> None:
        """Write the means of a log interval where this step ends one."""
        if outputs.metrics is not None:
            self._write({"step": trainer.state.step, "epoch": trainer.state.epoch, **outputs.metrics})

    def on_epoch_end(self, trainer: "Trainer", metrics: dict[str, float]) -> None:
        """Write the metrics of the epoch."""
        self._write({"event": "epoch", "step": trainer.state.step, "epoch": trainer.state.epoch, **metrics})

    def on_exception(self, trainer: "Trainer", error: BaseException) -> None:
        """Close the file."""
        self._close()

    def on_fit_end(self, trainer: "Trainer", result: "FitResult") -> None:
        """Close the file."""
        self._close()

    def state_dict(self) -> dict[str, Any]:
        """How many bytes are written, all of them on disk."""
        if self._file is not None:
            self._file.flush()
            os.fsync(self._file.fileno())
        return {"written": self._written}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Cut the file to what was written, when the run begins."""
        self._written = state["written"]

    def _write(self, row: dict[str, Any]) -> None:
        assert self._file is not None
        line = json.dumps(row).encode() + b"\n"
        self._file.write(line)
        self._file.flush()
        self._written += len(line)

    def _close(self) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None
