"""`Callback`: what can be attached to a Trainer, its hooks, and the order in which they run."""

import enum
import inspect
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from minitorch.cuda import StepNumber
from minitorch.errors import ConfigError, HookError, StateError
from minitorch.foreign import CALLBACK_ARGUMENTS, tells_arguments
from minitorch.spelling import similar
from minitorch.trainer.bill import Bill, HookBill
from minitorch.trainer.foreign_names import HOOKS_ELSEWHERE, METHODS, WITH_STAGE

if TYPE_CHECKING:
    from minitorch.trainer.state import FitResult, StepOutputs
    from minitorch.trainer.trainer import Trainer

HOOKS: Mapping[str, str] = {
    "on_fit_start": "once, after a resumed state is restored and before the first batch",
    "on_epoch_start": "before the first batch of an epoch, also of one that is resumed in its middle",
    "on_batch_start": "before each batch is used; takes the batch and returns it, perhaps changed",
    "on_after_backward": "when the gradients of an update are there, before the optimizer uses them",
    "on_after_update": "when the optimizer has updated the Parameters",
    "on_batch_end": "after each training batch",
    "on_validation_start": "before validation",
    "on_validation_end": "after validation, with its metrics",
    "on_epoch_end": "after the last batch of an epoch and its validation, with the metrics of the epoch",
    "on_checkpoint": "after everything else of a batch is finished: the only time to save state",
    "on_exception": "when the run fails; the error is raised again afterwards",
    "on_fit_end": "once, when the run ends without an error",
}


ARGUMENTS = ("trainer", "batch", "outputs", "metrics", "error", "result")  # of hooks
STEPS = ("training_step", "validation_step", "predict_step", "optimizer_step")
STAGES = ("train", "validate", "predict")


class Phase(enum.IntEnum):
    """When a callback runs among the others: all of one phase before those of the next."""

    DEVICE = 0
    DATA = 1
    METRIC = 2
    CONTROL = 3
    LOG = 4
    CHECKPOINT = 5


def check_hooks(cls: type, base: type) -> None:
    """Raise HookError if `cls` defines an `on_...` method that is no hook of `base`, or one with other arguments."""
    for name, method in vars(cls).items():
        if base is not Callback and name in METHODS:
            raise HookError(f"{cls.__name__}.{name} would never run; {METHODS[name]}")
        if inspect.isfunction(method):
            if name in WITH_STAGE and "stage" in inspect.signature(method).parameters:
                raise HookError(f"{cls.__name__}.{name} would never run; {WITH_STAGE[name]}")
            check_arguments(cls.__name__, base, name, method)
            if base is not Callback:
                check_step(cls, base, name)
        if name.startswith("on_") and name not in HOOKS:
            near = similar(name.replace("begin", "start"), HOOKS)  # begin: Keras's word
            hint = f"did you mean {near[0]}?" if near else "rename it if it is no hook."
            hint = f"{HOOKS_ELSEWHERE[name]}." if name in HOOKS_ELSEWHERE else hint
            raise HookError(
                f"{cls.__name__}.{name} is no hook of {base.__name__}; {hint} The hooks: {', '.join(HOOKS)}"
            )


def check_step(cls: type, base: type, name: str) -> None:
    """Raise HookError if `name`, a method of `cls`, is a misspelt step of `base`, and would never run.

    Methods of one's own, such as `generator_step` or `_training_step`, are less like a step, or have its name in them.
    """
    if hasattr(base, name) or not name.endswith(("step", "stp", "stpe", "setp")) or any(s in name for s in STEPS):
        return
    near = similar(name, STEPS, cutoff=0.9)
    if near:
        raise HookError(f"{cls.__name__}.{name} is no step of {base.__name__}; did you mean {near[0]}?")


def check_arguments(owner: str, base: type, name: str, method: Callable[..., Any], *, bound: bool = False) -> None:
    """Raise HookError if `method`, a hook or a step of `owner`, cannot be called as the one of `base` is.

    What can be called so, but names its arguments as another framework does, would take one thing for another, and is
    refused too.
    """
    if name not in HOOKS and not name.endswith("_step"):
        return
    model = getattr(base, name, None) or getattr(Callback, name, None)
    if model is None:
        return
    wanted = _arguments(model)
    if not hasattr(base, name):
        wanted.remove("trainer")  # a Trainer's own hook
    if bound:
        wanted.remove("self")
    for kind in ("generatorfunction", "coroutinefunction", "asyncgenfunction"):
        if getattr(inspect, f"is{kind}")(method):
            word = "yields" if "gen" in kind else "is async"
            raise HookError(f"{owner}.{name} {word}, so a call would not run it; write a plain function")
    if not bound and _takes(method, wanted):
        return
    given = inspect.signature(method)
    try:
        given.bind(*wanted)
    except TypeError:
        fits = False
    else:
        fits = not _mistaken(list(given.parameters), wanted)
    if not fits:
        raise HookError(
            f"{owner}.{name} takes ({', '.join(given.parameters)}); it is called with ({', '.join(wanted)}): "
            f"write def {name}({', '.join(wanted)})"
        )


