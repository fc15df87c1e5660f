"""For a machine without hypothesis: tests that draw their examples by it are skipped, the others of their files run."""

import sys
from collections.abc import Callable
from types import ModuleType
from typing import Any

import pytest


class Anything:
    """Stands for strategies: every name in it is there, and every call and every `|` gives it again."""

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return self

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return self

    def __or__(self, other: Any) -> Any:
        return self


def given(*args: Any, **kwargs: Any) -> Callable[[Any], Any]:
    """Skip the test."""

    def skipped(test: Any) -> Any:
        def examples() -> None:
            pytest.skip("hypothesis is not installed")

        examples.__name__, examples.__doc__ = test.__name__, test.__doc__
        return examples

    return skipped


def settings(*args: Any, **kwargs: Any) -> Callable[[Any], Any]:
    """Leave the test as it is."""
    return lambda test: test


def install_if_missing() -> bool:
    """Make `import hypothesis` find this where there is no other; returns whether it was so."""
    try:
        import hypothesis  # noqa: F401
    except ImportError:
        pass
    else:
        return False
    anything = Anything()
    names = {"given": given, "settings": settings, "example": settings, "assume": lambda condition: True}
    for path in ("hypothesis", "hypothesis.strategies", "hypothesis.extra", "hypothesis.extra.numpy"):
        module = ModuleType(path)
        module.__path__ = []  # type: ignore[attr-defined]
        module.__getattr__ = lambda name: getattr(anything, name)  # type: ignore[method-assign]
        vars(module).update(names if path == "hypothesis" else {})
        sys.modules[path] = module
        parent, _, name = path.rpartition(".")
        if parent:
            setattr(sys.modules[parent], name, module)
    return True
