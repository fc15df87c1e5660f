"""The loop of `Trainer.fit`: epochs, batches, validation, each with its hooks and one safe point a batch."""

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import attrs

from minitorch import random
from minitorch.config import no_grad, test_mode
from minitorch.trainer import batches
from minitorch.trainer.epoch_metrics import EpochMetrics
from minitorch.trainer.metrics import RunningMeans, check_finite
from minitorch.trainer.state import FitResult, StepOutputs
from minitorch.trainer.step import numbered, train_step
from minitorch.trainer.triggers import Budget, Every
from minitorch.variable import Variable

if TYPE_CHECKING:
    from minitorch.trainer.trainer import Trainer


class Loop:
    """One run of a Trainer, from where its counters stand to the end of a budget.

    Args:
        trainer: its hooks are called, its counters moved on.
        budget: when the run is complete.
        validation: a loader, several by name in a dict, or None.
    """

    def __init__(self, trainer: "Trainer", budget: Budget, validation: Any) -> None:
        self.trainer = trainer
        self.budget = budget
        self.validation = validation if batches.by_name(validation) else None
        self.logged = self.validated = trainer.state.elapsed
        self.validate_every = Every(epochs=1) if trainer.limits.fast_dev_run else trainer.validate_every
        self.begun = time.perf_counter() - trainer.state.elapsed

    def run(self) -> FitResult:
        """All epochs, between `on_fit_start` and `on_fit_end`."""
        trainer = self.trainer
        for hook in trainer.hooks.on_fit_start:
            hook(trainer)
        bill = trainer.hooks.bill
        bill.batches = trainer.accumulation.batches
        bill.stepper = "" if name_of(trainer.stepper) == name_of(train_step) else name_of(trainer.stepper)
        ends = self.ends()
        if trainer.ending is not None and trainer.ending[0] == "completed":
            trainer.ending = "completed", f"{trainer.ending[1]} already: nothing was left to train"
        while not ends:
            ends = self.epoch()
        return self.result()

    def epoch(self) -> bool:
        """What is left of the epoch under way; returns whether the run ends with it, or in it."""
        trainer = self.trainer
        trainer.stage = "train"
        for hook in trainer.hooks.on_epoch_start:
            hook(trainer)
        state, limit = trainer.state, trainer.limits.train_batches
        for batch, last in batches.of_epoch(trainer.train_loader, state.epoch, state.batch, limit):
            self.batch(batch, last)
            if self.validation is not None and self.validate_every.due(trainer.state, self.validated):
                self.validate()
            if last:
                self.end_epoch()
            ends = self.ends()  # now: whoever asks for the end after a hook has run gets one more step
            for hook in trainer.hooks.on_checkpoint:
                hook(trainer)
            if ends:
                return True
        return False

    def batch(self, batch: Any, last: bool) -> None:
        """One training step, up to `on_batch_end`."""
        trainer = self.trainer
        state, means, hooks, update = trainer.state, trainer.means, trainer.hooks, trainer.accumulation
        update.due = last or state.waiting + 1 >= update.batches
        if not state.waiting:
            update.full = update.samples = update.draw = 0
        # the first step draws as a loop by hand would, since lazily sized layers draw their weights there
        outside = random.begin_step(state.step, update.draw) if state.step else None
        try:
            if hooks.batch_start["train"]:
                batch = hooks.start_batch(trainer, batch)
            size = means.size = batches.size(batch)
            loss = trainer.stepper(trainer, batch)
        finally:
            if outside is not None:
                update.draw = random.set_state(outside).draw
        if loss is not means.logged:  # a captured step has added it up on the device
            means.add("loss", loss.data)
        state.advance(size, update.due, last, time.perf_counter() - self.begun)
        metrics = None
        if trainer.log_every.due(state, self.logged):
            self.logged = state.elapsed
            metrics = EpochMetrics(check_finite(means.end_interval(), trainer))
        ended = hooks.batch_end if metrics is None else hooks.on_batch_end
        if ended:
            outputs = StepOutputs(loss, size, metrics)
            for hook in ended:
                hook(trainer, outputs)
        means.size = 0

    def validate(self) -> None:
        """A pass over each validation loader."""
        trainer = self.trainer
        self.validated = trainer.state.elapsed
        for hook in trainer.hooks.on_validation_start:
            hook(trainer)
        with numbered(trainer.state.step):  # with validation or without, the training draws the same numbers
            found = trainer.evaluate(self.validation, trainer.limits.validation_batches)
        metrics = trainer.validation = EpochMetrics({f"val_{name}": value for name, value in found.items()})
        for hook in trainer.hooks.on_validation_end:
            hook(trainer, metrics)

    def end_epoch(self) -> None:
        """The metrics of the epoch that is over, for the history and for `on_epoch_end`."""
        trainer = self.trainer
        metrics = EpochMetrics(check_finite(trainer.means.end_epoch(), trainer) | trainer.validation)
        trainer.validation = {}
        trainer.history.append(metrics)
        for hook in trainer.hooks.on_epoch_end:
            hook(trainer, metrics)

    def ends(self) -> bool:
        """Whether the run ends at this safe point."""
        trainer = self.trainer
        ending = self.budget.reached(trainer.state)  # first: a signal may come meanwhile, and None must not undo it
        if ending is not None and trainer.ending is None:
            trainer.ending = ending
        return trainer.ending is not None

    def result(self) -> FitResult:
        """How the run ended, told to `on_fit_end`."""
        trainer = self.trainer
        assert trainer.ending is not None
        so_far = check_finite(trainer.means.so_far(), trainer)
        metrics = trainer.history[-1] if trainer.history else so_far | trainer.validation
        state, history = attrs.evolve(trainer.state), list(trainer.history)
        bill = trainer.hooks.bill
        result = FitResult(*trainer.ending, state, dict(metrics), history, trainer.checkpoint, bill)
        for hook in trainer.hooks.on_fit_end:
            hook(trainer, result)
        return result


def started(trainer: "Trainer", batch: Any) -> Any:
    """`batch` as the callbacks leave it; its samples are counted."""
    batch = trainer.hooks.start_batch(trainer, batches.gathered(batch))  # the loader may be that of captured steps
    trainer.means.size = batches.size(batch)
    return batch


def evaluated(trainer: "Trainer", loaders: Mapping[str, Any], limit: int | None = None) -> dict[str, float]:
    """The means of `validation_step` over each loader, or its first so many batches, with the prefix of the loader."""
    metrics: dict[str, float] = {}
    for prefix, loader in loaders.items():
        with aside(trainer, "validate"):
            for batch in batches.all_of(loader, limit):
                loss = trainer.validation_step(started(trainer, batch))
                if loss is not None and not trainer.means.has_own_loss:
                    trainer.means.add("loss", loss.data if isinstance(loss, Variable) else loss)
            metrics.update({f"{prefix}{name}": value for name, value in trainer.means.end_epoch().items()})
    return metrics


def name_of(stepper: Any) -> str:
    """The name of a function or method that runs batches, such as `CudaGraph.step`."""
    return str(getattr(stepper, "__qualname__", type(stepper).__name__))


@contextmanager
def aside(trainer: "Trainer", stage: str) -> Iterator[None]:
    """Apart from the training: no gradients, no dropout, means and recurrent states of its own."""
    outer, carried = (trainer.stage, trainer.means), trainer.model.carried()
    trainer.stage, trainer.means = stage, RunningMeans()
    trainer.model.carry({})
    try:
        with no_grad(), test_mode():
            yield
    finally:
        outer[1].host_reads += trainer.means.host_reads
        trainer.stage, trainer.means = outer
        trainer.model.carry(carried)
