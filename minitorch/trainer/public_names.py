"""Things made from public names and plain settings: what a configuration file may ask for, and nothing else.

A name is looked up in the `__all__` of a public package. No string of a file is ever imported or evaluated.
"""

import inspect
from collections.abc import Callable, Iterable, Mapping
from functools import cache
from typing import Any

from minitorch import datasets, functions, layers, models, optimizers, transforms
from minitorch.errors import ConfigError, MinitorchError
from minitorch.optimizers import schedules
from minitorch.spelling import similar
from minitorch.trainer import callbacks
from minitorch.trainer.callback import Callback
from minitorch.trainer.triggers import Every

TRIGGER = {"steps", "epochs", "seconds"}
Settings = Mapping[str, Any]


@cache
def shelf(kind: str) -> dict[str, Any]:
    """All that a configuration may name of one kind, such as "model" or "callback"."""
    return {
        "model": _subclasses(models, models.Model),
        "data set": _subclasses(datasets, datasets.Dataset),
        "optimizer": _subclasses(optimizers, optimizers.Optimizer),
        "hook": {name: getattr(optimizers, name) for name in ("ClipGrad", "FreezeParam", "WeightDecay")},
        "callback": _subclasses(callbacks, Callback),
        "function": {name: getattr(functions, name) for name in functions.__all__},
        "part": {  # of models, data sets and callbacks
            **_subclasses(layers, layers.Layer),
            **_subclasses(transforms, object),
            **{name: thing for name, thing in vars(schedules).items() if _is_own(thing, schedules)},
        },
    }[kind]


def find(kind: str, name: Any, where: str) -> Any:
    """What is called `name` among the things of a kind.

    Raises:
        ConfigError: there is none; the message names near ones.
    """
    known = shelf(kind)
    if not isinstance(name, str):
        raise ConfigError(
            f"{where}: the name of a {kind} is {name!r}; it must be a string, such as {next(iter(known))!r}"
        )
    if name not in known:
        raise ConfigError(f"{where}: no {kind} is named {name!r}; {near(name, known)}")
    return known[name]


def make(kind: str, settings: Settings, where: str, given: Settings | None = None) -> Any:
    """The thing `settings["name"]`, made with the other settings.

    Args:
        kind: what it must be.
        settings: from a file: plain values, lists, and tables for parts with names of their own.
        where: the place in the file, for messages.
        given: settings that are already what they should be, used where the thing has such a setting and the file
            does not say otherwise.

    Raises:
        ConfigError: there is no such thing or setting, one is missing, or a value is not allowed.
    """
    if not isinstance(settings, Mapping) or "name" not in settings:
        raise ConfigError(f"{where} is {settings!r}; it must be a table with the name of a {kind}")
    thing = find(kind, settings["name"], where)
    return call(thing, {key: value for key, value in settings.items() if key != "name"}, where, given)


def call(thing: Callable[..., Any], settings: Settings, where: str, given: Settings | None = None) -> Any:
    """Call `thing` with settings from a file; see `make`."""
    name = getattr(thing, "__name__", str(thing))
    parameters = inspect.signature(thing).parameters
    for key in settings:
        if key not in parameters:
            raise ConfigError(f"{where}: {name} has no setting {key!r}; {near(key, parameters)}")
    values = {key: _value(value, parameters[key], f"{where}.{key}") for key, value in settings.items()}
    values = {key: value for key, value in (given or {}).items() if key in parameters} | values
    missing = [key for key, parameter in parameters.items() if _is_needed(parameter) and key not in values]
    if missing:
        raise ConfigError(f"{where}: {name} needs {', '.join(missing)}")
    spread = [key for key, parameter in parameters.items() if parameter.kind is parameter.VAR_POSITIONAL]
    inner = values.pop(spread[0], []) if spread else []
    try:
        return thing(*inner, **values)
    except MinitorchError as error:
        raise type(error)(f"{where}: {error}") from error
    except (TypeError, ValueError) as error:
        raise ConfigError(f"{where}: {name} does not take {dict(settings)!r}: {error}") from error


def _value(value: Any, parameter: inspect.Parameter, where: str) -> Any:
    """What a value of a file stands for, as the annotation of a parameter tells."""
    wanted = str(parameter.annotation)
    if isinstance(value, Mapping):
        if "name" in value:
            return make("part", value, where)
        if value and set(value) <= TRIGGER and "Every" in wanted:
            return call(Every, value, where)
        return {key: _value(item, parameter, f"{where}.{key}") for key, item in value.items()}
    if isinstance(value, list):
        if parameter.annotation is range:
            return call(_range, {"first_and_end": value}, where)
        return [_value(item, parameter, f"{where}[{i}]") for i, item in enumerate(value)]
    if isinstance(value, str) and "Callable" in wanted and "str" not in wanted:
        return find("function", value, where)
    return value


def _range(first_and_end: list[int]) -> range:
    first, end = first_and_end
    return range(first, end)


def _is_needed(parameter: inspect.Parameter) -> bool:
    named = parameter.kind in (parameter.POSITIONAL_OR_KEYWORD, parameter.KEYWORD_ONLY)
    return named and parameter.default is parameter.empty


def _subclasses(package: Any, base: type) -> dict[str, type]:
    """The public subclasses of `base` in `package` that can be made."""
    found = {name: getattr(package, name) for name in package.__all__}
    return {
        name: thing
        for name, thing in found.items()
        if isinstance(thing, type) and issubclass(thing, base) and thing is not base and not inspect.isabstract(thing)
    }


def _is_own(thing: Any, module: Any) -> bool:
    public = isinstance(thing, type) and thing.__module__ == module.__name__ and not thing.__name__.startswith("_")
    return public and not inspect.isabstract(thing)


def near(name: str, known: Iterable[str]) -> str:
    """The end of a message about a name that is not known: what may have been meant, or what there is."""
    known = list(known)
    like = similar(str(name), known, 3)
    by_case = [other for other in known if other.lower() == str(name).lower()]
    if like or by_case:
        return f"did you mean {' or '.join(dict.fromkeys([*by_case, *like]))}?"
    return f"there is {', '.join(sorted(known)) or 'none'}"
