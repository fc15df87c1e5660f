"""`ThroughputMonitor`: samples per second, and where the time of a step goes."""

import functools
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import attrs

from minitorch.trainer.bill import HookBill, Mark
from minitorch.trainer.callback import Callback, Phase
from minitorch.trainer.callbacks.device_placement import DevicePlacement

if TYPE_CHECKING:
    from minitorch.trainer.state import FitResult
    from minitorch.trainer.trainer import Trainer

PARTS = {
    "data": "waiting for data",
    "device": "host to device",
    "forward": "forward",
    "backward": "backward",
    "update": "optimizer",
    "replay": "step in one piece",
    "callbacks": "callbacks",
    "other": "validation and loop",
}


@attrs.define
class StepBudget:
    """Where the seconds of a run went; on a GPU, what the host did meanwhile. `str` gives a table.

    Attributes:
        data: waiting for the loader.
        device: moving batches, by DevicePlacement.
        forward: `training_step`.
        backward: from the loss to the gradients.
        update: `optimizer_step`.
        replay: steps of which the parts cannot be told, since another `stepper` does them.
        callbacks: all other hooks of callbacks.
        other: validation, and the loop itself.
        samples: trained on in this time.
    """

    data: float = 0.0
    device: float = 0.0
    forward: float = 0.0
    backward: float = 0.0
    update: float = 0.0
    replay: float = 0.0
    callbacks: float = 0.0
    other: float = 0.0
    samples: int = 0

    def seconds(self) -> float:
        """All of it."""
        return float(sum(getattr(self, name) for name in PARTS))

    def shares(self) -> dict[str, float]:
        """The share of each part, from 0 to 1; all together 1."""
        seconds = self.seconds()
        return {name: getattr(self, name) / seconds if seconds else 0.0 for name in PARTS}

    def __str__(self) -> str:
        seconds = self.seconds()
        rate = f"{self.samples / seconds:.0f}" if seconds else "no"
        lines = [f"{rate} samples/s, {self.samples} samples in {seconds:.3f} s"]
        lines += [f"{PARTS[name]:<20} {share:>6.1%}" for name, share in self.shares().items() if share]
        return "\n".join(lines)


