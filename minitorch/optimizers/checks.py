"""What an optimizer asks of a model, and of its settings."""

from collections.abc import Iterator
from typing import Any, Protocol, runtime_checkable

import numpy as np

from minitorch.errors import ConfigError
from minitorch.variable import Parameter


@runtime_checkable
class HasParams(Protocol):
    """What an optimizer needs of a layer or model."""

    def params(self) -> Iterator[Parameter]:
        """Each Parameter once."""

    def named_params(self) -> Iterator[tuple[str, Parameter]]:
        """Each Parameter once, with its path."""


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
