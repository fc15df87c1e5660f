"""`Checkpoint`: the whole state of a run in files, so that it can be resumed exactly where it was."""

import re
import warnings
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING

import attrs

from minitorch import serialize
from minitorch.errors import CheckpointError, ConfigError, StateError
from minitorch.trainer import snapshot
from minitorch.trainer.callback import Callback, Phase
from minitorch.trainer.metrics import check_finite
from minitorch.trainer.settings import at_least
from minitorch.trainer.triggers import Every, every_setting

if TYPE_CHECKING:
    from minitorch.trainer.trainer import Trainer


@attrs.define(eq=False)
class Checkpoint(Callback):
    """Saves the whole state of the run at safe points, to `checkpoints/step-00000600.safetensors` in a folder.

        trainer = Trainer(model, optimizer, loss=loss, callbacks=[Checkpoint("runs/mnist", every=Every(steps=100))])
        trainer.fit(train_loader, epochs=5, resume="auto")

    It saves when `every` says so and whenever the run ends, also after a first SIGINT or SIGTERM. A file is written
    whole or not at all; older ones are deleted only after that.

    Args:
        folder: the folder of the run; made where it is missing.
        every: when to save.
        keep: how many of the newest to keep.
        overwrite: whether a new run may delete the checkpoints of an earlier one in this folder.

    Raises:
        ConfigError: the folder has checkpoints, and the run neither resumes them nor may overwrite them.
    """

    phase = Phase.CHECKPOINT

    folder: Path = attrs.field(converter=Path)
    every: Every = attrs.field(default=Every(epochs=1), validator=every_setting)
    keep: int = attrs.field(default=3, validator=at_least(1, int))
    overwrite: bool = False
    _saved_at: float = attrs.field(default=0.0, init=False, repr=False)

    def files(self) -> list[Path]:
        """The checkpoints in the folder, oldest first."""
        found = (self.folder / "checkpoints").glob("step-*.safetensors")
        return sorted([p for p in found if re.fullmatch(r"step-\d+", p.stem)], key=lambda p: int(p.stem[5:]))

    def on_fit_start(self, trainer: "Trainer") -> None:
        """See that no earlier run is overwritten by accident."""
        files = self.files()
        if files and not _goes_on(trainer):
            if not self.overwrite:
                raise ConfigError(
                    f"Checkpoint: {self.folder} has checkpoints of an earlier run, the newest {files[-1].name}; pass "
                    'resume="auto" to fit to go on with it, choose another folder, or pass overwrite=True'
                )
            for file in files:
                file.unlink()
        self._saved_at = trainer.state.elapsed

    def on_checkpoint(self, trainer: "Trainer") -> None:
        """Save if it is time, or if the run ends here.

        Raises:
            NonFiniteError: the loss became NaN or infinite; what it led to is not saved.
        """
        if not (trainer.ending or self.every.due(trainer.state, self._saved_at)):
            return
        check_finite(trainer.means.so_far(), trainer.state)
        self._saved_at = trainer.state.elapsed
        path = self.folder / "checkpoints" / f"step-{trainer.state.step:08d}.safetensors"
        snapshot.save(trainer, path)
        trainer.checkpoint = path
        files = self.files()
        end = files.index(path) + 1
        for file in files[: max(end - self.keep, 0)] + files[end:]:  # those after it, an earlier one was resumed for
            file.unlink()
        serialize.remove_leftovers(path.parent)


def _goes_on(trainer: "Trainer") -> bool:
    """Whether the newest checkpoint of the run, written or resumed, is in the folder of one of its Checkpoints."""
    folders = [c.folder.resolve() for c in trainer.callbacks if isinstance(c, Checkpoint)]
    return trainer.checkpoint is not None and trainer.checkpoint.resolve().parent.parent in folders


def restore(trainer: "Trainer", resume: str | PathLike[str]) -> None:
    """Load a checkpoint into `trainer`: the file `resume`, or for "auto" the newest that is valid, if there is any.

    A damaged file is passed over with a warning where there is an older one.

    Raises:
        ConfigError: `resume` is neither a path nor "auto", or it is "auto" without a Checkpoint callback.
        CheckpointError: the file, or every one, is damaged.
        StateError: it is of another model, optimizer, loader or list of callbacks.
    """
    if not isinstance(resume, str | PathLike):
        raise ConfigError(f'fit: resume is {resume!r}; give the path of a checkpoint, or "auto" for the newest')
    if resume != "auto":
        snapshot.load(trainer, resume)
        trainer.checkpoint = Path(resume)
        return
    savers = [c for c in trainer.callbacks if isinstance(c, Checkpoint)]
    if not savers:
        raise ConfigError('fit: resume="auto" needs a Checkpoint callback, whose folder it looks in; or give a path')
    errors: list[CheckpointError] = []
    files = savers[0].files()
    for path in reversed(files):
        try:
            snapshot.load(trainer, path)
        except StateError:
            raise
        except CheckpointError as error:
            errors.append(error)
            continue
        if errors:
            warnings.warn(f"resumed from {path}, because newer ones are damaged: {errors[0]}", stacklevel=3)
        trainer.checkpoint = path
        return
    if errors:
        raise CheckpointError(
            f"none of the {len(files)} checkpoints in {savers[0].folder} is valid; the newest: {errors[0]}"
        )
