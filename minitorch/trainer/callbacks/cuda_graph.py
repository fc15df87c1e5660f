"""`CudaGraph`: a whole training step, or several, done by one launch."""

import sys
from typing import TYPE_CHECKING, Any

import attrs
import numpy as np

from minitorch import random
from minitorch.cuda import kernels, xp_of
from minitorch.errors import ConfigError, DeviceError
from minitorch.resident import LaterBatch
from minitorch.trainer import batches, captured
from minitorch.trainer.callback import Callback, Phase, in_order, users_of
from minitorch.trainer.captured import INSIDE, CapturedBatch, Counters, numbers_now
from minitorch.trainer.carried import CarriedState
from minitorch.trainer.settings import at_least
from minitorch.trainer.step import train_step

if TYPE_CHECKING:
    from minitorch.trainer.state import FitResult
    from minitorch.trainer.trainer import Trainer
    from minitorch.variable import Variable


def _check_most(owner: Any, attribute: Any, value: int) -> None:
    if value > kernels.NUMBERS:
        raise ConfigError(f"CudaGraph: steps is {value}; one launch does {kernels.NUMBERS} at most")


@attrs.define
class Held:
    """A batch that is held back.

    Attributes:
        batch: it.
        step: the number of its step.
        numbers: the `step_numbers` in it.
    """

    batch: LaterBatch
    step: int
    numbers: list[float]


@attrs.define
class Seen:
    """Batches of one kind.

    Attributes:
        eager: how many were done eagerly.
        one: the graph of one such batch.
        several: the graph of several.
    """

    eager: int = 0
    one: CapturedBatch | None = None
    several: CapturedBatch | None = None


