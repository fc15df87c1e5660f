"""`NaNGuard`: where the first NaN or infinity of a run comes from."""

from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import attrs
import numpy as np

from minitorch import serialize
from minitorch.cuda import sync_allowed
from minitorch.errors import NonFiniteError
from minitorch.trainer import batches
from minitorch.trainer.callback import Phase
from minitorch.trainer.callbacks.run_files import RunFiles
from minitorch.trainer.loop import Loop
from minitorch.trainer.metrics import RunningMeans
from minitorch.trainer.moment import Moment
from minitorch.trainer.nonfinite import FoundError, Origin, arrays_of, check_weights, examined_step, is_finite
from minitorch.trainer.step import train_step
from minitorch.trainer.trial import of_steps
from minitorch.trainer.triggers import Budget
from minitorch.variable import Variable

if TYPE_CHECKING:
    from minitorch.trainer.state import FitResult, StepOutputs
    from minitorch.trainer.trainer import Trainer


@attrs.frozen
class Finding:
    """What `NaNGuard` found out.

    Attributes:
        origin: which part of the step made the first number that is not finite.
        step: the step, counted from 1.
        epoch: its epoch, counted from 1.
        batch: the number of its batch in the epoch, counted from 1.
        file: the batch.
    """

    origin: Origin
    step: int
    epoch: int
    batch: int
    file: Path


@attrs.define(eq=False)
class NaNGuard(RunFiles):
    """Finds out which operation, layer and batch made the first NaN or infinity, and saves the batch.

        Trainer(model, optimizer, loss=loss, callbacks=[NaNGuard("runs/mnist"), Checkpoint("runs/mnist")])

    The loop itself ends a run with a NonFiniteError at the end of the log interval in which a loss is not finite. With
    this callback the run ends for weights that are not finite too, and then the steps since the last interval are done
    once more, eagerly, from a copy of weights and optimizer that is made at the end of each: until the step that made
    the number, which is looked at operation by operation. The error gets a note with what was found; `finding` has it
    too. The batch is in `nonfinite-step-00000014.safetensors`, as `batch[0]` and so on. The model and optimizer are
    left as they were before that step. Checkpoints are from before.

    It takes the memory of a second model and optimizer; on a GPU one read for each log interval. Where MixedPrecision
    runs, the steps are done again with its rounding; a loss scale that moves is what it was at the end. Loaders must
    give the same batches when asked for the same epoch again, as `DataLoader` does.

    Args:
        folder: the folder of the run; made where it is missing.
        overwrite: whether a new run may delete the files of an earlier one in this folder.

    Attributes:
        finding: what was found, or None.
    """

    phase = Phase.DEVICE
    first_in = ("on_exception",)  # so that it does its work while MixedPrecision and others still do theirs
    needs_host = ()
    at_log_interval = True
    patterns = ("nonfinite-step-*.safetensors",)

    finding: Finding | None = attrs.field(default=None, init=False, repr=False)
    _moment: Moment | None = attrs.field(default=None, init=False, repr=False)
    _checked: bool = attrs.field(default=False, init=False, repr=False)

    def on_fit_start(self, trainer: "Trainer") -> None:
        """Copy the state of the training."""
        self.finding, self._checked, self._moment = None, False, Moment(trainer)

    def on_batch_end(self, trainer: "Trainer", outputs: "StepOutputs") -> None:
        """Check the weights where this step ends a log interval; the loop has checked the loss."""
        if outputs.metrics is not None:
            self._check(trainer)

    def on_epoch_end(self, trainer: "Trainer", metrics: dict[str, float]) -> None:
        """Check the weights."""
        self._check(trainer)

    def on_checkpoint(self, trainer: "Trainer") -> None:
        """Copy the state of the training, where it was found to be finite in this step."""
        if self._checked:
            self._checked, self._moment = False, Moment(trainer)

    def on_exception(self, trainer: "Trainer", error: BaseException) -> None:
        """Find out where a number that is not finite came from."""
        moment, self._moment = self._moment, None
        if moment is not None and isinstance(error, NonFiniteError):
            error.add_note(self._explained(trainer, moment))

    def on_fit_end(self, trainer: "Trainer", result: "FitResult") -> None:
        """Check the weights that the run leaves, and let go of the copy."""
        check_weights(trainer)
        self._moment = None

    def _check(self, trainer: "Trainer") -> None:
        check_weights(trainer)
        self._checked = True

    def _explained(self, trainer: "Trainer", moment: Moment) -> str:
        checkpoint = trainer.checkpoint or "none"
        with np.errstate(all="ignore"), sync_allowed():
            self.finding = _Rerun(trainer, self.folder).find(moment)
        if self.finding is None:
            return (
                "NaNGuard: the steps since the last log interval were done once more, and all numbers were finite: "
                "either the loader gave other batches, or a callback or the program changes the model between steps; "
                f"the last checkpoint: {checkpoint}"
            )
        found = self.finding
        return (
            f"NaNGuard: the first number that is not finite was made in step {found.step} (epoch {found.epoch}, batch "
            f"{found.batch}): {found.origin}; the batch: {found.file}; the last checkpoint: {checkpoint}"
        )


