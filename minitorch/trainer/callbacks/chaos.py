"""`Chaos`: failures on a schedule, to test that a program survives them."""

import os
import signal
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import attrs

from minitorch.errors import ConfigError, InjectedError
from minitorch.trainer.callback import HOOKS, Callback, Phase
from minitorch.trainer.settings import one_of

if TYPE_CHECKING:
    from minitorch.trainer.trainer import Trainer


def _in_order(steps: Iterable[int]) -> tuple[int, ...]:
    return tuple(steps)


def _check_steps(owner: Any, attribute: Any, value: tuple[Any, ...]) -> None:
    if not value or not all(isinstance(n, int) and not isinstance(n, bool) and n >= 0 for n in value):
        raise ConfigError(f"Chaos: steps is {value!r}; give some ints of at least 0")


def _check_signal(owner: Any, attribute: Any, value: str) -> None:
    if value != "raise" and not hasattr(signal, value):  # SIGKILL, on Windows
        raise ConfigError(f"Chaos: action is {value!r}, a signal that this system has not; take 'SIGTERM'")


@attrs.define(eq=False)
class Chaos(Callback):
    """Raises an error, or sends the process a signal, in a hook of some steps: once for each.

        Trainer(model, optimizer, loss=loss, callbacks=[Chaos([7, 21], "SIGKILL", folder=run), Checkpoint(run)])

    It runs after the callbacks of the phases before LOG, and before checkpoints are written. SIGKILL ends a process at
    once, with nothing written or closed. With a folder, the steps that are done with are noted in its file `chaos.txt`
    beforehand, so that the next process, which resumes the run, gets over them.

    Args:
        steps: the steps, counted from 1; 0 stands for what happens before the first, such as `on_fit_start`.
        action: "raise" raises an InjectedError; "SIGINT", "SIGTERM" and "SIGKILL" are sent to this process.
        hook: in which hook.
        folder: where to note the steps that are done with; None: they are forgotten when the process ends.

    Raises:
        ConfigError: a setting is not allowed.
    """

    phase = Phase.LOG

    steps: tuple[int, ...] = attrs.field(converter=_in_order, validator=_check_steps)
    action: Literal["raise", "SIGINT", "SIGTERM", "SIGKILL"] = attrs.field(
        default="raise", validator=[one_of("raise", "SIGINT", "SIGTERM", "SIGKILL"), _check_signal]
    )
    hook: str = attrs.field(default="on_batch_end", validator=one_of(*HOOKS))
    folder: Path | None = attrs.field(default=None, converter=attrs.converters.optional(Path))
    _done: set[int] = attrs.field(factory=set, init=False, repr=False)

    def _act(self, trainer: "Trainer", hook: str) -> None:
        if hook != self.hook:
            return
        state = trainer.state
        step = state.step + (
            hook in ("on_batch_start", "on_after_backward", "on_after_update")
        )  # before the counters move on
        if step not in self.steps or step in self._noted():
            return
        self._note(step)
        if self.action == "raise":
            raise InjectedError(f"Chaos: an error on purpose, in {hook} of step {step}")
        signal.raise_signal(signal.Signals[self.action])

    def _noted(self) -> Iterable[int]:
        path = None if self.folder is None else self.folder / "chaos.txt"
        return self._done if path is None or not path.exists() else map(int, path.read_text().split())

    def _note(self, step: int) -> None:
        self._done.add(step)
        if self.folder is not None:
            self.folder.mkdir(parents=True, exist_ok=True)
            with (self.folder / "chaos.txt").open("a") as file:
                file.write(f"{step}\n")
                file.flush()
                os.fsync(file.fileno())


def _acting(name: str) -> Any:
    def hook(self: Chaos, trainer: "Trainer", *given: Any) -> Any:
        self._act(trainer, name)
        return given[0] if name == "on_batch_start" else None

    hook.__name__ = name
    hook.__qualname__ = f"Chaos.{name}"
    hook.__doc__ = f"Fail, if this is the hook and the step; run {HOOKS[name]}."
    return hook


for _name in HOOKS:
    setattr(Chaos, _name, _acting(_name))
