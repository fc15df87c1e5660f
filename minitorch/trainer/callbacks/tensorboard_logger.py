"""`TensorBoardLogger`: the metrics of a run as event files for TensorBoard."""

import re
import time
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import attrs

from minitorch.serialize import check_keys
from minitorch.trainer.callbacks.append_file import AppendFile
from minitorch.trainer.callbacks.dashboard_logger import DashboardLogger
from minitorch.trainer.callbacks.extra import extra_module
from minitorch.trainer.callbacks.run_files import RunFiles

if TYPE_CHECKING:
    from minitorch.trainer.trainer import Trainer


@attrs.define(eq=False)
class TensorBoardLogger(DashboardLogger, RunFiles):
    """Writes event files that `tensorboard --logdir` shows, with TensorBoard's own writer; TensorFlow is not needed.

        Trainer(model, optimizer, loss=loss, callbacks=[TensorBoardLogger("runs/mnist")])

    The curves are `step/...`, means over a log interval, and `epoch/...` and `timings/...`, one point for each epoch,
    at their optimizer update. A resumed run cuts off what lies beyond its checkpoint and goes on in a new
    file, which tells a TensorBoard that is watching to forget those points too.

    Args:
        folder: the folder of the run; made where it is missing.
        overwrite: whether a new run may empty the event files of an earlier one.

    Raises:
        MissingExtraError: the package `tensorboard` is not installed.
        ConfigError: there are event files, and the run neither resumes them nor may overwrite them.
        CheckpointError: the newest file has fewer bytes than the resumed run had written.
    """

    patterns = ("events.out.tfevents.*.minitorch",)

    _session: int = attrs.field(default=0, init=False, repr=False)
    _file: AppendFile = attrs.field(init=False, repr=False)
    _events: Any = attrs.field(init=False, repr=False)
    _records: Any = attrs.field(init=False, repr=False)

    def __attrs_post_init__(self) -> None:
        self._events = extra_module("tensorboard.compat.proto.event_pb2", "TensorBoardLogger", "tensorboard")
        self._records = extra_module("tensorboard.summary.writer.record_writer", "TensorBoardLogger", "tensorboard")
        self._file = AppendFile("TensorBoardLogger", self._path(0))

    def on_fit_start(self, trainer: "Trainer") -> None:
        """Cut the files to what the resumed run had written, and begin a new one."""
        files = self._files()
        if trainer.state.is_new:
            self._session = 0
        elif self._session:
            self._file.open(trainer)
            self._file.close()
        _empty(path for session, path in files.items() if session > self._session)
        self._session = max(files, default=0) + 1
        self._file = AppendFile("TensorBoardLogger", self._path(self._session))
        self._file.open(trainer)
        self._write(file_version="brain.Event:2")
        start = self._events.SessionLog(status=self._events.SessionLog.START)
        self._write(step=trainer.state.step + 1, session_log=start)  # readers drop what they have from this step on

    def clear(self) -> None:
        """Empty the event files of an earlier run."""
        _empty(self.files())

    def state_dict(self) -> dict[str, Any]:
        """The number of the file, and how many bytes are written, all of them on disk."""
        self._file.sync()
        return {"session": self._session, "written": self._file.written}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Cut the files to what was written, when the run begins."""
        check_keys("TensorBoardLogger", ("session", "written"), state)
        self._session = int(state["session"])
        self._file = AppendFile("TensorBoardLogger", self._path(self._session), state["written"])

    def _send(self, step: int, values: dict[str, float]) -> None:
        for tag, value in values.items():
            self._write(step=step, summary={"value": [{"tag": tag, "simple_value": value}]})

    def _end(self, status: str) -> None:
        self._file.close()

    def _write(self, **content: Any) -> None:
        event = self._events.Event(wall_time=time.time(), **content)
        self._records.RecordWriter(self._file).write(event.SerializeToString())

    def _path(self, session: int) -> Path:
        """File number `session`; TensorBoard reads them in the order of their names."""
        return self.folder / f"events.out.tfevents.{session:010d}.minitorch"

    def _files(self) -> dict[int, Path]:
        found = self.folder.glob("events.out.tfevents.*.minitorch")
        named = {path: re.fullmatch(r"events\.out\.tfevents\.(\d{10})\.minitorch", path.name) for path in found}
        return {int(match[1]): path for path, match in named.items() if match}


def _empty(files: Iterable[Path]) -> None:
    """Take out what is in `files`; a TensorBoard that is reading one that is deleted would look no further."""
    for path in files:
        path.write_bytes(b"")
