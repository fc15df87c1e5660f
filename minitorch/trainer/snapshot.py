"""The whole state of a Trainer as one tree, and that tree in one file."""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from os import PathLike
from pathlib import PurePath
from typing import TYPE_CHECKING, Any

import attrs
import numpy as np

from minitorch import random, serialize
from minitorch.cuda import is_array, sync_allowed
from minitorch.errors import CheckpointError, ConfigError, MinitorchError, StateError
from minitorch.optimizers import Optimizer
from minitorch.trainer.callback import Callback, named
from minitorch.trainer.optimizers import ONE
from minitorch.trainer.settings import check_number
from minitorch.trainer.state import TrainState
from minitorch.variable import Variable

if TYPE_CHECKING:
    from minitorch.trainer.trainer import Trainer

FORMAT_VERSION = 1
OTHER_CALLBACKS = (
    "Give the Trainer the callbacks that the run had, or begin a new one from its weights alone: "
    "model.load_weights(path, prefix='model/')"
)
PARTS = (
    "format_version", "model", "optimizer", "accumulation", "state", "random", "loader", "means", "validation",
    "history", "callbacks",
)  # fmt: skip


def state_dict(trainer: "Trainer") -> dict[str, Any]:
    """Everything that a resumed run needs; the arrays themselves, not copies."""
    loader, means = trainer.train_loader, trainer.means.state_dict()  # these first: steps held back are then done
    return {
        "format_version": FORMAT_VERSION,
        "model": trainer.model.state_dict(),
        "optimizer": _optimizers(trainer.optimizers),
        "accumulation": trainer.accumulation.state_dict(trainer.model, trainer.state.waiting),
        "state": attrs.asdict(trainer.state),
        "random": list(random.get_state()),
        "loader": loader.state_dict() if hasattr(loader, "state_dict") else {},
        "means": means,
        "validation": dict(trainer.validation),
        "history": [dict(metrics) for metrics in trainer.history],
        "callbacks": callback_states(trainer.callbacks),
    }


def load_state_dict(trainer: "Trainer", state: Mapping[str, Any]) -> None:
    """Make `trainer` go on where the one that gave `state` was.

    Raises:
        StateError: a part is missing or unexpected, or does not fit; the message says which.
    """
    if not isinstance(state, Mapping):
        raise StateError(
            f"load_state_dict: got {state!r:.80}; give what state_dict() returned, or a file to fit(..., resume=path)"
        )
    version = state.get("format_version")
    if version != FORMAT_VERSION:
        raise CheckpointError(
            f"the checkpoint has format version {version}, this minitorch reads {FORMAT_VERSION}; load it with the "
            "version of minitorch that wrote it"
        )
    serialize.check_keys("checkpoint", PARTS, state)
    with loading("callbacks with state"):
        callbacks = named(trainer.callbacks)
        stateful = [name for name, c in callbacks.items() if name in state["callbacks"] or c.state_dict()]
        serialize.check_keys("callbacks with state", stateful, state["callbacks"], OTHER_CALLBACKS)
    counters, numbers = _counters(state["state"]), _random_state(state["random"])
    validation, history = _metrics(state["validation"]), [_metrics(metrics) for metrics in _list(state["history"])]
    with loading("model"):
        trainer.model.load_state_dict(state["model"])
    _load_optimizers(trainer.optimizers, state["optimizer"])
    with loading("accumulation"):
        trainer.accumulation.load_state_dict(trainer.model, state["accumulation"])
    with loading("train loader"):
        _load_loader(trainer.train_loader, state["loader"])
    for name, callback_state in state["callbacks"].items():
        with loading(f"callback {name}"):
            callbacks[name].load_state_dict(callback_state)
    with loading("running means"):
        trainer.means.load_state_dict(state["means"])
    trainer.state = counters
    trainer.validation, trainer.history = validation, history
    random.set_state(numbers)


def callback_states(callbacks: Iterable[Callback]) -> dict[str, Mapping[str, Any]]:
    """The states of those callbacks that have one, by their names.

    Raises:
        StateError: one of them is no dict, or has something that cannot be saved.
    """
    states = {name: callback.state_dict() for name, callback in named(callbacks).items()}
    for name, state in states.items():
        if not isinstance(state, Mapping):
            raise StateError(
                f"callback {name}: state_dict() returned {type(state).__name__}; return a dict, {{}} where there is no "
                "state"
            )
        _check_savable(f"callback {name}: state_dict()", state)
    return {name: state for name, state in states.items() if state}


def _check_savable(where: str, value: Any) -> None:
    """Raise unless `value` is of what a checkpoint takes."""
    if isinstance(value, Mapping):
        for key, item in value.items():
            if not isinstance(key, str):
                raise StateError(f"{where} has the key {key!r}; keys must be strings: use {str(key)!r}")
            _check_savable(f"{where}[{key!r}]", item)
    elif isinstance(value, list | tuple):
        for i, item in enumerate(value):
            _check_savable(f"{where}[{i}]", item)
    elif not (value is None or isinstance(value, str | int | float) or is_array(value)):
        remedies = {set: "sorted(x)", np.generic: "x.item()", Variable: "x.data", PurePath: "str(x)"}
        remedy = next((f": {how}" for kind, how in remedies.items() if isinstance(value, kind)), "")
        raise StateError(
            f"{where} is a {type(value).__name__}; a state is made of dict, list, str, int, float, bool, None and "
            f"arrays: convert it{remedy}"
        )