@attrs.define(eq=False)
class ThroughputMonitor(Callback):
    """Measures the samples trained on in a second, as `trainer.timings["samples/s"]`, and where the time of steps goes.

        trainer = Trainer(model, optimizer, loss=loss, callbacks=[monitor := ThroughputMonitor(), ConsoleLogger()])
        trainer.fit(train_loader, epochs=1)
        print(monitor.budget)

        4871 samples/s, 60000 samples in 12.317 s
        waiting for data       3.1%
        forward               38.9%
        ...

    Validation counts as time. Nothing waits for a GPU, so that its work shows up where the host waits for it anyway.
    """

    phase = Phase.METRIC

    _budget: StepBudget = attrs.field(factory=StepBudget, init=False, repr=False)
    _own: dict[str, Any] = attrs.field(factory=dict, init=False, repr=False)
    _at: float = attrs.field(default=0.0, init=False, repr=False)  # when the step before was done
    _rows: list[HookBill] = attrs.field(factory=list, init=False, repr=False)  # of the hooks between then and the step
    _before: float = attrs.field(default=0.0, init=False, repr=False)  # what these had taken then
    _began: float = attrs.field(default=0.0, init=False, repr=False)
    _samples: int = attrs.field(default=0, init=False, repr=False)
    _forward_ended: float = attrs.field(default=0.0, init=False, repr=False)
    _update: float = attrs.field(default=0.0, init=False, repr=False)  # what that of this step took
    _epoch: tuple[float, int] = attrs.field(default=(0.0, 0), init=False, repr=False)

    @property
    def budget(self) -> StepBudget:
        """Where the time of the run went so far, from where it began or was resumed; complete when the run is over."""
        return self._budget

    def on_fit_start(self, trainer: "Trainer") -> None:
        """Put clocks around the parts of a step."""
        self._budget, self._own = StepBudget(), {}
        self._began, self._samples = time.perf_counter(), trainer.state.samples
        for name in ("training_step", "optimizer_step", "stepper"):
            self._own[name] = vars(trainer).get(name)
        trainer.training_step = self._timed_forward(trainer.training_step)  # type: ignore[method-assign,assignment]
        trainer.optimizer_step = self._timed_update(trainer.optimizer_step)  # type: ignore[method-assign]
        hooks = trainer.hooks
        inside = [*hooks.on_after_backward, *hooks.on_after_update]
        self._rows = hooks.batch_start["train"]
        trainer.stepper = self._timed_step(trainer.stepper, inside)
        self._own["timed"] = trainer.stepper
        hooks.on_checkpoint.append(Mark("ThroughputMonitor", "on_checkpoint", self._done))

    def on_epoch_start(self, trainer: "Trainer") -> None:
        """Begin to count."""
        self._done(trainer)
        self._epoch = self._at, trainer.state.samples

    def on_epoch_end(self, trainer: "Trainer", metrics: dict[str, float]) -> None:
        """Tell the rate of the epoch, and bring the budget up to date."""
        began, samples = self._epoch
        trainer.timings["samples/s"] = (trainer.state.samples - samples) / (time.perf_counter() - began)
        self._complete(trainer)

    def on_exception(self, trainer: "Trainer", error: BaseException) -> None:
        """Take the clocks away."""
        self._put_back(trainer)

    def on_fit_end(self, trainer: "Trainer", result: "FitResult") -> None:
        """Take the clocks away, and bring the budget up to date."""
        self._put_back(trainer)
        self._complete(trainer)

    def _complete(self, trainer: "Trainer") -> None:
        """What the bill of the callbacks says, and what is left."""
        placed = _seconds([row for row in trainer.bill.rows if _places(row)])
        budget = self._budget
        budget.samples = trainer.state.samples - self._samples
        budget.device, budget.callbacks = placed, trainer.bill.total() - placed
        passed = time.perf_counter() - self._began
        budget.other = max(passed - (budget.seconds() - budget.other), 0.0)

    def _put_back(self, trainer: "Trainer") -> None:
        own, self._own = self._own, {}
        if not own:
            return
        if trainer.stepper is own["timed"]:  # else somebody else put it back already
            trainer.stepper = own["stepper"]
        for name in ("training_step", "optimizer_step"):
            del vars(trainer)[name]
            if own[name] is not None:
                vars(trainer)[name] = own[name]

    def _done(self, trainer: "Trainer") -> None:
        self._before = _seconds(self._rows)
        self._at = time.perf_counter()

    def _timed_forward(self, step: Callable[[Any], Any]) -> Callable[[Any], Any]:
        def timed(batch: Any) -> Any:
            loss = step(batch)
            self._forward_ended = time.perf_counter()  # it began with the step, or is one of validation
            return loss

        return timed

    def _timed_update(self, update: Callable[[], None]) -> Callable[[], None]:
        def timed() -> None:
            began = time.perf_counter()
            update()
            self._update = time.perf_counter() - began

        return timed

    def _timed_step(self, step: Any, inside: list[HookBill]) -> Any:
        @functools.wraps(step)
        def timed(trainer: "Trainer", batch: Any) -> Any:
            began = time.perf_counter()
            waited = began - self._at - (_seconds(self._rows) - self._before)
            billed = _seconds(inside)
            self._forward_ended = self._update = 0.0
            loss = step(trainer, batch)
            passed = time.perf_counter() - began - self._update - (_seconds(inside) - billed)
            budget = self._budget
            budget.data += waited
            budget.update += self._update
            if self._forward_ended:
                forward = self._forward_ended - began
                budget.forward += forward
                budget.backward += passed - forward
            else:
                budget.replay += passed
            return loss

        return timed


def _seconds(rows: list[HookBill]) -> float:
    return sum([row.seconds for row in rows]) if rows else 0.0


def _places(row: HookBill) -> bool:
    return row.hook == "on_batch_start" and isinstance(getattr(row.function, "__self__", None), DevicePlacement)
