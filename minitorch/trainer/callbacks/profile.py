"""`Profile`: where the time of a training step goes, as a trace to look at."""

import copy
import functools
import json
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import attrs
import numpy as np

from minitorch.errors import ConfigError
from minitorch.serialize.atomic import replacing
from minitorch.trainer.bill import HookBill, Mark
from minitorch.trainer.callback import HOOKS, HookLists, Phase
from minitorch.trainer.callbacks.device_stats import module_of
from minitorch.trainer.callbacks.run_files import RunFiles

if TYPE_CHECKING:
    from minitorch.trainer.state import FitResult
    from minitorch.trainer.trainer import Trainer

PARTS = {"training_step": "forward", "optimizer_step": "optimizer", "evaluate": "validation"}


def _check_steps(owner: Any, attribute: Any, value: Any) -> None:
    if not isinstance(value, range) or not value or value.start < 1 or value.step != 1:
        raise ConfigError(f"Profile: steps is {value!r}; give the steps to measure, counted from 1: range(10, 20)")


@attrs.define(eq=False)
class Profile(RunFiles):
    """Measures some training steps and writes them to `trace.json` in a folder, for ui.perfetto.dev or chrome://tracing.

        Trainer(model, optimizer, loss=loss, callbacks=[Profile("runs/mnist", steps=range(100, 110))])

    The trace shows for each step the wait for the batch, forward, backward and optimizer, validation, and every hook of
    every callback. Steps that are not measured cost nothing.

    A GPU works while Python goes on. So there the trace tells how long Python took to hand the work over, unless
    `synchronize` makes it wait for the device at the end of each part, which makes the step as a whole slower.

    Args:
        folder: the folder of the run; made where it is missing.
        steps: which steps to measure, counted from 1. The first two or so are slower than the others.
        synchronize: whether to wait for the GPU, so that each part shows the time of its own work.
        overwrite: whether a new run may replace the trace of an earlier one.

    Raises:
        ConfigError: `steps` is no range of steps, or empty.
    """

    phase = Phase.CHECKPOINT
    needs_host = ()

    patterns = ("trace.json",)

    steps: range = attrs.field(default=range(3, 13), validator=_check_steps)
    synchronize: bool = False
    _recorder: "_Recorder | None" = attrs.field(default=None, init=False, repr=False)

    def on_fit_start(self, trainer: "Trainer") -> None:
        """Begin, if the run begins with steps to measure."""
        self._begin_if_due(trainer)

    def on_checkpoint(self, trainer: "Trainer") -> None:
        """Begin before the first step to measure."""
        self._begin_if_due(trainer)

    def on_exception(self, trainer: "Trainer", error: BaseException) -> None:
        """Write what was measured, the step that failed included."""
        if self._recorder is not None:
            self._recorder.keep_step()
            self._write()

    def on_fit_end(self, trainer: "Trainer", result: "FitResult") -> None:
        """Write what was measured, where the run ends before the last of the steps."""
        if self._recorder is not None:
            self._write()

    def _begin_if_due(self, trainer: "Trainer") -> None:
        step = trainer.state.step + 1
        if self._recorder is None and (step in self.steps or step + 1 in self.steps):  # ready when the first begins
            self._recorder = _Recorder(trainer, self.steps, self.synchronize, self._write)

    def _write(self) -> None:
        assert self._recorder is not None
        events, self._recorder = self._recorder.stop(), None
        names = {"process_name": "minitorch", "thread_name": "training"}
        named = [{"name": k, "ph": "M", "pid": 1, "tid": 1, "args": {"name": v}} for k, v in names.items()]
        content = json.dumps({"traceEvents": named + events, "displayTimeUnit": "ms"}).encode()
        with replacing(self.folder / "trace.json", len(content)) as file:
            file.write(content)