@attrs.define(eq=False)
class CudaGraph(Callback):
    """Records a training step as a CUDA graph, and then repeats it by one launch instead of hundreds.

        Trainer(model, optimizer, loss=loss, callbacks=[DevicePlacement("cuda"), CudaGraph(), ConsoleLogger()])

    Inside the graph are forward, backward, the hooks `on_after_backward`, the update, the hooks `on_after_update` and
    the sums of logged values; and where a DataLoader gathers its batches on the device, and nobody needs them on the
    host, the gather too. Learning rates, counts and random draws are read from the device, one for each step, so
    schedules and dropout go on. The first steps are done eagerly, which also compiles every kernel. The first replay is
    compared with the same step done eagerly.

    Where nothing needs each step by itself, up to `steps` of them are done by one launch, held back until they are
    together, or until somebody reads metrics or state. Short batches, and what cannot be captured, are done eagerly:
    then a line on stderr says why. `trainer.explain()` tells what is inside the graph.

    What a model carries from one step to the next, such as the state of an LSTM, each step takes up and leaves as
    numbers: gradients go back to the beginning of the step. A state that is set or reset in between is noticed.

    A step must do the same device work each time. What Python decides in it, with numbers that change, is decided once;
    reading `trainer.state` in it is noticed, other such numbers are not.

    Args:
        steps: the most steps of one launch, 256 at most.
        warm_up: how many batches of a kind are done eagerly before one is captured.

    Raises:
        ConfigError: a setting is not allowed.
    """

    phase = Phase.DEVICE
    needs_host = ()

    steps: int = attrs.field(default=10, validator=[at_least(1, int), _check_most])
    warm_up: int = attrs.field(default=2, validator=at_least(1, int))
    reason: str | None = attrs.field(default=None, init=False)
    _stepper: Any = attrs.field(default=None, init=False, repr=False)
    _counters: Counters | None = attrs.field(default=None, init=False, repr=False)
    _kinds: dict[Any, Seen] = attrs.field(factory=dict, init=False, repr=False)
    _loader: Any = attrs.field(default=None, init=False, repr=False)
    _several: bool = attrs.field(default=False, init=False, repr=False)
    _held: list[Held] = attrs.field(factory=list, init=False, repr=False)
    _holder: Seen | None = attrs.field(default=None, init=False, repr=False)
    _carried: CarriedState | None = attrs.field(default=None, init=False, repr=False)
    _inside: str | None = attrs.field(default=None, init=False, repr=False)

    def on_fit_start(self, trainer: "Trainer") -> None:
        """Forget an earlier run."""
        self._stepper = self.reason = self._inside = None
        self._kinds, self._held, self._counters, self._carried = {}, [], None, None

    def on_epoch_start(self, trainer: "Trainer") -> None:
        """Take the place of the stepper, now that all other callbacks have begun."""
        if self._stepper is not None:
            return
        self._stepper, trainer.stepper = trainer.stepper, self.step
        self.reason = self._reason_now(trainer)
        if self.reason is not None:
            self._give_up(self.reason)
            return
        self._carried = CarriedState.of(trainer.model)
        loader = trainer.train_loader
        resident = getattr(loader, "resident", lambda: None)()
        if resident is not None and not self._on_host(trainer, "on_batch_start"):
            self._loader, loader.deferring = loader, True
        each = any(self._on_host(trainer, hook) for hook in ("on_batch_end", "on_checkpoint"))
        self._several = self._loader is not None and not each and trainer.accumulation.batches == 1
        trainer.means.settle = lambda: self._release(trainer)

    def on_validation_start(self, trainer: "Trainer") -> None:
        """Do what was held back."""
        self._release(trainer)

    def on_exception(self, trainer: "Trainer", error: BaseException) -> None:
        """Do what was held back, and put the stepper back."""
        self._end(trainer)

    def on_fit_end(self, trainer: "Trainer", result: "FitResult") -> None:
        """Put the stepper back."""
        self._end(trainer)

    def step(self, trainer: "Trainer", batch: Any) -> "Variable":
        """Do `batch` by a graph if there is one, or can be; else eagerly."""
        if self._held:
            untouched = self._carried is None or self._carried.is_taken()
            if untouched and isinstance(batch, LaterBatch) and batch.follows(self._held[-1].batch):
                return self._hold(trainer, batch)
            self._release(trainer)
        if isinstance(batch, LaterBatch) and not batch.is_full:  # a short one, which the kernel finds by its start only
            batch = batch.gather()
        if self.reason is None and trainer.state.step:
            kind = self._kind(trainer, batch)
            seen = self._kinds.setdefault(kind, Seen()) if kind is not None else None
            if seen is not None:
                if seen.eager >= self.warm_up and seen.one is None:
                    self._release(trainer)
                    self._capture(trainer, batch, seen)
                    if seen.one is not None:
                        return seen.one.loss
                elif seen.one is not None and seen.one.fits(trainer):
                    return self._replay(trainer, batch, seen)
                elif seen.one is not None:
                    seen.one = seen.several = None  # it is captured anew, after this batch is done eagerly
                seen.eager += 1
        self._release(trainer)
        loss = self._stepper(trainer, batches.gathered(batch))
        if self._carried is not None and self.reason is None:
            self._carried.reserve()
        return loss  # type: ignore[no-any-return]

    def describe(self, trainer: "Trainer") -> list[str]:
        """What is inside the graph, or why there is none."""
        reason = self.reason or self._reason_now(trainer)
        if reason is not None:
            return [f"CudaGraph: steps run eagerly: {reason}"]
        return [f"CudaGraph: {self._inside or 'nothing is captured yet'}"]

    def _contents(self, trainer: "Trainer", one: CapturedBatch) -> str:
        order = in_order(trainer, trainer.callbacks)
        before, after = ([f"{hook} of {type(who).__name__}" for who in users_of(hook, order)] for hook in INSIDE)
        optimizers = " and ".join(type(optimizer).__name__ for optimizer in trainer.optimizers.values())
        parts = ["gather of the batch"] if self._loader is not None else []
        parts += ["forward", "backward", *before, f"update by {optimizers}", *after, "sums of logged values"]
        parts += [f"{path} for the next step" for path in one.left]
        most = f"up to {self.steps} steps" if self._several and self.steps > 1 else "one step"
        return f"inside the graph are {', '.join(parts)}; a launch does {most}"

    # ---- how

    def _kind(self, trainer: "Trainer", batch: Any) -> Any:
        """What a graph of this batch is made with; None where it has numbers that only this batch has."""
        update, size, scale = trainer.accumulation, trainer.means.size, trainer.loss_scale
        full = update.full or size * update.batches
        if update.due and update.samples + size != full:
            return None
        draw, carried = random.get_state().draw, self._carried and self._carried.signature()
        scaled = scale if isinstance(scale, int | float) else id(scale)
        return captured.shape_of(batch), trainer.state.waiting > 0, update.due, size / full, draw, scaled, carried

    def _capture(self, trainer: "Trainer", batch: Any, seen: Seen) -> None:
        """Make the graphs, and do `batch` by a replay that is compared with an eager one."""
        model = trainer.model
        if any(xp_of(param.data) is np for param in model.params()):
            return self._give_up("the model is on the host; CudaGraph needs DevicePlacement on a GPU")
        self._counters = Counters(self._carried) if self._counters is None else self._counters
        try:
            for optimizer in trainer.optimizers.values():
                optimizer.refresh()
            if isinstance(batch, LaterBatch):
                self._counters.follow(batch)
            one = CapturedBatch(trainer, self._stepper, batch, self._counters)
            off = captured.difference(trainer, one, self._stepper, batch, trainer.state.step)
            if not off <= captured.TOLERANCE:
                raise DeviceError(
                    f"a replay differs from the same step done eagerly by {off:.1e} of the largest number"
                )
        except Exception as error:  # whatever it is, if it is no matter of the capture the eager step raises it again
            return self._give_up(str(error))
        seen.one, self._inside = one, self._contents(trainer, one)
        if self._several and self.steps > 1 and one.goes_on:
            seen.several = CapturedBatch(trainer, self._stepper, batch, self._counters, self.steps)
        one.count(trainer)
        one.replay(trainer, batch, trainer.state.step, [numbers_now(trainer)])
        return None

    def _replay(self, trainer: "Trainer", batch: Any, seen: Seen) -> "Variable":
        """Do `batch` by its graph, or hold it back until there are as many as one launch does."""
        assert seen.one is not None
        step = trainer.state.step
        if self._carried is not None:
            self._carried.take()
        seen.one.count(trainer)
        if seen.several is None:
            seen.one.replay(trainer, batch, step, [numbers_now(trainer)])
            return seen.one.loss
        self._holder = seen
        return self._hold(trainer, batch)

    def _hold(self, trainer: "Trainer", batch: LaterBatch) -> "Variable":
        """Hold `batch` back, or do all that is held back if it is as much as one launch does."""
        assert self._holder is not None
        assert self._holder.one is not None
        self._held.append(Held(batch, trainer.state.step, numbers_now(trainer)))
        if len(self._held) == self.steps:
            self._release(trainer)
        return self._holder.one.loss

    def _release(self, trainer: "Trainer") -> None:
        """Do what is held back: all by one launch if it is as much as that, else one by one."""
        held, self._held = self._held, []
        if not held:
            return
        assert self._holder is not None
        assert self._holder.one is not None
        if len(held) == self.steps and self._holder.several is not None:
            self._holder.several.replay(trainer, held[0].batch, held[0].step, [each.numbers for each in held])
            return
        for each in held:
            self._holder.one.replay(trainer, each.batch, each.step, [each.numbers])

    def _give_up(self, reason: str) -> None:
        self.reason = reason
        sys.stderr.write(f"CudaGraph: steps run eagerly: {reason}\n")

    def _end(self, trainer: "Trainer") -> None:
        try:
            self._release(trainer)
        finally:
            trainer.means.settle = trainer.means.logged = None
            if trainer.stepper == self.step:
                trainer.stepper = self._stepper
            if self._loader is not None:
                self._loader.deferring, self._loader = False, None
            self._kinds, self._counters, self._carried = {}, None, None  # which gives back the memory of the graphs

    def _reason_now(self, trainer: "Trainer") -> str | None:
        """Why steps cannot be captured, as far as the callbacks tell."""
        stepper = trainer.stepper if self._stepper is None else self._stepper
        if stepper is not train_step:
            return f"{getattr(stepper, '__qualname__', stepper)} runs them"
        needing = [f"{who}.{hook}" for hook in INSIDE for who in self._on_host(trainer, hook)]
        return f"{needing[0]} needs the host in each" if needing else None

    @staticmethod
    def _on_host(trainer: "Trainer", hook: str) -> list[str]:
        """Whose hook of this name needs the host in each step."""
        users = users_of(hook, in_order(trainer, trainer.callbacks))
        needing = [who for who in users if hook in getattr(who, "needs_host", Callback.needs_host)]
        return [
            type(who).__name__
            for who in needing
            if hook != "on_batch_start" or "train" in getattr(who, "stages", ("train",))
        ]
