"""`Optimizer`: the base of all; it finds the Parameters that have gradients, runs the hooks, and updates each one."""

from collections.abc import Callable, Mapping
from typing import Any, Self

import numpy as np

from minitorch import serialize
from minitorch.cpu.heap import keep_freed_memory
from minitorch.cpu.update import flush_denormals
from minitorch.cuda import StepNumber, as_cupy, as_numpy, capturing, xp_of
from minitorch.errors import ConfigError, DeviceError, GraphError, StateError
from minitorch.foreign import OPTIMIZER_ARGUMENTS, OPTIMIZER_ATTRIBUTES, tells_arguments, tells_attributes
from minitorch.optimizers import grouping, multi_tensor
from minitorch.optimizers.checks import HasParams, fractions, positive
from minitorch.optimizers.grouping import Groups
from minitorch.optimizers.multi_tensor import Launch, MultiTensor, Request
from minitorch.variable import Parameter

Array = Any
Hook = Callable[[list[Parameter]], None]

FLUSH_EVERY = 32  # updates: between two, what decays by 0.9 does not fall from where it is kept into the denormals


@tells_attributes(OPTIMIZER_ATTRIBUTES)
class Optimizer:
    """Base of all optimizers: subclass it and write `update_one`.

    On a device an `update_one` that is marked by `launched_by` is not called: one launch updates all Parameters.

    Attributes:
        target: the layer or model whose Parameters it updates, given to `setup`.
        groups: by pattern, the options of the Parameters whose paths it matches, given to `setup`.
        hooks: functions that are given the Parameters with gradients before each update.
        state: by the path of each Parameter, by name, what the optimizer remembers of it. A count of updates in it may
            be too large where `keep` leaves some out; `state_dict` has the right one.
        updates: how many times `update` was called.
        keep: None, or a number on the device that each update reads there: where it is negative, Parameters and state
            stay as they are. It takes an update by a launch.
        hyperparameters: the names of the attributes that are saved and restored with the state.
        given: by name, what they were when it was first set up, before any schedule; {} where a state that is gone on
            with does not say.
        decays: those of them that must be less than 1.
        fading: the names in the state of arrays that decay towards zero where gradients are zero, and whose tiny
            values mean nothing: these are set to zero before they become denormal, which many processors are slow at.
    """

    hyperparameters: tuple[str, ...] = ()
    decays: tuple[str, ...] = ()
    fading: tuple[str, ...] = ()

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if "__init__" in vars(cls):
            cls.__init__ = tells_arguments(OPTIMIZER_ARGUMENTS)(cls.__init__)  # type: ignore[method-assign]

    def __init__(self) -> None:
        self.target: HasParams | None = None
        self.groups: Groups = {}
        self.hooks: list[Hook] = []
        self.state: dict[str, dict[str, Any]] = {}
        self.updates = 0
        self.given: dict[str, Any] = {}
        self.keep: Array | None = None
        self._paths: dict[Parameter, str] = {}
        self._patterns: dict[Parameter, tuple[str, ...]] = {}
        self._options: dict[tuple[str, ...], dict[str, Any]] = {}
        self._on_device = MultiTensor()
        self._launched: list[dict[str, Any]] = []  # the state of the Parameters of the last update by a launch
        self._launched_with: tuple[Any, ...] = ()

    def setup(self, target: HasParams, groups: Mapping[str, Mapping[str, Any]] | None = None) -> Self:
        """Take the Parameters of `target` to update from now on; returns the optimizer.

            optimizer = optimizers.AdamW(1e-3).setup(model, groups={
                "*.b": {"weight_decay": 0.0},
                "head.*": {"lr": 1e-4},
            })

        Args:
            target: a layer or model.
            groups: by pattern, as of `fnmatch`, hyperparameters for those Parameters whose paths match. A Parameter
                that several patterns match gets the options of all of them, the last one to name an option decides.
                A learning rate is kept as the option `lr_scale`, its share of the optimizer's learning rate now, which
                may also be given itself: so whoever changes `optimizer.lr` moves those of the groups in proportion.

        Raises:
            ConfigError: `target` has no Parameters to ask for, or a group has an unknown option, a value that is not
                allowed, or a pattern that matches nothing.
        """
        if isinstance(target, type) or not isinstance(target, HasParams):
            given = f"the class {target.__name__}" if isinstance(target, type) else type(target).__name__
            raise ConfigError(f"{type(self).__name__}.setup: got {given}; give a Layer or a Model")
        self.groups = self._checked_groups(groups or {}, [path for path, _ in target.named_params()])
        if self.target is None:
            self.given = self._settings()
        self.target = target
        keep_freed_memory()
        self._paths = {}  # so that the next update matches the patterns anew
        return self

    def _checked_groups(self, groups: Mapping[str, Mapping[str, Any]], paths: list[str]) -> Groups:
        owner = f"{type(self).__name__}.setup"
        names = [name for name in self.hyperparameters if not isinstance(getattr(self, name), bool)]
        if "lr" in names:
            names.append("lr_scale")
        checked = grouping.checked(owner, groups, names, paths)
        for pattern, options in checked.items():
            try:
                self.check(**options)
            except ConfigError as error:
                raise ConfigError(f"{owner}: groups[{pattern!r}]: {error}") from None
            if "lr" in options:
                grouping.make_relative(f"{owner}: groups[{pattern!r}]", options, self.lr)  # type: ignore[attr-defined]
        return checked

    def add_hook(self, hook: Hook) -> Self:
        """Call `hook(params)` before each update, after those added earlier; returns the optimizer.

        Raises:
            ConfigError: `hook` is no function, or a class.
        """
        if isinstance(hook, type) or not callable(hook):
            given = f"the class {hook.__name__}" if isinstance(hook, type) else repr(hook)
            raise ConfigError(
                f"{type(self).__name__}.add_hook: got {given}; give a function of the list of Parameters, such as "
                "WeightDecay(1e-4)"
            )
        self.hooks.append(hook)
        return self

    def update(self) -> None:
        """Run the hooks, then update each Parameter that has a gradient.

        Raises:
            GraphError: `setup` was not called, or no Parameter has a gradient.
        """
        if self.target is None:
            raise GraphError(f"{type(self).__name__}.update: there is no target; call .setup(model) first")
        self._find_params(self.target)
        params = [p for p in self._paths if p.grad is not None]
        if not params:
            raise GraphError(
                f"{type(self).__name__}.update: no Parameter of {self.target!r} has a gradient; call loss.backward() "
                "after cleargrads() and before update()"
            )
        launch: Launch | None = getattr(self.update_one, "launch", None)
        if launch is not None and multi_tensor.taken(params):
            self._update_by(launch, params)
        else:
            self._update_each(params)
        self.updates += 1
        if self.updates % FLUSH_EVERY == 0:
            self._flush_denormals()

    def cleargrads(self) -> None:
        """Forget the gradients of the Parameters of the newest update; before the first, of all of the target.

        It does what `model.cleargrads()` does, as long as no gradient was computed of a Parameter that came to the
        model since, and does not search the model for Parameters as `update` does anyway.
        """
        if self.target is None:
            return
        for param in self._paths or self.target.params():
            if param.node is not None:
                param.node.grad = None

    def _update_each(self, params: list[Parameter]) -> None:
        for hook in self.hooks:
            hook(params)
        if self.keep is not None:
            raise DeviceError(
                f"{type(self).__name__} updates Parameters one by one, and cannot leave out an update without waiting "
                "for the device; what a launch updates are float32 Parameters in C order, by an update_one of minitorch"
            )
        if xp_of(params[0].data) is not np and capturing():
            raise DeviceError(
                f"{type(self).__name__} updates Parameters one by one, with numbers of the host; what a launch updates "
                "are float32 Parameters in C order, by an update_one of minitorch"
            )
        for param in params:
            if param.grad is not None:  # a hook may have frozen it
                self.update_one(param)

    def _update_by(self, launch: Launch, params: list[Parameter]) -> None:
        hooks, longest, decay = multi_tensor.split(self.hooks)
        self._launched_with = self._launch_settings()
        for hook in hooks:
            hook(params)
        params = [p for p in params if p.grad is not None]
        own = {name: getattr(self, name) for name in self.hyperparameters} | {"lr": 1.0}
        found = {patterns: grouping.merged(self.groups, patterns, own) for patterns in self._options}
        self._launched = [self.state_of(p, **launch.zeros) if launch.zeros else {} for p in params]
        options = [found[self._patterns[p]] for p in params]
        request = Request(params, self._launched, options, longest, decay, self.keep)
        if params:
            self._on_device.update(launch, self.rate, request)

    @property
    def rate(self) -> StepNumber:
        """The learning rate as updates by a launch read it on the device; `now` is that of the host."""
        self._on_device.lr.now = self.lr  # type: ignore[attr-defined]
        return self._on_device.lr

    def refresh(self) -> int:
        """Before a captured update is replayed: a number that changes when the capture is out of date.

        It is when something has changed besides the learning rate, which a launch reads anew: see `rate`.
        """
        if self._launch_settings() != self._launched_with:
            self._on_device.outdate()
        return self._on_device.generation

    def arrays(self) -> list[Array]:
        """All arrays that an update changes, besides the Parameters: the state, and the counts on a device."""
        state = [
            value for entry in self.state.values() for value in entry.values() if not isinstance(value, int | float)
        ]
        return [*state, *self._on_device.counts()]

    def _launch_settings(self) -> tuple[Any, ...]:
        """What the user may change that a launch is made with."""
        own = [getattr(self, name) for name in self.hyperparameters if name != "lr"]
        hooks, longest, decay = multi_tensor.split(self.hooks)
        return *own, *hooks, longest, decay, id(self.keep)

    def advance(self, updates: int) -> None:
        """Count so many updates that replays of a captured one have made; a negative number takes them back."""
        multi_tensor.count(self._launched, self.update_one.launch, updates)  # type: ignore[attr-defined]
        self.updates += updates
        if self.keep is not None:
            self._on_device.counter = self.update_one.launch.counter  # type: ignore[attr-defined]

    def _find_params(self, target: HasParams) -> None:
        """Note which Parameters there are now, and the options of each in this update."""
        paths = {param: path for path, param in target.named_params()}
        if paths != self._paths:
            self._paths = paths
            self._patterns = {param: grouping.matching(self.groups, path) for param, path in paths.items()}
        own = {name: getattr(self, name) for name in self.hyperparameters}
        self._options = {found: grouping.merged(self.groups, found, own) for found in set(self._patterns.values())}

    def _flush_denormals(self) -> None:
        for entry in self.state.values():
            for name in self.fading:
                value = entry.get(name)
                if isinstance(value, np.ndarray):  # a GPU does not mind them
                    flush_denormals(value)

    def update_one(self, param: Parameter) -> None:
        """Change `param.data` in place by `param.grad.data`."""
        raise NotImplementedError(f"{type(self).__name__}.update_one is not written")

    def state_of(self, param: Parameter, **zeros: Any) -> dict[str, Any]:
        """What is remembered of `param`: at first, for each name given, its value, or zeros like `param` for None."""
        path = self._paths[param]
        if path not in self.state:
            zero = xp_of(param.data).zeros_like
            self.state[path] = {k: zero(param.data) if v is None else v for k, v in zeros.items()}
        return self.state[path]

    def options_of(self, param: Parameter) -> dict[str, Any]:
        """The hyperparameters by name for `param`: those of the optimizer, but for what its groups say."""
        return self._options[self._patterns[param]]

    def check(self, **options: Any) -> None:
        """Raise ConfigError for the first of `options` that is not allowed as a hyperparameter of that name."""
        for name, value in options.items():
            rule = fractions if name in self.decays else positive
            rule(type(self).__name__, **{name: value})

    def to_cpu(self) -> None:
        """Move the state to the host."""
        self._on_device.read_counts()
        self._on_device, self._launched = MultiTensor(), []
        self._move(as_numpy)

    def to_gpu(self) -> None:
        """Move the state to the current GPU."""
        self._move(as_cupy)

    def _move(self, move: Callable[[Any], Any]) -> None:
        for entry in self.state.values():
            for name, value in entry.items():
                if not isinstance(value, int | float):
                    entry[name] = move(value)

    def state_dict(self) -> dict[str, Any]:
        """Class, hyperparameters now and as given, groups, count, state of each Parameter by path; arrays uncopied."""
        self._on_device.read_counts()
        return {
            "class": type(self).__name__,
            "hyperparameters": self._settings(),
            "given": dict(self.given),
            "groups": {
                pattern: {name: _plain(value) for name, value in options.items()}
                for pattern, options in self.groups.items()
            },
            "updates": self.updates,
            "state": {path: dict(entry) for path, entry in self.state.items()},
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from what `state_dict` returned; hyperparameters are restored too. Nothing is changed on error.

        Raises:
            StateError: it is of another optimizer, of other groups, or of a model with other Parameters.
        """
        self._check_state(state)
        name = type(self).__name__
        params = {} if self.target is None else dict(self.target.named_params())
        unknown = [path for path in state["state"] if path not in params]
        if unknown:
            raise StateError(f"{name}: the state has Parameters that the model has not: {', '.join(sorted(unknown))}")
        moved = {
            path: {key: self._placed(value, params[path], f"{name}: {path}/{key}") for key, value in entry.items()}
            for path, entry in state["state"].items()
        }
        for key, value in state["hyperparameters"].items():
            setattr(self, key, value)
        self.groups = {pattern: dict(options) for pattern, options in state["groups"].items()}
        self.given = dict(state.get("given", {}))
        self.updates = state["updates"]
        self.state = moved
        self._paths = {}  # so that the next update matches the patterns anew

    def _settings(self) -> dict[str, Any]:
        """The hyperparameters by name, as they are now."""
        return {name: _plain(getattr(self, name)) for name in self.hyperparameters}

    def _check_state(self, state: Mapping[str, Any]) -> None:
        """Raise StateError unless `state` is of this class, with the same names throughout."""
        name = type(self).__name__
        parts = {"class", "hyperparameters", "given", "groups", "updates", "state"}
        serialize.check_keys(f"{name} state", parts, {*state, "given"})  # earlier states do not say what was given
        if state["class"] != name:
            raise StateError(f"{name}: the state is of {state['class']}; make the optimizer that was saved")
        serialize.check_keys(f"{name} hyperparameters", self.hyperparameters, state["hyperparameters"])
        serialize.check_keys(f"{name} groups", self.groups, state["groups"])
        for pattern, options in self.groups.items():
            serialize.check_keys(f"{name} groups[{pattern!r}]", options, state["groups"][pattern])

    @staticmethod
    def _placed(value: Any, param: Parameter, what: str) -> Any:
        """A copy of `value` on the device of `param`."""
        if isinstance(value, int | float):
            return value
        if not param.accepts(value.shape):
            raise StateError(f"{what}: shape {tuple(value.shape)} given, {param.wanted_shape} wanted")
        return param.place(value).copy()


def _plain(value: Any) -> Any:
    """A NumPy number as Python's, which can be written as JSON."""
    return value.item() if isinstance(value, np.generic) else value