def _arguments(function: Callable[..., Any]) -> list[str]:
    """The names of its positional arguments, as written; `inspect.signature` takes long, and there are many hooks."""
    code = function.__code__
    return list(code.co_varnames[: code.co_argcount])


def _takes(method: Callable[..., Any], names: list[str]) -> bool:
    """Whether a plain function has just these arguments."""
    return _arguments(method) == names and not method.__code__.co_kwonlyargcount


def _mistaken(given: Sequence[str], wanted: Sequence[str]) -> bool:
    """Whether an argument has the name of another one, or of what a hook of Keras or Lightning is given there."""
    others = {*ARGUMENTS, "epoch", "logs", "pl_module", "batch_idx"}
    return any(
        theirs != ours and theirs in others and (theirs, ours) != ("logs", "metrics")  # these are the same
        for theirs, ours in zip(given, wanted, strict=False)
    )


def _is_generated(method: Any) -> bool:
    """Whether attrs wrote it; one that a user wrote may say `super()`, which attrs finds in no wrapper."""
    return inspect.isfunction(method) and method.__code__.co_filename.startswith("<attrs generated")


class Callback:
    """Base of all callbacks: override the hooks you need, and give it to a Trainer.

        class PrintLoss(Callback):
            def on_epoch_end(self, trainer, metrics):
                print(trainer.state.epoch, metrics["loss"])

    A hook that nobody overrides costs nothing. Defining an `on_...` method that is no hook is an error at once.

    Attributes:
        phase: when it runs among other callbacks; within a phase they run in the order given to the Trainer.
        stages: for batches of which stages `on_batch_start` is called: "train", "validate", "predict".
        needs_host: which of the hooks inside a batch need the host, or the arrays as they are then, in each one. It is
            asked where `CudaGraph` captures steps: `on_after_backward` or `on_after_update` among them forces eager
            mode; without it the hook is called once, while the step is captured, and what it did on the device is
            repeated. Numbers that such a hook needs, and that differ between steps, it reads from `step_numbers`.
            For `on_batch_start`, `on_batch_end` or `on_checkpoint` each step is launched by itself, and the batch is
            made before it. A callback whose hooks look at `outputs.metrics` and count, and no more, says `()`.
        at_log_interval: whether its `on_batch_end` is called only for the batch that ends a log interval, which has
            `outputs.metrics`; so it costs the others nothing. A subclass with an `on_batch_end` of its own is called
            for each batch unless it says so again.
        logs: names of the metrics that its hooks log or add, where it says so: a misspelled `monitor` is then found
            before the first step.
        first_in: hooks in which it comes before all other callbacks, whatever its phase.
        last_in: hooks in which it comes after all others.
    """

    phase: ClassVar[Phase] = Phase.METRIC
    stages: ClassVar[tuple[str, ...]] = ("train",)
    needs_host: ClassVar[tuple[str, ...]] = (
        "on_batch_start", "on_after_backward", "on_after_update", "on_batch_end", "on_checkpoint",
    )  # fmt: skip
    at_log_interval: ClassVar[bool] = False
    logs: ClassVar[tuple[str, ...]] = ()
    first_in: ClassVar[tuple[str, ...]] = ()
    last_in: ClassVar[tuple[str, ...]] = ()

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        check_hooks(cls, Callback)
        if "on_batch_end" in vars(cls) and "at_log_interval" not in vars(cls):
            cls.at_log_interval = False
        if "__init__" in vars(cls) and _is_generated(cls.__init__):
            cls.__init__ = tells_arguments(CALLBACK_ARGUMENTS)(cls.__init__)  # type: ignore[method-assign]
        saves, loads = (getattr(cls, name) is not getattr(Callback, name) for name in ("state_dict", "load_state_dict"))
        if saves != loads:
            has, lacks = ("state_dict", "load_state_dict") if saves else ("load_state_dict", "state_dict")
            raise HookError(
                f"{cls.__name__} defines {has} and no {lacks}; a resumed run needs both: what state_dict(self) returns "
                "is given to load_state_dict(self, state)"
            )

    def on_fit_start(self, trainer: "Trainer") -> None:
        """Run once, after a resumed state is restored and before the first batch."""

    def on_epoch_start(self, trainer: "Trainer") -> None:
        """Run before the first batch of an epoch, also of one that is resumed in its middle."""

    def on_batch_start(self, trainer: "Trainer", batch: Any) -> Any:
        """Run before each batch of the `stages` is used; must return the batch, perhaps changed."""
        return batch

    def on_after_backward(self, trainer: "Trainer") -> None:
        """Run when the gradients of an update are there, before the optimizer uses them; may change them."""

    def on_after_update(self, trainer: "Trainer") -> None:
        """Run when the optimizer has updated the Parameters, before any counter moves on; may change them."""

    def on_batch_end(self, trainer: "Trainer", outputs: "StepOutputs") -> None:
        """Run after each training batch; reading `outputs.loss` waits for the device, `outputs.metrics` does not.

        Where several batches make one update, `trainer.state.waiting == 0` says that this batch did it.
        """

    def on_validation_start(self, trainer: "Trainer") -> None:
        """Run before validation."""

    def on_validation_end(self, trainer: "Trainer", metrics: dict[str, float]) -> None:
        """Run after validation, with its metrics, named `val_...`."""

    def on_epoch_end(self, trainer: "Trainer", metrics: dict[str, float]) -> None:
        """Run after the last batch of an epoch and its validation, with the metrics of both."""

    def on_checkpoint(self, trainer: "Trainer") -> None:
        """Run after everything else of a batch is finished: the only time at which state may be saved."""

    def on_exception(self, trainer: "Trainer", error: BaseException) -> None:
        """Run when the run fails, instead of `on_fit_end`; the error is raised again afterwards."""

    def on_fit_end(self, trainer: "Trainer", result: "FitResult") -> None:
        """Run once, when the run ends without an error."""

    def describe(self, trainer: "Trainer") -> list[str]:
        """Lines for `trainer.explain()`, of what cannot be seen from the settings."""
        return []

    def step_numbers(self) -> Sequence[StepNumber]:
        """Numbers that `on_after_backward` and `on_after_update` read on the device, always the same objects.

        Their `now` is set before each step, in `on_batch_start`: so a graph of several steps has that of each.
        """
        return ()

    def state_dict(self) -> dict[str, Any]:
        """What a resumed run needs, by name: numbers, strings, lists, dicts with strings as keys, and arrays.

        They may be the callback's own: they are written, or copied, before anything runs. Tuples come back as lists.
        """
        return {}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from what `state_dict` returned.

        Raises:
            StateError: there is state, and the class has no use for it.
        """
        if state:
            raise StateError(f"{type(self).__name__} keeps no state, but was given {', '.join(state)}")


class HookLists:
    """For each hook what to call with the Trainer, in order; a list is empty where nobody overrides the hook.

    No function is bound to the Trainer itself, so that it is freed, with all its model holds, when its last user goes.

    Attributes:
        batch_start: by stage, those of `on_batch_start` that are called for its batches.
        batch_end: those of `on_batch_end` that are called for each batch, also where no log interval ends.

    Raises:
        ConfigError: something among `callbacks` is none.
        HookError: a hook cannot be called with its arguments, or is an attribute of the Trainer itself.
    """

    def __init__(self, trainer: "Trainer", callbacks: Sequence[Callback]) -> None:
        order = in_order(trainer, callbacks)
        names = {callback: name for name, callback in named(callbacks).items()}
        rows: list[HookBill] = []
        for hook in HOOKS:
            users = users_of(hook, order)
            calls = [HookBill(names.get(who, type(who).__name__), hook, function(who, trainer, hook)) for who in users]
            setattr(self, hook, calls)
            rows += calls
            if hook == "on_batch_start":
                stages = [(Callback if who is trainer else who).stages for who in users]
                self.batch_start = {
                    stage: [call for call, wanted in zip(calls, stages, strict=True) if stage in wanted]
                    for stage in STAGES
                }
            elif hook == "on_batch_end":
                self.batch_end = [
                    c for c, who in zip(calls, users, strict=True) if who is trainer or not who.at_log_interval
                ]
        self.bill = Bill(rows)

    if TYPE_CHECKING:

        def __getattr__(self, name: str) -> list[HookBill]: ...

    def start_batch(self, trainer: "Trainer", batch: Any) -> Any:
        """`batch` as the callbacks for this stage leave it."""
        for hook in self.batch_start[trainer.stage]:
            batch = hook(trainer, batch)
            if batch is None:
                raise ConfigError(f"{hook.name} returned None; it must return the batch")
        return batch

    def fail(self, trainer: "Trainer", error: BaseException) -> None:
        """Run every `on_exception`; what one of them raises becomes a note of `error`."""
        for hook in self.on_exception:
            try:
                hook(trainer, error)
            except BaseException as second:  # each gets its turn, and the first error is the one that is raised
                error.add_note(f"while handling it, {hook.name} raised {second!r}")


def checked(callbacks: Iterable[Callback]) -> list[Callback]:
    """The callbacks as a new list.

    Raises:
        ConfigError: there is something else among them, or the same one twice.
    """
    if isinstance(callbacks, Callback):
        raise ConfigError(f"Trainer: callbacks is {callbacks!r}; give a list: callbacks=[{callbacks!r}]")
    if isinstance(callbacks, Mapping | str) or not isinstance(callbacks, Iterable):
        raise ConfigError(f"Trainer: callbacks is {callbacks!r}; give a list of instances of subclasses of Callback")
    found = list(callbacks)
    for callback in found:
        if isinstance(callback, type) and issubclass(callback, Callback):
            name = callback.__name__
            raise ConfigError(f"Trainer: callback {name} is a class; give an instance: {name}(...)")
        if not isinstance(callback, Callback):
            schedule = type(callback).__module__ == "minitorch.optimizers.schedules"
            remedy = f"LRSchedule({callback!r})" if schedule else "instances of subclasses of Callback"
            raise ConfigError(f"Trainer: {callback!r} is no Callback; give {remedy}")
        if not isinstance(callback.phase, Phase):
            raise ConfigError(
                f"Trainer: phase of {callback!r} is {callback.phase!r}; it must be one of "
                f"{', '.join(f'Phase.{phase.name}' for phase in Phase)}"
            )
        if sum(other is callback for other in found) > 1:
            raise ConfigError(f"Trainer: one and the same {callback!r} is twice among the callbacks; leave one out")
    return found


def named(callbacks: Iterable[Callback]) -> dict[str, Callback]:
    """The callbacks by class name, numbered from the second of a class on."""
    names: dict[str, Callback] = {}
    for callback in callbacks:
        name = cls = type(callback).__name__
        count = 1
        while name in names:
            count += 1
            name = f"{cls}-{count}"
        names[name] = callback
    return names


def in_order(trainer: "Trainer", callbacks: Iterable[Callback]) -> list[Any]:
    """The callbacks by phase, then as given; the Trainer's own hooks come first in CONTROL."""
    ranked: list[tuple[Phase, int, Any]] = [(c.phase, i, c) for i, c in enumerate(checked(callbacks))]
    ranked.append((Phase.CONTROL, -1, trainer))
    return [who for _, _, who in sorted(ranked, key=lambda item: item[:2])]