class _Rerun:
    """Does steps of a Trainer once more, apart from its counters, means and most hooks."""

    def __init__(self, trainer: "Trainer", folder: Path) -> None:
        self.trainer, self.folder = trainer, folder
        self.loss: Variable | None = None
        self.batch: Any = None

    def find(self, moment: Moment) -> Finding | None:
        """The origin in the steps from `moment` to where the Trainer stands."""
        trainer = self.trainer
        names = ("state", "means", "hooks", "stepper", "stage", "log_every")
        before = {name: getattr(trainer, name) for name in names}
        trainer.hooks, trainer.means, trainer.stage = of_steps(trainer.hooks), RunningMeans(), "train"
        try:
            moment.restore(trainer)
            return self._first(before["state"].samples)
        finally:
            for name, value in before.items():
                setattr(trainer, name, value)
            trainer.means.size = 0

    def _first(self, samples: int) -> Finding | None:
        trainer = self.trainer
        loop = Loop(trainer, Budget(None, trainer.state.step + 1, None), {})
        while trainer.state.samples < samples:
            limit, state = trainer.limits.train_batches, trainer.state
            for later, last in batches.of_epoch(trainer.train_loader, state.epoch, state.batch, limit):
                batch, before = batches.gathered(later), Moment(trainer)
                self._do(loop, batch, last, self._noted_step)
                if not self._all_finite():
                    return self._found(loop, batch, last, before)
                if trainer.state.samples >= samples:
                    break
        return None

    def _do(self, loop: Loop, batch: Any, last: bool, stepper: Any) -> None:
        self.trainer.stepper = stepper
        with suppress(NonFiniteError):  # of the loop's own check of means
            loop.batch(batch, last)

    def _noted_step(self, trainer: "Trainer", batch: Any) -> Variable:
        self.batch = batch
        self.loss = train_step(trainer, batch)
        return self.loss

    def _all_finite(self) -> bool:
        try:
            check_weights(self.trainer)
        except NonFiniteError:
            return False
        return self.loss is not None and is_finite(self.loss.data)

    def _found(self, loop: Loop, batch: Any, last: bool, before: Moment) -> Finding | None:
        before.restore(self.trainer)
        state = before.state
        number = state.step + 1, state.epoch + 1, state.batch + 1
        try:
            self._do(loop, batch, last, examined_step)
        except FoundError as found:
            before.restore(self.trainer)
            path = self.folder / f"nonfinite-step-{number[0]:08d}.safetensors"
            meta = dict(zip(("step", "epoch", "batch"), number, strict=True))
            serialize.save(path, arrays_of(self.batch), meta | {"origin": attrs.asdict(found.origin)})
            return Finding(found.origin, *number, path)
        return None
