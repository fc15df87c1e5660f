"""The whole state of a Trainer as one tree, and that tree in one file."""

from collections.abc import Mapping
from os import PathLike
from typing import TYPE_CHECKING, Any

import attrs

from minitorch import random, serialize
from minitorch.cuda import is_array
from minitorch.errors import CheckpointError, StateError
from minitorch.optimizers import Optimizer
from minitorch.trainer.callback import Callback
from minitorch.trainer.optimizers import ONE
from minitorch.trainer.state import TrainState

if TYPE_CHECKING:
    from minitorch.trainer.trainer import Trainer

FORMAT_VERSION = 1
PARTS = (
    "format_version", "model", "optimizer", "accumulation", "state", "random", "loader", "means", "validation",
    "history", "callbacks",
)  # fmt: skip


def state_dict(trainer: "Trainer") -> dict[str, Any]:
    """Everything that a resumed run needs; the arrays themselves, not copies."""
    loader = trainer.train_loader
    return {
        "format_version": FORMAT_VERSION,
        "model": trainer.model.state_dict(),
        "optimizer": _optimizers(trainer.optimizers),
        "accumulation": trainer.accumulation.state_dict(trainer.model, trainer.state.waiting),
        "state": attrs.asdict(trainer.state),
        "random": list(random.get_state()),
        "loader": loader.state_dict() if hasattr(loader, "state_dict") else {},
        "means": trainer.means.state_dict(),
        "validation": dict(trainer.validation),
        "history": [dict(metrics) for metrics in trainer.history],
        "callbacks": {name: state for name, c in named(trainer.callbacks).items() if (state := c.state_dict())},
    }


def load_state_dict(trainer: "Trainer", state: Mapping[str, Any]) -> None:
    """Make `trainer` go on where the one that gave `state` was.

    Raises:
        StateError: a part is missing or unexpected, or does not fit; the message says which.
    """
    version = state.get("format_version")
    if version != FORMAT_VERSION:
        raise CheckpointError(
            f"the checkpoint has format version {version}, this minitorch reads {FORMAT_VERSION}; load it with the "
            "version of minitorch that wrote it"
        )
    serialize.check_keys("checkpoint", PARTS, state)
    callbacks = named(trainer.callbacks)
    stateful = [name for name, c in callbacks.items() if name in state["callbacks"] or c.state_dict()]
    serialize.check_keys("callbacks with state", stateful, state["callbacks"])
    _load(trainer.model, state["model"], "model")
    _load_optimizers(trainer.optimizers, state["optimizer"])
    trainer.accumulation.load_state_dict(trainer.model, state["accumulation"])
    _load_loader(trainer.train_loader, state["loader"])
    for name, callback_state in state["callbacks"].items():
        _load(callbacks[name], callback_state, f"callback {name}")
    serialize.check_keys("counters", attrs.fields_dict(TrainState), state["state"])
    trainer.state = TrainState(**state["state"])
    random.set_state(random.RandomState(*state["random"]))
    trainer.means.load_state_dict(state["means"])
    trainer.validation = dict(state["validation"])
    trainer.history = [dict(metrics) for metrics in state["history"]]


def named(callbacks: list[Callback]) -> dict[str, Callback]:
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


def content(trainer: "Trainer") -> tuple[dict[str, Any], dict[str, Any]]:
    """The state of `trainer` as arrays by name, its own and not copies, and as JSON, which is a copy."""
    arrays: dict[str, Any] = {}
    return arrays, {"checkpoint": _without_arrays(trainer.state_dict(), (), arrays)}


def save(trainer: "Trainer", path: str | PathLike[str]) -> None:
    """Write the state of `trainer` to one file, whole or not at all."""
    serialize.save(path, *content(trainer))


def load(trainer: "Trainer", path: str | PathLike[str]) -> None:
    """Restore the state that `save` wrote.

    Raises:
        CheckpointError: the file is missing, damaged, or no checkpoint.
        StateError: it is of another model, optimizer, loader or list of callbacks.
    """
    loaded = serialize.load(path)
    if "checkpoint" not in loaded.meta:
        raise CheckpointError(
            f"{path} holds no checkpoint of a Trainer; for a file of weights use model.load_weights(path)"
        )
    tree = loaded.meta["checkpoint"]
    for name, array in loaded.arrays.items():
        _put(tree, name.split("/"), array)
    try:
        trainer.load_state_dict(tree)
    except (StateError, CheckpointError) as error:
        raise type(error)(f"{path}: {error}") from error


def _optimizers(optimizers: Mapping[str, Optimizer]) -> dict[str, Any]:
    """The state of the only one, or those of several by name."""
    states = {name: optimizer.state_dict() for name, optimizer in optimizers.items()}
    return states.get(ONE, states)


def _load_optimizers(optimizers: Mapping[str, Optimizer], state: Mapping[str, Any]) -> None:
    if not optimizers:
        return
    if ONE in optimizers:
        _load(optimizers[ONE], state, "optimizer")
        return
    serialize.check_keys("optimizers", optimizers, state)
    for name, optimizer in optimizers.items():
        _load(optimizer, state[name], f"optimizer {name}")


def _load_loader(loader: Any, state: Mapping[str, Any]) -> None:
    if hasattr(loader, "load_state_dict"):
        _load(loader, state, "train loader")
    elif loader is not None and state:
        raise StateError(
            f"train loader: the state is of a loader with {', '.join(state)}, but {type(loader).__name__} keeps no "
            "state; make the loader as it was"
        )


def _load(part: Any, state: Any, what: str) -> None:
    try:
        part.load_state_dict(state)
    except StateError as error:
        raise StateError(f"{what}: {error}") from error


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
