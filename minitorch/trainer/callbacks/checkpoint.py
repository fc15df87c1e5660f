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
from minitorch.trainer.state import Every, every_field

if TYPE_CHECKING:
    from minitorch.trainer.trainer import Trainer


@attrs.define(eq=False)
class Checkpoint(Callback):
    """Saves the whole state of the run at safe points, to `checkpoints/step-00000600.safetensors` in a folder.

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
    every: Every = attrs.field(default=Every(epochs=1), validator=every_field)
    keep: int = attrs.field(default=3, validator=attrs.validators.ge(1))
    overwrite: bool = False
    _saved_at: float = attrs.field(default=0.0, init=False, repr=False)

    def files(self) -> list[Path]:
        """The checkpoints in the folder, oldest first."""
        found = (self.folder / "checkpoints").glob("step-*.safetensors")
        return sorted([p for p in found if re.fullmatch(r"step-\d+", p.stem)], key=lambda p: int(p.stem[5:]))

    def on_fit_start(self, trainer: "Trainer") -> None:
        """See that no earlier run is overwritten by accident."""
        files = self.files()
        if trainer.state.step == 0 and files:
            if not self.overwrite:
                raise ConfigError(
                    f"Checkpoint: {self.folder} has checkpoints of an earlier run, the newest {files[-1].name}; pass "
                    'resume="auto" to fit to go on with it, choose another folder, or pass overwrite=True'
                )
            for file in files:
                file.unlink()
        self._saved_at = trainer.state.elapsed

    def on_checkpoint(self, trainer: "Trainer") -> None:
        """Save if it is time, or if the run ends here."""
        if not (trainer.ending or self.every.due(trainer.state, self._saved_at)):
            return
        self._saved_at = trainer.state.elapsed
        path = self.folder / "checkpoints" / f"step-{trainer.state.step:08d}.safetensors"
        snapshot.save(trainer, path)
        trainer.checkpoint = path
        for old in self.files()[: -self.keep]:
            old.unlink()
        serialize.remove_leftovers(path.parent)


def restore(trainer: "Trainer", resume: str | PathLike[str]) -> None:
    """Load a checkpoint into `trainer`: the file `resume`, or for "auto" the newest that is valid, if there is any.

    A damaged file is passed over with a warning where there is an older one.

    Raises:
        ConfigError: "auto" without a Checkpoint callback.
        CheckpointError: the file, or every one, is damaged.
        StateError: it is of another model, optimizer, loader or list of callbacks.
    """
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