class _Recorder:
    """Puts clocks around the parts of a Trainer's steps and around all hooks, until `stop`.

    Args:
        trainer: whose steps.
        steps: which of them are kept.
        synchronize: whether to wait for a GPU before each look at the clock.
        done: called when the last step is over.
    """

    def __init__(self, trainer: "Trainer", steps: range, synchronize: bool, done: Callable[[], None]) -> None:
        self.trainer, self.steps, self.synchronize, self.done = trainer, steps, synchronize, done
        self.events: list[dict[str, Any]] = []
        self._hooks = trainer.hooks
        self._parts = {name: vars(trainer).get(name) for name in PARTS}
        trainer.hooks = self._clocked(trainer.hooks)
        for name, label in PARTS.items():
            vars(trainer)[name] = self._timed(getattr(trainer, name), label, "step")
        self._begin_step(trainer)

    def stop(self) -> list[dict[str, Any]]:
        """Take the clocks away; returns the events of the steps that were kept."""
        self.trainer.hooks = self._hooks
        for name, before in self._parts.items():
            del vars(self.trainer)[name]
            if before is not None:
                vars(self.trainer)[name] = before
        return self.events

    def keep_step(self) -> None:
        """Keep what was measured of the step under way, if it is one of the steps."""
        if self._step in self.steps:
            self._add(f"step {self._step}", "step", self._step_began)
            self.events += self._step_events

    def _clocked(self, hooks: HookLists) -> HookLists:
        """The same hooks, timed, with marks where the parts of a step begin and end."""
        clocked = copy.copy(hooks)
        for name in HOOKS:
            setattr(clocked, name, [self._timed_hook(hook) for hook in getattr(hooks, name)])
        clocked.batch_start = {
            stage: [self._timed_hook(hook) for hook in calls] for stage, calls in hooks.batch_start.items()
        }
        pairs = zip(hooks.on_batch_end, clocked.on_batch_end, strict=True)
        clocked.batch_end = [timed for hook, timed in pairs if hook in hooks.batch_end]
        marks = (("on_batch_start", self._end_wait), ("on_after_backward", self._end_backward))
        for name, mark in marks:
            calls = clocked.batch_start["train"] if name == "on_batch_start" else getattr(clocked, name)
            calls.insert(0, Mark("Profile", name, mark))
        clocked.on_checkpoint.append(Mark("Profile", "on_checkpoint", self._end_step))
        return clocked

    def _begin_step(self, trainer: "Trainer") -> None:
        self._step = trainer.state.step + 1
        self._step_events: list[dict[str, Any]] = []
        self._step_began = self._part_ended = self._now()

    def _end_wait(self, trainer: "Trainer", batch: Any) -> Any:
        self._add("wait for the batch", "step", self._part_ended)
        return batch

    def _end_backward(self, trainer: "Trainer") -> None:
        self._add("backward", "step", self._part_ended)

    def _end_step(self, trainer: "Trainer") -> None:
        self.keep_step()
        self._begin_step(trainer)
        if self._step >= self.steps.stop:
            self.done()

    def _timed_hook(self, hook: HookBill) -> HookBill:
        return HookBill(hook.callback, hook.hook, self._timed(hook, hook.name, "callback"))

    def _timed(self, call: Callable[..., Any], label: str, category: str) -> Callable[..., Any]:
        @functools.wraps(call)
        def timed(*args: Any) -> Any:
            began = self._now()
            try:
                return call(*args)
            finally:
                self._add(label, category, began)

        return timed

    def _add(self, label: str, category: str, began: float) -> None:
        """Note a part that began then and ends now, in the format of Chrome's traces: microseconds."""
        self._part_ended = now = self._now()
        span = {"ts": began * 1e6, "dur": (now - began) * 1e6}
        event = {"name": label, "cat": category, "ph": "X", "pid": 1, "tid": 1, **span, "args": {"step": self._step}}
        self._step_events.append(event)

    def _now(self) -> float:
        xp = module_of(self.trainer.model) if self.synchronize else np
        if xp is not np:
            xp.cuda.Device().synchronize()
        return time.perf_counter()
