"""The folders of a run: where a new one goes, who may use it, and the record that is kept in it."""

import atexit
import contextlib
import os
import re
from collections.abc import Sequence
from os import PathLike
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING

from minitorch.errors import CheckpointError, ConfigError
from minitorch.serialize import FolderLock, describe
from minitorch.serialize.lock import NAME as LOCK
from minitorch.trainer.callback import Callback
from minitorch.trainer.callbacks.checkpoint import Checkpoint, restore
from minitorch.trainer.callbacks.run_files import RunFiles
from minitorch.trainer.run_record import NAME, RunRecord, read_or_none, resumed
from minitorch.warning import warn

if TYPE_CHECKING:
    from minitorch.trainer.trainer import Trainer

_SHOWN = 3


def run_folder(parent: str | PathLike[str], resume: str | PathLike[str] | None = None) -> Path:
    """The folder for one of many runs below `parent`: 001, 002, ...; each run gets a new one.

        folder = run_folder("runs/mnist", args.resume)
        trainer = Trainer(model, optimizer, loss=loss, callbacks=[JSONLLogger(folder), Checkpoint(folder)])
        trainer.fit(train_loader, epochs=5, resume=args.resume)

    A folder in which nothing was trained, since the program or the first step of the run failed, is removed at the next
    call, or when the program ends.

    Args:
        parent: the folder of the runs; made where it is missing.
        resume: what `fit` will be asked to resume. "auto": the newest folder with a checkpoint is returned, or the
            newest where none has one, if there is any; a path of a checkpoint: the folder that it is in.

    Raises:
        CheckpointError: the checkpoint to resume is missing or damaged, or the folder cannot be made.
    """
    if resume is not None and resume != "auto":
        describe(resume)
        return Path(resume).parent.parent
    numbers = _numbers(Path(parent))
    if numbers and _is_over_here(numbers[max(numbers)]):
        _remove_unused(numbers[max(numbers)])
        numbers = _numbers(Path(parent))
    if resume == "auto" and numbers:
        saved = [number for number, folder in numbers.items() if Checkpoint(folder).files()]
        return numbers[max(saved or numbers)]
    while True:
        folder = Path(parent) / f"{max(_numbers(Path(parent)), default=0) + 1:03d}"
        try:
            folder.mkdir(parents=True)
        except FileExistsError:  # another process was faster
            continue
        except OSError as error:
            raise CheckpointError(
                f"{folder} cannot be made ({error.strerror or error}); choose another folder for the runs"
            ) from error
        atexit.register(_remove_unused, folder.resolve())
        return folder


def _is_over_here(folder: Path) -> bool:
    """Whether the run in `folder` was one of this process, and is over."""
    record = read_or_none(folder)
    last = record.sessions[-1] if record is not None else None
    return last is not None and last.process == os.getpid() and last.ended is not None


def _remove_unused(folder: Path) -> None:
    """Remove `folder` if there is nothing in it but the record, and empty files, of a run that has trained nothing."""
    record = read_or_none(folder)
    with contextlib.suppress(OSError):  # it is not empty, or gone
        if record is not None and not record.has_trained:
            files = {folder / NAME, folder / LOCK, *record.empty_files(folder)}
            if files >= set(folder.iterdir()):
                for path in files:
                    path.unlink()
        folder.rmdir()


def _numbers(parent: Path) -> dict[int, Path]:
    """The folders of runs in `parent` by their numbers."""
    found = parent.iterdir() if parent.is_dir() else ()
    return {int(path.name): path for path in found if re.fullmatch(r"\d{3,9}", path.name) and path.is_dir()}


