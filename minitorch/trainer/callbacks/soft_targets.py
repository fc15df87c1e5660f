"""Class numbers as soft targets: what the callbacks that change targets share."""

from typing import TYPE_CHECKING, Any

import numpy as np

from minitorch import random
from minitorch.cuda import is_array, xp_of
from minitorch.errors import DataError

if TYPE_CHECKING:
    from minitorch.trainer.trainer import Trainer

Array = Any


def draws_for(owner: str, trainer: "Trainer") -> "np.random.Generator":
    """Random numbers that are a function of the seed, the epoch, and the number of the batch in it."""
    seed, state = random.get_state().seed, trainer.state
    return np.random.Generator(random.philox(owner, seed=seed, step=state.epoch, draw=state.batch))


def pair(batch: Any, owner: str) -> tuple[Array, Array]:
    """The arrays (x, t) of a batch.

    Raises:
        DataError: it is no pair of arrays with one t for each x.
    """
    if not isinstance(batch, tuple | list) or len(batch) != 2 or not all(map(is_array, batch)):
        what = f"a {type(batch).__name__}" + (f" of {len(batch)}" if isinstance(batch, tuple | list) else "")
        raise DataError(f"{owner}: got {what} as batch; it takes pairs of arrays (x, t)")
    x, t = batch
    if not x.ndim or not t.ndim or len(x) != len(t):
        raise DataError(f"{owner}: x {x.shape} and t {t.shape} are no samples with their targets; both begin with (N,)")
    return x, t


def as_shares(t: Array, classes: int, owner: str, dtype: Any = np.float32) -> Array:
    """Class numbers (N,) as one-hot rows (N, classes) of `dtype`; soft targets as they are.

    Raises:
        DataError: `t` is neither, or on the host a class number is out of range.
    """
    if t.shape[1:] == (classes,) and t.dtype.kind == "f":
        return t
    if t.ndim != 1 or t.dtype.kind not in "iu":
        raise DataError(
            f"{owner}: t is {t.dtype}{t.shape}; it takes class numbers, integers (N,), or soft targets, floats "
            f"(N, {classes})"
        )
    xp = xp_of(t)
    if xp is np and (t.min() < 0 or t.max() >= classes):
        raise DataError(
            f"{owner}: t has classes from {t.min()} to {t.max()}, but classes={classes} are 0 to {classes - 1}"
        )
    return (t[:, None] == xp.arange(classes)).astype(dtype)
