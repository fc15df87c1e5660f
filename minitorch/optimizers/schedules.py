"""Schedules: what share of its base learning rate an optimizer uses in each update, as pure functions of its number.

    schedule = Chained(WarmUp(500), Cosine(9500), lengths=(500,))
    optimizer.lr = 0.1 * schedule(updates_done)

The callback `LRSchedule` does that in a Trainer. Nothing is remembered, so a resumed run has nothing to restore.
"""

import math
from abc import ABC, abstractmethod
from bisect import bisect_right
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import attrs

from minitorch.errors import ConfigError

Schedule = Callable[[int], float]


def _setting(rule: str, allowed: Callable[[Any], bool]) -> Callable[[Any, Any, Any], None]:
    def check(owner: Any, attribute: Any, value: Any) -> None:
        number = isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
        if not number or not allowed(value):
            raise ConfigError(f"{type(owner).__name__}: {attribute.name} is {value!r}; it must be {rule}")

    return check


_count = _setting("an int of at least 1", lambda value: isinstance(value, int) and value >= 1)
_from_0_to_1 = _setting("a number from 0 to 1", lambda value: 0 <= value <= 1)
_positive = _setting("a number above 0", lambda value: value > 0)
_not_negative = _setting("a number of at least 0", lambda value: value >= 0)
_between_0_and_1 = _setting("a number between 0 and 1", lambda value: 0 < value < 1)


def _in_order(at: Iterable[int]) -> tuple[int, ...]:
    return tuple(at)


def _rising(owner: Any, attribute: Any, value: tuple[int, ...]) -> None:
    fits = all(isinstance(n, int) and not isinstance(n, bool) and n >= 1 for n in value)
    if not value or not fits or list(value) != sorted(set(value)):
        raise ConfigError(
            f"{type(owner).__name__}: {attribute.name} is {value!r}; give ints of at least 1, each above the one before"
        )


class _Shares(ABC):
    """Base of the schedules: records of settings, to be called with the number of updates done."""

    def __call__(self, n: int) -> float:
        """The share of the base learning rate for the update after `n` others."""
        return self._share(n)

    @abstractmethod
    def _share(self, n: int) -> float: ...