class RunFolders:
    """Holds the folders that the callbacks of a Trainer write to, for one `fit`.

    Args:
        trainer: what runs.
        callbacks: those of its callbacks that run.

    Raises:
        InUseError: another run is using one of them.
    """

    def __init__(self, trainer: "Trainer", callbacks: Sequence[Callback]) -> None:
        self.trainer = trainer
        self.callbacks = callbacks
        self.writers: dict[Path, list[RunFiles]] = {}
        for callback in callbacks:
            if isinstance(callback, RunFiles):
                self.writers.setdefault(callback.folder.resolve(), []).append(callback)
        self._locks: list[FolderLock] = []
        self._records: dict[Path, RunRecord] = {}

    def __enter__(self) -> "RunFolders":
        try:
            for folder in self.writers:
                self._locks.append(FolderLock(folder))
        except BaseException:
            self._release()
            raise
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        try:
            for folder, record in self._records.items():
                record.sessions[-1].end(self.trainer, error)
                record.write(folder)
        except CheckpointError as second:  # the disk is full or fails; the result, or the first error, says more
            if error is None:
                warn(str(second))
            else:
                error.add_note(str(second))
        finally:
            self._release()

    def begin(self, resume: str | PathLike[str] | None) -> None:
        """Restore what is to be resumed, and see that no earlier run is overwritten by accident.

        Raises:
            ConfigError: a folder has files of an earlier run, and this one neither goes on with it nor may overwrite
                it; or `resume` is neither a path nor "auto".
            CheckpointError: the file to resume, or every one, is damaged; or a folder cannot be written to.
            StateError: it is of another model, optimizer, loader or list of callbacks.
        """
        if resume is not None:
            restore(self.trainer, resume)
        goes_on = self._goes_on()
        if not goes_on:
            for folder, writers in self.writers.items():
                self._make_room(folder, writers)
        for folder in self.writers:
            record = resumed(self.trainer, folder) if goes_on else RunRecord.begin(self.trainer)
            record.write(folder)
            self._records[folder] = record

    def _goes_on(self) -> bool:
        """Whether the run goes on with what is in its folders."""
        savers = self._savers()
        if not any(saver.files() for saver in savers):
            return not self.trainer.state.is_new
        newest = self.trainer.checkpoint
        return newest is not None and newest.resolve().parent.parent in [saver.folder.resolve() for saver in savers]

    def _make_room(self, folder: Path, writers: Sequence[RunFiles]) -> None:
        """Delete the files of an earlier run in `folder`, or raise."""
        # a run that left no checkpoint can only be resumed by beginning again in its place
        may_all = self.trainer.resuming and not any(saver.files() for saver in self._savers())
        kept = {writer: files for writer in writers if (files := writer.files())}
        refused = [type(writer).__name__ for writer in kept if not (writer.overwrite or may_all)]
        if refused:
            names = [str(path.resolve().relative_to(folder)) for files in kept.values() for path in files[::-1]]
            more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
            raise ConfigError(
                f"{', '.join(refused)}: {writers[0].folder} has files of an earlier run: "
                f'{", ".join(names[:_SHOWN])}{more}; pass resume="auto" to fit to go on with it, choose another '
                "folder, or pass overwrite=True"
            )
        self._check_record(folder, writers, may_all)
        for writer in kept:
            writer.clear()

    def _check_record(self, folder: Path, writers: Sequence[RunFiles], may_all: bool) -> None:
        """Raise if `folder` has an earlier run of other callbacks, whose files would be taken for those of this one."""
        record = read_or_none(folder)
        if record is None:
            return
        own = {path.resolve() for writer in writers for path in writer.files()}
        others = [path for path in record.files(folder) if path.resolve() not in own]
        if others:
            names = ", ".join(str(path.relative_to(folder)) for path in others[-1 : -_SHOWN - 1 : -1])
            more = f" and {len(others) - _SHOWN} more" if len(others) > _SHOWN else ""
            raise ConfigError(
                f"{writers[0].folder} has files of an earlier run, of callbacks that this one has not: {names}{more}; "
                "choose another folder, or delete them"
            )
        if record.has_trained and not (may_all or any(writer.overwrite for writer in writers)):
            raise ConfigError(
                f"{', '.join(type(writer).__name__ for writer in writers)}: {writers[0].folder} has the record of an "
                "earlier run, run.json; choose another folder, pass overwrite=True, or delete it"
            )

    def _savers(self) -> list[Checkpoint]:
        return [callback for callback in self.callbacks if isinstance(callback, Checkpoint)]

    def _release(self) -> None:
        while self._locks:
            self._locks.pop().release()