def content(trainer: "Trainer") -> tuple[dict[str, Any], dict[str, Any]]:
    """The state of `trainer` as arrays by name, its own and not copies, and as JSON, which is a copy."""
    arrays: dict[str, Any] = {}
    return arrays, {"checkpoint": _without_arrays(trainer.state_dict(), (), arrays)}


def save(trainer: "Trainer", path: str | PathLike[str]) -> None:
    """Write the state of `trainer` to one file, whole or not at all."""
    with sync_allowed():
        serialize.save(path, *content(trainer))


def read(path: str | PathLike[str]) -> dict[str, Any]:
    """The tree that `save` wrote, arrays in their places.

    Raises:
        CheckpointError: the file is missing, damaged, or no checkpoint.
    """
    loaded = serialize.load(path)
    if "checkpoint" not in loaded.meta:
        raise CheckpointError(
            f"{path} holds no checkpoint of a Trainer; for a file of weights use model.load_weights(path)"
        )
    tree = loaded.meta["checkpoint"]
    try:
        for name, array in loaded.arrays.items():
            _put(tree, name.split("/"), array)
    except (LookupError, TypeError, ValueError):
        raise CheckpointError(
            f"{path}: the array {name!r:.80} has no place in the state; it is no checkpoint"
        ) from None
    return tree  # type: ignore[no-any-return]


def load(trainer: "Trainer", path: str | PathLike[str]) -> None:
    """Restore the state that `save` wrote.

    Raises:
        CheckpointError: the file is missing, damaged, or no checkpoint.
        StateError: it is of another model, optimizer, loader or list of callbacks.
    """
    tree = read(path)
    try:
        trainer.load_state_dict(tree)
    except (StateError, CheckpointError) as error:
        raise type(error)(f"{path}: {error}") from error.__cause__  # what is unexpected; ours says all by itself


def _optimizers(optimizers: Mapping[str, Optimizer]) -> dict[str, Any]:
    """The state of the only one, or those of several by name."""
    states = {name: optimizer.state_dict() for name, optimizer in optimizers.items()}
    return states.get(ONE, states)


def _load_optimizers(optimizers: Mapping[str, Optimizer], state: Mapping[str, Any]) -> None:
    if not optimizers:
        return
    if ONE in optimizers:
        with loading("optimizer"):
            optimizers[ONE].load_state_dict(state)
        return
    with loading("optimizers"):
        serialize.check_keys("optimizers", optimizers, state)
    for name, optimizer in optimizers.items():
        with loading(f"optimizer {name}"):
            optimizer.load_state_dict(state[name])


def _load_loader(loader: Any, state: Mapping[str, Any]) -> None:
    if hasattr(loader, "load_state_dict"):
        loader.load_state_dict(state)
    elif loader is not None and state:
        raise StateError(
            f"the state is of a loader with {', '.join(state)}, but {type(loader).__name__} keeps no "
            "state; make the loader as it was"
        )


@contextmanager
def loading(what: str) -> Iterator[None]:
    """Name the part that an error is about; whatever else a state of another form leads to is an error of ours too."""
    try:
        yield
    except (StateError, ConfigError) as error:
        named_already = str(error).startswith(f"{what}: ")
        raise StateError(str(error) if named_already else f"{what}: {error}") from None
    except MinitorchError:
        raise
    except Exception as error:
        raise StateError(f"{what}: the state is of another form than is loaded here ({error!r})") from error


def _counters(state: Any) -> TrainState:
    with loading("counters"):
        serialize.check_keys("counters", attrs.fields_dict(TrainState), state)
        for name, value in state.items():
            check_number(f"counters: {name}", value, float if name == "elapsed" else int, 0)
        return TrainState(**state)


def _random_state(state: Any) -> random.RandomState:
    with loading("random numbers"):
        numbers = random.RandomState(*state)
        for name, value in numbers._asdict().items():
            check_number(f"random numbers: {name}", value, int, 0)
            if value >= 2**64:
                raise StateError(f"{name} is {value}; it must be below 2**64")
        return numbers


def _metrics(state: Any) -> dict[str, float]:
    with loading("metrics"):
        return {name: float(value) for name, value in state.items()}


def _list(state: Any) -> list[Any]:
    if not isinstance(state, list | tuple):
        raise StateError(f"history: {type(state).__name__} given, a list wanted")
    return list(state)


def _without_arrays(tree: Any, path: tuple[str, ...], arrays: dict[str, Any]) -> Any:
    """`tree` as JSON; its arrays are moved to `arrays`, by their path with slashes, and leave None behind."""
    if is_array(tree):
        if any("/" in key for key in path):
            raise StateError(f"state {' > '.join(path)}: a key on the way to an array must not contain a slash")
        arrays["/".join(path)] = tree
        return None
    if isinstance(tree, Mapping):
        return {key: _without_arrays(value, (*path, str(key)), arrays) for key, value in tree.items()}
    if isinstance(tree, list | tuple):
        return [_without_arrays(value, (*path, str(i)), arrays) for i, value in enumerate(tree)]
    return tree


def _put(tree: Any, keys: list[str], array: Any) -> None:
    """Put `array` back where `_without_arrays` took it from."""
    key: str | int = int(keys[0]) if isinstance(tree, list) else keys[0]
    if len(keys) > 1:
        _put(tree[key], keys[1:], array)
    else:
        tree[key] = array
