"""`Trainer.replay`: one step of a run once more, from the nearest checkpoint before it."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import attrs

from minitorch.cuda import as_numpy
from minitorch.errors import CheckpointError, ConfigError
from minitorch.trainer.callback import Callback, HookLists, Phase, named
from minitorch.trainer.callbacks.checkpoint import Checkpoint, load_newest
from minitorch.trainer.callbacks.run_files import RunFiles
from minitorch.trainer.loop import Loop
from minitorch.trainer.metrics import RunningMeans
from minitorch.trainer.moment import Moment, copied
from minitorch.trainer.settings import check_number
from minitorch.trainer.step import train_step
from minitorch.trainer.triggers import Budget
from minitorch.variable import Variable

if TYPE_CHECKING:
    from minitorch.trainer.trainer import Trainer

Array = Any
BORROWED = (
    "state", "means", "hooks", "stepper", "stage", "history", "validation", "timings", "checkpoint", "ending",
    "resuming", "train_loader",
)  # fmt: skip


@attrs.frozen(eq=False)
class Replay:
    """A step of a run, done once more: what went into it and what came out.

    Attributes:
        step: its number, from 1 on.
        checkpoint: where the replay began.
        batches: what `training_step` got, as `on_batch_start` left it: one, or several with GradientAccumulation.
        losses: of each of them.
        sizes: the samples of each.
        before: the weights before the update, by path.
        gradients: by path, as the optimizer got them.
        after: the weights after the update.
    """

    step: int
    checkpoint: Path
    batches: list[Any] = attrs.field(factory=list, repr=False)
    losses: list[float] = attrs.field(factory=list)
    sizes: list[int] = attrs.field(factory=list)
    before: dict[str, Array] = attrs.field(factory=dict, repr=False)
    gradients: dict[str, Array] = attrs.field(factory=dict, repr=False)
    after: dict[str, Array] = attrs.field(factory=dict, repr=False)

    @property
    def batch(self) -> Any:
        """The batch, or the last one of several."""
        return self.batches[-1]

    @property
    def loss(self) -> float:
        """The mean loss over the samples of the step."""
        return sum(loss * n for loss, n in zip(self.losses, self.sizes, strict=True)) / sum(self.sizes)


@attrs.define(eq=False)
class _Record(Callback):
    """Does the step to be replayed eagerly, and notes everything; the steps before it are done as in the run."""

    phase = Phase.CONTROL

    found: Replay
    _usual: Any = attrs.field(default=None, init=False)

    def on_fit_start(self, trainer: "Trainer") -> None:
        self._usual, trainer.stepper = trainer.stepper, self.step

    def on_fit_end(self, trainer: "Trainer", result: Any) -> None:
        trainer.stepper = self._usual

    def on_exception(self, trainer: "Trainer", error: BaseException) -> None:
        if self._usual is not None:
            trainer.stepper = self._usual

    def on_after_backward(self, trainer: "Trainer") -> None:
        if self._is_it(trainer):
            params = dict(trainer.model.named_params())
            self.found.before.update({path: param.data.copy() for path, param in params.items()})
            self.found.gradients.update({k: p.grad.data.copy() for k, p in params.items() if p.grad is not None})

    def step(self, trainer: "Trainer", batch: Any) -> Variable:
        if not self._is_it(trainer):
            loss: Variable = self._usual(trainer, batch)
            return loss
        self.found.batches.append(batch)
        self.found.sizes.append(trainer.means.size)
        loss = train_step(trainer, batch)
        self.found.losses.append(float(as_numpy(loss.data).item()))
        if trainer.accumulation.due:
            self.found.after.update({path: param.data.copy() for path, param in trainer.model.named_params()})
        return loss

    def _is_it(self, trainer: "Trainer") -> bool:
        return trainer.state.step + 1 == self.found.step


def replay(trainer: "Trainer", step: int, train_loader: Any, validation: Any) -> Replay:
    """Do `Trainer.replay`."""
    check_number("replay: step", step, int)
    if train_loader is None and trainer.train_loader is None:
        raise ConfigError("replay: there is no loader; give train_loader, made as it was in the run")
    with _as_it_was(trainer):
        trainer.train_loader = trainer.train_loader if train_loader is None else train_loader
        found = Replay(step, _load_before(trainer, step))
        record = _Record(found)
        callbacks = [c for c in trainer.callbacks if c.phase < Phase.LOG and not isinstance(c, RunFiles)]
        trainer.hooks, trainer.ending, trainer.resuming = HookLists(trainer, [*callbacks, record]), None, True
        try:
            Loop(trainer, Budget(None, step, None), validation).run()
        except BaseException as error:
            trainer.hooks.fail(trainer, error)
            if not found.after:  # after the step itself, the loop may refuse what it has led to
                raise
        if not found.after:
            raise ConfigError(
                f"replay: the run ended before step {step}, because {trainer.ending}; take the callback that ends it "
                "out of the Trainer, or replay an earlier step"
            )
        return found


def _load_before(trainer: "Trainer", step: int) -> Path:
    """Load the newest valid checkpoint in which the step is not done; returns its path."""
    savers = [c for c in trainer.callbacks if isinstance(c, Checkpoint)]
    if not savers:
        raise ConfigError("replay: the Trainer has no Checkpoint callback, in whose folder checkpoints are looked for")
    files = savers[0].files()
    path, errors = load_newest(trainer, [path for path in files if int(path.stem[5:]) < step])
    if path is not None:
        return path
    if errors:
        raise CheckpointError(f"replay: no checkpoint before step {step} is valid; the newest: {errors[0]}")
    there = ", ".join(str(int(path.stem[5:])) for path in files) or "none"
    raise ConfigError(
        f"replay: {savers[0].folder} has no checkpoint from before step {step}; there are those after steps: {there}. "
        "Keep more (Checkpoint(keep=None)), or train anew up to that step"
    )


@contextmanager
def _as_it_was(trainer: "Trainer") -> Iterator[None]:
    """Leave `trainer` as it was before, its weights and the state of its callbacks too."""
    moment, borrowed = Moment(trainer), {name: getattr(trainer, name) for name in BORROWED}
    callbacks = {name: copied(callback.state_dict()) for name, callback in named(trainer.callbacks).items()}
    loader = copied(trainer.train_loader.state_dict()) if hasattr(trainer.train_loader, "state_dict") else None
    trainer.means, trainer.timings = RunningMeans(trainer.metrics), {}
    try:
        yield
    finally:
        for name, value in borrowed.items():
            setattr(trainer, name, value)
        moment.restore(trainer)
        for name, callback in named(trainer.callbacks).items():
            callback.load_state_dict(callbacks[name])
        if loader is not None:
            trainer.train_loader.load_state_dict(loader)
        trainer.means.size = 0
