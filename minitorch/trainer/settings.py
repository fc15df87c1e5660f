"""Checks of settings, with errors that name the remedy; those of a callback are made as attrs calls them."""

from collections.abc import Callable
from typing import Any

from minitorch.errors import ConfigError

Validator = Callable[[Any, Any, Any], None]


def check_number(what: str, value: Any, kind: type, least: float | None = None) -> None:
    """Raise ConfigError unless `value` is an int or float, as `kind` says, of at least `least` (None: positive)."""
    fits = isinstance(value, int | kind) and not isinstance(value, bool)
    if not fits or not (value > 0 if least is None else value >= least):
        rule = f"a positive {kind.__name__}" if least is None else f"{_article(kind)} of at least {least}"
        raise ConfigError(f"{what} is {value!r}; it must be {rule}")


def as_text(value: Any) -> str:
    """How a setting is shown that a user gives as a string, such as a path or a device."""
    return repr(str(value))


def at_least(least: float, kind: type) -> Validator:
    """The check of a callback's setting that is a number of at least `least`."""

    def check(owner: Any, attribute: Any, value: Any) -> None:
        check_number(f"{type(owner).__name__}: {attribute.name}", value, kind, least)

    return check


def optional(check: Validator) -> Validator:
    """The check of a callback's setting that may also be None."""

    def check_unless_none(owner: Any, attribute: Any, value: Any) -> None:
        if value is not None:
            check(owner, attribute, value)

    return check_unless_none


def one_of(*choices: str) -> Validator:
    """The check of a callback's setting that is one of a few words."""

    def check(owner: Any, attribute: Any, value: Any) -> None:
        if value not in choices:
            allowed = " or ".join(map(repr, choices))
            raise ConfigError(f"{type(owner).__name__}: {attribute.name} is {value!r}; it must be {allowed}")

    return check


def _article(kind: type) -> str:
    return "an int" if kind is int else "a float"
