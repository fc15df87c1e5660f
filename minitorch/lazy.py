"""Names of a package that are loaded when they are first used (PEP 562): a program waits only for what it needs."""

import sys
from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Any


def when_used(package: str, homes: Mapping[str, str]) -> tuple[Callable[[str], Any], Callable[[], list[str]]]:
    """The `__getattr__` and `__dir__` of a package that loads the module of a name when the name is first used.

    Type checkers do not follow it, and get the same names from imports for them alone; a test compares the two:

        if TYPE_CHECKING:
            from minitorch.metrics.f1 import F1
        else:
            __getattr__, __dir__ = when_used(__name__, {"F1": "f1"})

    Args:
        package: its name.
        homes: for each public name the module that defines it, seen from the package; "" where it is a module itself.
    """

    def load(name: str) -> Any:
        module = sys.modules[package]
        if name not in homes:  # Python adds "Did you mean" by itself
            raise AttributeError(f"module {package!r} has no attribute {name!r}", name=name, obj=module)
        home = homes[name]
        value = getattr(import_module(f"{package}.{home}"), name) if home else import_module(f"{package}.{name}")
        setattr(module, name, value)  # so that Python asks only once
        return value

    def names() -> list[str]:
        return sorted({*vars(sys.modules[package]), *homes})

    return load, names
