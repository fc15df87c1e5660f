"""`Checkpoint`: the whole state of a run in files, so that it can be resumed exactly where it was."""

import math
import re
from collections.abc import Mapping, Sequence
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any

import attrs

from minitorch import random, serialize
from minitorch.errors import CheckpointError, ConfigError, StateError
from minitorch.trainer import optimizers, snapshot
from minitorch.trainer.background import BackgroundWrite
from minitorch.trainer.callback import Phase
from minitorch.trainer.callbacks.learning_rate import LearningRate
from minitorch.trainer.callbacks.monitored import Mode, Monitoring, no_metric, unnamed_mode, validated
from minitorch.trainer.callbacks.run_files import RunFiles
from minitorch.trainer.metrics import check_finite
from minitorch.trainer.nonfinite import check_weights
from minitorch.trainer.settings import at_least, one_of, optional
from minitorch.trainer.triggers import Every, every_setting
from minitorch.warning import warn

if TYPE_CHECKING:
    from minitorch.trainer.trainer import Trainer


@attrs.define(eq=False)
class Checkpoint(RunFiles, Monitoring):
    """Saves the whole state of the run at safe points, to `checkpoints/step-00000600.safetensors` in a folder.

        trainer = Trainer(model, optimizer, loss=loss, callbacks=[Checkpoint("runs/mnist", monitor="val_loss")])
        trainer.fit(train_loader, test_loader, epochs=5, resume="auto")
        best = trainer.callbacks[0].best_files()[0]

    It saves when `every` says so, when a step is among the best, and whenever the run ends, also after a first SIGINT
    or SIGTERM. A file is written whole or not at all; older ones are deleted only after that.

    Args:
        folder: the folder of the run; made where it is missing.
        every: when to save.
        keep: how many of the newest to keep; None: all.
        monitor: a metric, as `on_epoch_end` or `on_validation_end` gets it, by which steps are compared; None: none is.
        mode: whether a better metric is smaller ("min", unless given) or larger ("max").
        keep_best: how many of the best to keep besides the newest; of equal ones the earlier is the better.
        background: whether a thread writes the file, from a copy of the state, while training goes on. There is one
            such copy at a time. If the write fails, the next safe point raises the error.
        overwrite: whether a new run may delete the checkpoints of an earlier one in this folder.

    Raises:
        ConfigError: a setting is not allowed; no metric has the name `monitor`; or the folder has files of an earlier
            run, and this one neither resumes it nor may overwrite them.
        CheckpointError: a file could not be written; the older ones are intact.
    """

    phase = Phase.CHECKPOINT
    needs_host = ()
    patterns = ("checkpoints/step-*.safetensors",)

    every: Every = attrs.field(default=Every(epochs=1), validator=every_setting)
    keep: int | None = attrs.field(default=3, validator=optional(at_least(1, int)))
    monitor: str | None = None
    mode: Mode = attrs.field(default=attrs.Factory(unnamed_mode, takes_self=True), validator=one_of("min", "max"))
    keep_best: int = attrs.field(default=1, validator=at_least(1, int))
    background: bool = False
    _best: list[tuple[float, int]] = attrs.field(factory=list, init=False, repr=False)  # value and step, the best first
    _value: float = attrs.field(default=math.nan, init=False, repr=False)  # of the monitored metric at this step
    _seen: bool = attrs.field(default=False, init=False, repr=False)
    _saved_at: float = attrs.field(default=0.0, init=False, repr=False)
    _writing: BackgroundWrite | None = attrs.field(default=None, init=False, repr=False)

    def files(self) -> list[Path]:
        """The checkpoints in the folder, oldest first."""
        found = (self.folder / "checkpoints").glob("step-*.safetensors")
        return sorted([p for p in found if re.fullmatch(r"step-\d+", p.stem)], key=lambda p: int(p.stem[5:]))

    def best_files(self) -> list[Path]:
        """The checkpoints of the best steps by `monitor`, the best first."""
        return [path for _, step in self._best if (path := self._path(step)).exists()]

    def on_fit_start(self, trainer: "Trainer") -> None:
        """Count the time from here; forget an earlier run, where this one is new.

        Raises:
            StateError: the state of a callback has something that cannot be saved: now, not in the first checkpoint.
        """
        snapshot.callback_states(trainer.callbacks)
        self._saved_at, self._value, self._seen = trainer.state.elapsed, math.nan, False
        if trainer.state.is_new:
            self._best = []

    def on_validation_end(self, trainer: "Trainer", metrics: dict[str, float]) -> None:
        """Note the metric."""
        self._note(metrics)

    def on_epoch_end(self, trainer: "Trainer", metrics: dict[str, float]) -> None:
        """Note the metric."""
        self._note(metrics)
        if self.monitor is not None and not self._seen and validated(trainer, self.monitor, metrics):
            raise no_metric(self.monitor, metrics, "Checkpoint")

    def on_checkpoint(self, trainer: "Trainer") -> None:
        """Save if it is time, if this step is among the best, or if the run ends here.

        Raises:
            NonFiniteError: the loss or a weight became NaN or infinite; what it led to is not saved.
            CheckpointError: the file, or the one before it in the background, could not be written.
        """
        if self._writing is not None:
            self._settle(trainer, wait=False)
        among_best = not math.isnan(self._value) and self._rank(trainer.state.step)
        if not (among_best or trainer.ending or self.every.due(trainer.state, self._saved_at)):
            return
        check_finite(trainer.means.so_far(), trainer)
        check_weights(trainer)
        self._saved_at = trainer.state.elapsed
        path = self._path(trainer.state.step)
        if self.background:
            self._settle(trainer, wait=True)
            self._writing = BackgroundWrite(path, *snapshot.content(trainer))
            if trainer.ending:
                self._settle(trainer, wait=True)
        else:
            snapshot.save(trainer, path)
            self._written(trainer, path)

    def on_exception(self, trainer: "Trainer", error: BaseException) -> None:
        """Let the file that is being written be finished."""
        self._settle(trainer, wait=True)

    def state_dict(self) -> dict[str, Any]:
        """The best values and their steps, where a metric is monitored."""
        return {} if self.monitor is None else {"best": [list(pair) for pair in self._best]}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Compare with these from now on."""
        if self.monitor is None and "best" in state:
            raise StateError(
                "the state is of a run with Checkpoint(monitor=...), and monitor is None; make it as it was, or go on "
                "with the program that made the run"
            )
        serialize.check_keys("Checkpoint", () if self.monitor is None else ("best",), state)
        self._best = [(float(value), int(step)) for value, step in state.get("best", [])]

    def _note(self, metrics: Mapping[str, float]) -> None:
        if self.monitor is not None and self.monitor in metrics:
            self._value, self._seen = metrics[self.monitor], True

    def _rank(self, step: int) -> bool:
        """Whether the step just done is one of the best, which it is then noted to be."""
        value, self._value = self._value, math.nan
        sign = 1 if self.mode == "min" else -1
        self._best = sorted([*self._best, (value, step)], key=lambda pair: (sign * pair[0], pair[1]))[: self.keep_best]
        return (value, step) in self._best

    def _settle(self, trainer: "Trainer", *, wait: bool) -> None:
        """Finish a write in the background if it is over, or wait for it; raises what it raised."""
        if self._writing is not None and (wait or self._writing.done()):
            writing, self._writing = self._writing, None
            self._written(trainer, writing.result())

    def _written(self, trainer: "Trainer", path: Path) -> None:
        """The file is on the disk: only now may older ones go."""
        trainer.checkpoint = path
        files = self.files()
        end = files.index(path) + 1  # those after it, an earlier one was resumed for
        newest = files[:end] if self.keep is None else files[max(end - self.keep, 0) : end]
        kept = {*newest, *self.best_files()}
        for file in files:
            if file not in kept:
                file.unlink()
        serialize.remove_leftovers(path.parent)

    def _path(self, step: int) -> Path:
        return self.folder / "checkpoints" / f"step-{step:08d}.safetensors"


def restore(trainer: "Trainer", resume: str | PathLike[str]) -> None:
    """Load a checkpoint into `trainer`: the file `resume`, or for "auto" the newest that is valid, if there is any.

    A damaged file is passed over with a warning where there is an older one. What was saved counts, and a warning says
    which hyperparameters, and which seed, are others in the program.

    Raises:
        ConfigError: `resume` is neither a path nor "auto", or it is "auto" without a Checkpoint callback.
        CheckpointError: the file, or every one, is damaged.
        StateError: it is of another model, optimizer, loader or list of callbacks.
    """
    if not isinstance(resume, str | PathLike):
        raise ConfigError(f'fit: resume is {resume!r}; give the path of a checkpoint, or "auto" for the newest')
    if resume in ("last", "latest", "newest", "best"):
        best = "the path of one of Checkpoint(..., monitor=...).best_files()"
        remedy = best if resume == "best" else '"auto" for the newest'
        raise ConfigError(f"fit: resume is {resume!r}; give {remedy}")
    given = {name: dict(optimizer.given) for name, optimizer in trainer.optimizers.items()}
    seed = random.get_state().seed
    _restore(trainer, resume)
    scheduled = any(isinstance(callback, LearningRate) for callback in trainer.callbacks)
    differences = optimizers.overruled(trainer.optimizers, given, scheduled)
    saved = random.get_state().seed
    if seed != saved:
        differences.append(
            f"the seed is {saved} as saved, not {seed} as here; call minitorch.seed({seed}) in on_fit_start, or begin "
            "in another folder"
        )
    if differences:
        warn(f"the run goes on as it was in {trainer.checkpoint}: {'. '.join(differences)}")


def _restore(trainer: "Trainer", resume: str | PathLike[str]) -> None:
    if resume != "auto":
        if Path(resume).is_dir():
            raise ConfigError(
                f'fit: resume is {str(resume)!r}, a folder; give the path of a checkpoint in it, or "auto" for the '
                "newest in the folder of the Checkpoint callback"
            )
        snapshot.load(trainer, resume)
        trainer.checkpoint = Path(resume)
        return
    savers = [c for c in trainer.callbacks if isinstance(c, Checkpoint)]
    if not savers:
        raise ConfigError('fit: resume="auto" needs a Checkpoint callback, whose folder it looks in; or give a path')
    files = savers[0].files()
    path, errors = load_newest(trainer, files)
    if path is not None:
        if errors:
            reasons = "; ".join(map(str, errors))
            warn(f"resumed from {path}, because newer ones are damaged: {reasons}")
        trainer.checkpoint = path
    elif errors:
        raise CheckpointError(
            f"none of the {len(files)} checkpoints in {savers[0].folder} is valid; the newest: {errors[0]}"
        )


def load_newest(trainer: "Trainer", files: Sequence[Path]) -> tuple[Path | None, list[CheckpointError]]:
    """Load the last of `files` that is valid, if any; returns it, and what is wrong with those after it.

    Raises:
        StateError: it is of another model, optimizer, loader or list of callbacks.
    """
    errors: list[CheckpointError] = []
    for path in reversed(files):
        try:
            snapshot.load(trainer, path)
        except StateError:
            raise
        except CheckpointError as error:
            errors.append(error)
        else:
            return path, errors
    return None, errors
