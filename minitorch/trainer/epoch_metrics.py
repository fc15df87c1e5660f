"""`EpochMetrics`: the metrics that hooks are given and may add to."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from minitorch.cuda import as_numpy, is_array
from minitorch.errors import DTypeError
from minitorch.spelling import similar
from minitorch.variable import Variable


class EpochMetrics(dict[str, float]):
    """A dict of numbers by name, as the history and loggers need them: what is added becomes a number, or is refused.

    An array or Variable of one element is read, which on a GPU waits for the device.

    Raises:
        DTypeError: what is added is not one number, or its name is no string.
    """

    def __setitem__(self, name: str, value: Any) -> None:
        super().__setitem__(name, _number(name, value))

    def __missing__(self, name: Any) -> float:
        near = similar(str(name), self)
        hint = f"did you mean {near[0]!r}? " if near else ""
        raise KeyError(f"no metric is named {name!r}; {hint}there is {', '.join(self) or 'none'}")

    def update(self, *others: Any, **values: Any) -> None:
        """Add all of a mapping, or of pairs, as `dict.update` does."""
        for name, value in dict(*others, **values).items():
            self[name] = value

    def setdefault(self, name: str, default: Any = None) -> float:
        """The value of `name`, after adding `default` where there is none."""
        if name not in self:
            self[name] = default
        return self[name]

    def __ior__(self, others: Mapping[str, Any]) -> "EpochMetrics":  # type: ignore[misc,override]
        self.update(others)
        return self


def _number(name: Any, value: Any) -> float:
    if not isinstance(name, str):
        raise DTypeError(f"metrics: the name {name!r} is no string; name what is added by one")
    if isinstance(value, int | float) and not isinstance(value, np.generic):
        return value
    if is_array(value) or isinstance(value, Variable | np.generic):
        if value.size == 1 and value.dtype.kind in "fiub":
            return float(as_numpy(value).item())
        raise DTypeError(
            f"metrics: {name!r} is {type(value).__name__} of shape {value.shape}; add one number, such as its mean()"
        )
    raise DTypeError(f"metrics: {name!r} is {value!r:.60}; add one number")