@attrs.frozen
class Step(_Shares):
    """Multiplies by `factor` after every `length` updates: `factor ** (n // length)`.

    Raises:
        ConfigError: `length` is no positive int, or `factor` is negative.
    """

    length: int = attrs.field(validator=_count)
    factor: float = attrs.field(default=0.1, validator=_not_negative)

    def _share(self, n: int) -> float:
        return float(self.factor ** (n // self.length))


@attrs.frozen
class MultiStep(_Shares):
    """Multiplies by `factor` after each of the numbers of updates in `at`.

    Raises:
        ConfigError: `at` is empty or not rising, or `factor` is negative.
    """

    at: Sequence[int] = attrs.field(converter=_in_order, validator=_rising)
    factor: float = attrs.field(default=0.1, validator=_not_negative)

    def _share(self, n: int) -> float:
        return float(self.factor ** bisect_right(self.at, n))


@attrs.frozen
class Exponential(_Shares):
    """Multiplies by `factor` after every update: `factor ** n`.

    Raises:
        ConfigError: `factor` is negative.
    """

    factor: float = attrs.field(validator=_not_negative)

    def _share(self, n: int) -> float:
        return float(self.factor**n)


@attrs.frozen
class Cosine(_Shares):
    """Falls from 1 to `minimum` as half a cosine in `length` updates: `m + (1 - m) / 2 * (1 + cos(pi * n / length))`.

    Then it stays there, or with `growth` starts again at 1: each cycle is `growth` times as long as the one before.

    Source: Loshchilov, Hutter, "SGDR: Stochastic Gradient Descent with Warm Restarts", ICLR 2017, equation 5.

    Args:
        length: the updates of the (first) cycle.
        minimum: where it ends, a share of the base learning rate.
        growth: None for one cycle only, 1 for cycles of one length, 2 for such that double: the paper's T_mult.

    Raises:
        ConfigError: a setting is not allowed.
    """

    length: int = attrs.field(validator=_count)
    minimum: float = attrs.field(default=0.0, validator=_from_0_to_1)
    growth: int | None = attrs.field(default=None, validator=attrs.validators.optional(_count))

    def _share(self, n: int) -> float:
        done, length = self._place(n)
        return self.minimum + (1 - self.minimum) / 2 * (1 + math.cos(math.pi * done / length))

    def _place(self, n: int) -> tuple[int, int]:
        """How many updates of the cycle under way are done, and how long it is."""
        if self.growth is None:
            return min(n, self.length), self.length
        if self.growth == 1:
            return n % self.length, self.length
        length = self.length
        while n >= length:
            n -= length
            length *= self.growth
        return n, length


@attrs.frozen
class Polynomial(_Shares):
    """Falls from 1 to `minimum` in `length` updates, and stays there: `m + (1 - m) * (1 - n / length) ** power`.

    Source: Chen et al., "DeepLab", TPAMI 2018, section 4.1 ("poly"), with power 0.9.

    Args:
        length: the updates until the end.
        power: 1 for a straight line.
        minimum: where it ends, a share of the base learning rate.

    Raises:
        ConfigError: a setting is not allowed.
    """

    length: int = attrs.field(validator=_count)
    power: float = attrs.field(default=1.0, validator=_positive)
    minimum: float = attrs.field(default=0.0, validator=_from_0_to_1)

    def _share(self, n: int) -> float:
        left = 1 - min(n, self.length) / self.length
        return float(self.minimum + (1 - self.minimum) * left**self.power)


@attrs.frozen
class WarmUp(_Shares):
    """Rises in a straight line from `start` to 1 in `length` updates, and stays there; followed by another: `Chained`.

    Source: Goyal et al., "Accurate, Large Minibatch SGD: Training ImageNet in 1 Hour", 2017, section 2.2.

    Args:
        length: the updates of the rise.
        start: the share of the first update.

    Raises:
        ConfigError: a setting is not allowed.
    """

    length: int = attrs.field(validator=_count)
    start: float = attrs.field(default=0.1, validator=_from_0_to_1)

    def _share(self, n: int) -> float:
        return self.start + (1 - self.start) * min(n, self.length) / self.length


@attrs.frozen
class OneCycle(_Shares):
    """Rises from `start` to 1, and falls to `end`, both as half cosines, in `length` updates in all.

    The base learning rate is the highest one. Momentum is left alone.

    Source: Smith, Topin, "Super-Convergence: Very Fast Training of Neural Networks Using Large Learning Rates", 2018;
    the numbers by default, and cosines for straight lines, are fastai's, as in PyTorch.

    Args:
        length: the updates of the whole run; after them it stays at `end`.
        rise: the share of them that it rises in.
        start: the share of the base learning rate that it begins with.
        end: the share that it ends with.

    Raises:
        ConfigError: a setting is not allowed.
    """

    length: int = attrs.field(validator=_count)
    rise: float = attrs.field(default=0.3, validator=_between_0_and_1)
    start: float = attrs.field(default=1 / 25, validator=_from_0_to_1)
    end: float = attrs.field(default=1 / 25e4, validator=_from_0_to_1)

    def _share(self, n: int) -> float:
        last = self.length - 1
        top = max(self.rise * self.length - 1, 0.0)  # may lie between two updates
        if n <= top:
            return _half_cosine(self.start, 1.0, n / top if top else 1.0)
        return _half_cosine(1.0, self.end, min((n - top) / (last - top), 1.0) if last > top else 1.0)


@attrs.frozen(init=False)
class Chained(_Shares):
    """One schedule after the other, each from its own beginning: the first for `lengths[0]` updates, and so on.

        Chained(WarmUp(500), Cosine(9500), lengths=(500,))

    Args:
        schedules: at least one.
        lengths: the updates of each but the last, which goes on for ever.

    Raises:
        ConfigError: there are not as many lengths as schedules but one, or one is not positive.
    """

    schedules: tuple[Schedule, ...]
    lengths: tuple[int, ...] = attrs.field(validator=attrs.validators.deep_iterable(_count))

    def __init__(self, *schedules: Schedule, lengths: Sequence[int]) -> None:
        self.__attrs_init__(schedules, tuple(lengths))
        if len(self.lengths) != len(schedules) - 1:
            raise ConfigError(
                f"Chained: {len(schedules)} schedules and {len(self.lengths)} lengths; give a length for each but the "
                "last"
            )

    def _share(self, n: int) -> float:
        for schedule, length in zip(self.schedules, self.lengths, strict=False):
            if n < length:
                return schedule(n)
            n -= length
        return self.schedules[-1](n)


def _half_cosine(start: float, end: float, share: float) -> float:
    return end + (start - end) / 2 * (1 + math.cos(math.pi * share))
