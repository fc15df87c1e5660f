"""Class numbers and one-hot rows of a batch, and the checks that they fit."""

from typing import Any

from minitorch.cuda import xp_of
from minitorch.errors import ConfigError, DTypeError, ShapeError

Array = Any


def class_numbers(owner: str, y: Array, t: Array) -> Array:
    """The targets `t` of scores `y` (N, C) as class numbers (N,): of soft targets (N, C), the largest share of each.

    Raises:
        ShapeError: `y` or `t` has another shape.
        DTypeError: `t` holds no integers.
    """
    if y.ndim == 2 and t.shape == y.shape and t.dtype.kind == "f":
        return t.argmax(axis=1)
    if y.ndim != 2 or t.shape != y.shape[:1]:
        raise ShapeError(
            f"{owner}: y has shape {tuple(y.shape)}, t {tuple(t.shape)}; scores are (N, classes) and targets (N,), a "
            "class number for each row"
        )
    if t.dtype.kind not in "iu":
        raise DTypeError(f"{owner}: t has dtype {t.dtype}; class numbers are integers: t.astype(int)")
    return t


def one_hot(numbers: Array, classes: int) -> Array:
    """Booleans (N, classes), true at the class number of each row."""
    return numbers[:, None] == xp_of(numbers).arange(classes, dtype=numbers.dtype)


def check_positive(owner: str, name: str, value: Any) -> int:
    """`value`, if it is an int of at least 1.

    Raises:
        ConfigError: it is not.
    """
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise ConfigError(f"{owner}: {name} is {value!r}; it must be an int of at least 1")
    return value
