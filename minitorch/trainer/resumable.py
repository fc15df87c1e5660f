"""`check_resumable`: whether callbacks come back from a checkpoint as they were, for the authors of callbacks."""

import inspect
from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from minitorch.cuda import as_numpy, is_array
from minitorch.errors import ConfigError, StateError
from minitorch.trainer import snapshot
from minitorch.trainer.callback import Callback, named

if TYPE_CHECKING:
    from minitorch.trainer.trainer import Trainer

_MISSING = object()


def check_resumable(
    trainer: "Trainer",
    make: Callable[[], Collection[Callback]] | None = None,
    *,
    derived: Collection[str] = (),
    private: bool = False,
) -> None:
    """Save `trainer`, load that into fresh callbacks, and raise unless all their public attributes came back.

        trainer.fit(loader, steps=7)
        check_resumable(trainer)

    Call it after some training, so that there is something to lose. What is public of a callback is what does not begin
    with an underscore. Settings are taken over, so what is found missing is what changes in a run.

    Args:
        trainer: it is left alone.
        make: makes the same callbacks anew, in the same order. None: each is made from the arguments that its
            `__init__` takes, found in its attributes of the same names.
        private: whether attributes that begin with an underscore must come back too.
        derived: attributes, such as "MyCallback.total", that need not be saved, since `on_fit_start` computes them.

    Raises:
        StateError: attributes did not come back, all of which are listed, with what to do; or a state has something
            that cannot be saved, or cannot be loaded.
        ConfigError: a callback cannot be made anew.
    """
    import tempfile  # here, since most programs make no trial of their callbacks

    old = named(trainer.callbacks)
    fresh = {name: _made_anew(callback) for name, callback in old.items()} if make is None else named(make())
    if [type(c) for c in old.values()] != [type(c) for c in fresh.values()]:
        raise ConfigError(f"check_resumable: make() gives {', '.join(fresh) or 'nothing'}, not {', '.join(old)}")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "state.safetensors"
        snapshot.save(trainer, path)
        states = snapshot.read(path)["callbacks"]
    lost: list[str] = []
    for name, callback in fresh.items():
        with snapshot.loading(f"check_resumable: callback {name}"):
            callback.load_state_dict(states.get(name, {}))
        before, after = _attributes(old[name], private), _attributes(callback, private)
        for attribute, value in before.items():
            if f"{type(callback).__name__}.{attribute}" in derived or _same(value, after.get(attribute, _MISSING)):
                continue
            now = repr(after[attribute]) if attribute in after else "nothing"
            as_list = isinstance(value, tuple) and isinstance(after.get(attribute), list)
            hint = "; a tuple is saved as a list: make a tuple of it" if as_list else ""
            lost.append(f"{name}.{attribute}: {value!r:.60} was saved with, {now:.60} came back{hint}")
    if lost:
        raise StateError(
            "check_resumable: not everything came back from a checkpoint; return it in `state_dict` and put it back in "
            "`load_state_dict`, or begin its name with an underscore if a resumed run does without:\n  "
            + "\n  ".join(lost)
        )


def _made_anew(callback: Callback) -> Callback:
    """A new one of the same class, with the same settings."""
    settings: dict[str, Any] = {}
    for name, parameter in inspect.signature(type(callback)).parameters.items():
        for attribute in (name, f"_{name}"):
            if hasattr(callback, attribute):
                settings[name] = getattr(callback, attribute)
                break
        else:
            if parameter.default is parameter.empty:
                raise ConfigError(
                    f"check_resumable: how to make a {type(callback).__name__} anew cannot be told, since its argument "
                    f"{name!r} is no attribute of it; give make=lambda: [...]"
                )
    return type(callback)(**settings)


def _attributes(callback: Callback, private: bool) -> dict[str, Any]:
    slots = [name for cls in type(callback).__mro__ for name in getattr(cls, "__slots__", ())]
    names = [*getattr(callback, "__dict__", {}), *slots]
    return {name: getattr(callback, name) for name in names if (private or name[0] != "_") and hasattr(callback, name)}


def _same(a: Any, b: Any) -> bool:
    """Whether both are equal, arrays element by element, NaN to NaN."""
    if a is b:
        return True
    if is_array(a) or is_array(b):
        if not (is_array(a) and is_array(b)):
            return False
        a, b = as_numpy(a), as_numpy(b)
        return a.dtype == b.dtype and np.array_equal(a, b, equal_nan=a.dtype.kind in "fc")
    if isinstance(a, float) and isinstance(b, float):
        return a == b or (a != a and b != b)
    if isinstance(a, Mapping) and isinstance(b, Mapping):
        return list(a) == list(b) and all(_same(a[key], b[key]) for key in a)
    if isinstance(a, list | tuple) and isinstance(b, list | tuple):
        return type(a) is type(b) and len(a) == len(b) and all(map(_same, a, b))
    return type(a) is type(b) and bool(a == b)
