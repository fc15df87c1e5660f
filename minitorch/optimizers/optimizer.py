"""`Optimizer`: the base of all; it finds the Parameters that have gradients, runs the hooks, and updates each one."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, Protocol, Self, runtime_checkable

import numpy as np

from minitorch import serialize
from minitorch.cuda import as_cupy, as_numpy
from minitorch.errors import ConfigError, GraphError, StateError
from minitorch.variable import Parameter

Array = Any
Hook = Callable[[list[Parameter]], None]


@runtime_checkable
class HasParams(Protocol):
    """What an optimizer needs of a layer or model."""

    def params(self) -> Iterator[Parameter]:
        """Each Parameter once."""

    def named_params(self) -> Iterator[tuple[str, Parameter]]:
        """Each Parameter once, with its path."""


class Optimizer:
    """Base of all optimizers: subclass it and write `update_one`.

    Attributes:
        target: the layer or model whose Parameters it updates, given to `setup`.
        hooks: functions that are given the Parameters with gradients before each update.
        state: by the path of each Parameter, by name, what the optimizer remembers of it.
        hyperparameters: the names of the attributes that are saved and restored with the state.
    """

    hyperparameters: tuple[str, ...] = ()

    def __init__(self) -> None:
        self.target: HasParams | None = None
        self.hooks: list[Hook] = []
        self.state: dict[str, dict[str, Any]] = {}
        self._paths: dict[Parameter, str] = {}

    def setup(self, target: HasParams) -> Self:
        """Take the Parameters of `target` to update from now on; returns the optimizer."""
        if not isinstance(target, HasParams):
            raise ConfigError(f"{type(self).__name__}.setup: got {type(target).__name__}; give a Layer or a Model")
        self.target = target
        return self

    def add_hook(self, hook: Hook) -> Self:
        """Call `hook(params)` before each update, after those added earlier; returns the optimizer."""
        self.hooks.append(hook)
        return self

    def update(self) -> None:
        """Run the hooks, then update each Parameter that has a gradient.

        Raises:
            GraphError: `setup` was not called, or no Parameter has a gradient.
        """
        if self.target is None:
            raise GraphError(f"{type(self).__name__}.update: there is no target; call .setup(model) first")
        self._paths = {param: path for path, param in self.target.named_params()}
        params = [p for p in self._paths if p.grad is not None]
        if not params:
            raise GraphError(
                f"{type(self).__name__}.update: no Parameter of {self.target!r} has a gradient; call loss.backward() "
                "after cleargrads() and before update()"
            )
        for hook in self.hooks:
            hook(params)
        for param in params:
            if param.grad is not None:  # a hook may have frozen it
                self.update_one(param)

    def update_one(self, param: Parameter) -> None:
        """Change `param.data` in place by `param.grad.data`."""
        raise NotImplementedError(f"{type(self).__name__}.update_one is not written")

    def state_of(self, param: Parameter, **zeros: Any) -> dict[str, Any]:
        """What is remembered of `param`: at first, for each name given, its value, or zeros like `param` for None."""
        path = self._paths[param]
        if path not in self.state:
            data = param.data
            self.state[path] = {k: data - data if v is None else v for k, v in zeros.items()}
        return self.state[path]

    def to_cpu(self) -> None:
        """Move the state to the host."""
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
        """Class, hyperparameters, and by path what is remembered of each Parameter; the arrays, not copies."""
        return {
            "class": type(self).__name__,
            "hyperparameters": {name: getattr(self, name) for name in self.hyperparameters},
            "state": {path: dict(entry) for path, entry in self.state.items()},
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from what `state_dict` returned; hyperparameters are restored too. Nothing is changed on error.

        Raises:
            StateError: it is of another optimizer, or of a model with other Parameters.
        """
        name = type(self).__name__
        serialize.check_keys(f"{name} state", ("class", "hyperparameters", "state"), state)
        if state["class"] != name:
            raise StateError(f"{name}: the state is of {state['class']}; make the optimizer that was saved")
        serialize.check_keys(f"{name} hyperparameters", self.hyperparameters, state["hyperparameters"])
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
        self.state = moved

    @staticmethod
    def _placed(value: Any, param: Parameter, what: str) -> Any:
        """A copy of `value` on the device of `param`."""
        if isinstance(value, int | float):
            return value
        if not param.accepts(value.shape):
            raise StateError(f"{what}: shape {tuple(value.shape)} given, {param.wanted_shape} wanted")
        on_host = param.data is None or isinstance(param.data, np.ndarray)
        return as_numpy(value).copy() if on_host else as_cupy(value).copy()


def positive(owner: str, **values: Any) -> None:
    """Raise ConfigError for the first of `values` that is not a number of at least 0."""
    for name, value in values.items():
        if isinstance(value, bool) or not isinstance(value, int | float | np.number) or not value >= 0:
            raise ConfigError(f"{owner}: {name} is {value!r}; it must be a number of at least 0")


def fractions(owner: str, **values: Any) -> None:
    """Raise ConfigError for the first of `values` that is not in [0, 1)."""
    positive(owner, **values)
    for name, value in values.items():
        if not value < 1:
            raise ConfigError(f"{owner}: {name} is {value!r}; it must be at least 0 and less than 1")


def params_of(layers: Iterable[HasParams | Parameter]) -> list[Parameter]:
    """The Parameters of all `layers`, which may be Parameters themselves."""
    return [p for layer in layers for p in ([layer] if isinstance(layer, Parameter) else layer.params())]
