"""Where a run stands: counters that the loop writes and callbacks read, and the records that are handed around."""

from pathlib import Path
from typing import Any, Literal

import attrs

from minitorch.errors import ConfigError
from minitorch.variable import Variable

Status = Literal["completed", "stopped", "interrupted", "terminated"]


@attrs.define
class TrainState:
    """The counters of a run; only the loop writes them.

    Attributes:
        epoch: epochs finished.
        batch: batches done in the epoch under way; 0 between epochs.
        step: optimizer updates done.
        samples: training samples seen, counted once for each epoch.
        elapsed: seconds spent in `fit`, resumed runs included.
    """

    epoch: int = 0
    batch: int = 0
    step: int = 0
    samples: int = 0
    elapsed: float = 0.0


@attrs.frozen
class StepOutputs:
    """What one training step hands to `on_batch_end`.

    Attributes:
        loss: the loss of this batch, a Variable that may live on a GPU; reading it there waits for the device.
        size: the number of samples.
        metrics: the means since the last log interval as floats, where this step ends one; else None.
    """

    loss: Variable
    size: int
    metrics: dict[str, float] | None


@attrs.frozen
class FitResult:
    """How a run ended.

    Attributes:
        status: "completed" (it did what was asked), "stopped" (`request_stop`), "interrupted" (SIGINT) or "terminated"
            (SIGTERM).
        reason: why, in words.
        state: the counters at the end.
        metrics: the means of the last epoch, validation included.
        history: the same for every epoch, in order.
        checkpoint: the newest checkpoint written, if any.
    """

    status: Status
    reason: str
    state: TrainState
    metrics: dict[str, float]
    history: list[dict[str, float]]
    checkpoint: Path | None = None


@attrs.frozen
class Every:
    """A trigger: `Every(steps=100)`, `Every(epochs=1)` or `Every(seconds=60)`.

    Raises:
        ConfigError: not exactly one of them is given, or it is not positive.
    """

    steps: int | None = attrs.field(default=None, kw_only=True)
    epochs: int | None = attrs.field(default=None, kw_only=True)
    seconds: float | None = attrs.field(default=None, kw_only=True)

    def __attrs_post_init__(self) -> None:
        given = {name: value for name, value in attrs.asdict(self).items() if value is not None}
        if len(given) != 1:
            raise ConfigError(f"Every: got {given or 'nothing'}; give exactly one of steps=, epochs=, seconds=")
        ((name, value),) = given.items()
        number = float if name == "seconds" else int
        if isinstance(value, bool) or not isinstance(value, int | number) or not value > 0:
            raise ConfigError(f"Every: {name} is {value!r}; it must be a positive {number.__name__}")

    def due(self, state: TrainState, last_elapsed: float = 0.0) -> bool:
        """Whether it fires now, after the step that `state` counts.

        Args:
            state: the counters.
            last_elapsed: for `seconds`, what `state.elapsed` was when it last fired.
        """
        if self.steps is not None:
            return state.step % self.steps == 0
        if self.epochs is not None:
            return state.batch == 0 and state.epoch % self.epochs == 0
        return state.elapsed - last_elapsed >= self.seconds  # type: ignore[operator]


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
        given = {name: value for name, value in attrs.asdict(self).items() if value is not None}
        if not given:
            raise ConfigError("fit: no end is given; give epochs=, steps= or seconds=")
        for name, value in given.items():
            if isinstance(value, bool) or not isinstance(value, int | float) or not value > 0:
                raise ConfigError(f"fit: {name} is {value!r}; it must be a positive number")

    def reached(self, state: TrainState) -> tuple[Status, str] | None:
        """How and why a run that stands at `state` is complete, or None."""
        for limit, done, unit in (
            (self.epochs, state.epoch, "epochs"),
            (self.steps, state.step, "steps"),
            (self.seconds, state.elapsed, "seconds"),
        ):
            if limit is not None and done >= limit:
                return "completed", f"{limit} {unit} done"
        return None


def check_every(owner: str, name: str, value: Any) -> None:
    """Raise ConfigError unless `value` is a trigger; a bare number gets the remedy."""
    if not isinstance(value, Every):
        raise ConfigError(
            f"{owner}: {name} is {value!r}; a bare number says no unit: use Every(steps=...), Every(epochs=...) or "
            "Every(seconds=...)"
        )


def every_field(owner: Any, attribute: Any, value: Any) -> None:
    """Do `check_every` for a setting of a callback, as attrs calls it."""
    check_every(type(owner).__name__, attribute.name, value)
