"""When things happen: `Every`, the trigger of what is done again and again, and `Budget`, the end of a run."""

from typing import Any

import attrs

from minitorch.errors import ConfigError
from minitorch.trainer.settings import check_number
from minitorch.trainer.state import Status, TrainState

REMEDY = "use Every(steps=...), Every(epochs=...) or Every(seconds=...)"


@attrs.frozen(init=False)
class Every:
    """A trigger: `Every(steps=100)`, `Every(epochs=1)` or `Every(seconds=60)`.

    Raises:
        ConfigError: not exactly one of them is given, or it is not positive.
    """

    steps: int | None = None
    epochs: int | None = None
    seconds: float | None = None

    def __init__(
        self, *bare: Any, steps: int | None = None, epochs: int | None = None, seconds: float | None = None
    ) -> None:
        if bare:
            raise ConfigError(f"Every: got {', '.join(map(repr, bare))}, and no unit; {REMEDY}")
        self.__attrs_init__(steps, epochs, seconds)
        given = _given(self)
        if len(given) != 1:
            raise ConfigError(f"Every: got {given or 'nothing'}; give exactly one of steps=, epochs=, seconds=")
        _check("Every", given)

    def __repr__(self) -> str:
        return f"Every({', '.join(f'{name}={value!r}' for name, value in _given(self).items())})"

    def due(self, state: TrainState, last: float = 0.0) -> bool:
        """Whether it fires now, after the batch that `state` counts; steps are updates.

        Args:
            state: the counters.
            last: for `seconds`, what `state.elapsed` was when it last fired.
        """
        if self.steps is not None:
            return state.waiting == 0 and state.step % self.steps == 0
        if self.epochs is not None:
            return state.batch == 0 and state.epoch % self.epochs == 0
        return state.elapsed - last >= self.seconds  # type: ignore[operator]


@attrs.frozen
class Budget:
    """When a run is complete: after so many epochs, steps or seconds in all, whichever comes first.

    Raises:
        ConfigError: none is given, or one is not positive.
    """

    epochs: int | None
    steps: int | None
    seconds: float | None

    def __attrs_post_init__(self) -> None:
        given = _given(self)
        if not given:
            raise ConfigError("fit: no end is given; give epochs=, steps= or seconds=")
        _check("fit", given)

    def reached(self, state: TrainState) -> tuple[Status, str] | None:
        """How and why a run that stands at `state` is complete, or None."""
        if self.epochs is not None and state.epoch >= self.epochs:
            return "completed", _done(self.epochs, "epoch")
        if self.steps is not None and state.step >= self.steps:
            return "completed", _done(self.steps, "step")
        if self.seconds is not None and state.elapsed >= self.seconds:
            return "completed", _done(self.seconds, "second")
        return None


def check_every(owner: str, name: str, value: Any) -> Every:
    """`value`, which must be a trigger; a bare number gets a ConfigError with the remedy."""
    if not isinstance(value, Every):
        raise ConfigError(f"{owner}: {name} is {value!r}; a bare number says no unit: {REMEDY}")
    return value


def every_setting(owner: Any, attribute: Any, value: Any) -> None:
    """Do `check_every` for a setting of a callback, as attrs calls it."""
    check_every(type(owner).__name__, attribute.name, value)


def counted_setting(owner: Any, attribute: Any, value: Any) -> None:
    """Check a setting that must be a trigger of steps or epochs, as attrs calls it: seconds differ from run to run."""
    every_setting(owner, attribute, value)
    if value.seconds is not None:
        raise ConfigError(
            f"{type(owner).__name__}: {attribute.name} is {value!r}, and no two runs would be the same; give "
            "Every(steps=...) or Every(epochs=...)"
        )


def _done(count: float, unit: str) -> str:
    return f"{count} {unit}{'' if count == 1 else 's'} done"


def _given(record: Any) -> dict[str, Any]:
    return {name: value for name, value in attrs.asdict(record).items() if value is not None}


def _check(owner: str, given: dict[str, Any]) -> None:
    for name, value in given.items():
        check_number(f"{owner}: {name}", value, float if name == "seconds" else int)