def users_of(hook: str, order: Iterable[Any]) -> list[Any]:
    """Who of `order` has written the hook, in the order in which they run."""
    users = [who for who in order if overrides(who, hook)]
    return sorted(users, key=lambda who: (hook in _turn(who, "last_in")) - (hook in _turn(who, "first_in")))


def _turn(who: Any, which: str) -> tuple[str, ...]:
    return getattr(who, which) if isinstance(who, Callback) else ()


def function(who: Any, trainer: "Trainer", name: str) -> Callable[..., Any]:
    """The hook `name` of `who`, to be called with the Trainer first; that of the Trainer itself is not bound to it.

    Raises:
        HookError: it cannot be called with its arguments; or somebody has set it on the Trainer itself.
    """
    cls, own = type(who), who is trainer
    if own and name in vars(who):
        raise HookError(
            f"{name} is set on the {cls.__name__} itself; define it in a subclass of {cls.__name__}, or in a Callback"
        )
    hook: Callable[..., Any] = getattr(cls if own else who, name)
    if not getattr(hook, "__module__", "").startswith("minitorch."):  # set after the class was defined, perhaps
        check_arguments(cls.__name__, object if own else Callback, name, hook, bound=not own)
    return hook


def overrides(who: Any, name: str) -> bool:
    """Whether the class of `who`, or `who` itself, has a hook of its own."""
    if name in getattr(who, "__dict__", ()):
        return True
    method = getattr(type(who), name, None)
    return method is not None and method is not getattr(Callback, name)
