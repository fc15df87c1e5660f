"""`LRSchedule`: the learning rate as a function of how far the run is."""

from typing import TYPE_CHECKING, Any

import attrs

from minitorch.errors import ConfigError
from minitorch.optimizers.schedules import Schedule
from minitorch.trainer.callbacks.learning_rate import LearningRate
from minitorch.trainer.triggers import Every, counted_setting

if TYPE_CHECKING:
    from minitorch.trainer.trainer import Trainer


def _check_schedule(owner: Any, attribute: Any, value: Any) -> None:
    if isinstance(value, type) or not callable(value):
        raise ConfigError(
            f"LRSchedule: schedule is {value!r}; give one of optimizers.schedules, such as Cosine(1000), or a function "
            "of the number of updates"
        )


@attrs.define(eq=False)
class LRSchedule(LearningRate):
    """Sets the learning rate before each step: the one that the run began with, times the share of a schedule.

        from minitorch.optimizers.schedules import Chained, Cosine, WarmUp

        schedule = Chained(WarmUp(500), Cosine(9500), lengths=(500,))
        Trainer(model, SGD(0.1), loss=loss, callbacks=[LRSchedule(schedule), ConsoleLogger()])

    Groups of Parameters keep their share of the learning rate of the optimizer, so all move in proportion. The one of
    the last update is added to the metrics of log intervals and epochs, as `lr`, or as `lr_NAME` for each of several
    optimizers. A resumed run has nothing to catch
    up with, since the share is a function of the counters of the run.

    Args:
        schedule: one of `minitorch.optimizers.schedules`, or any function of the number of updates done, from 0 on.
        every: `Every(epochs=1)` for a schedule that counts epochs instead, `Every(steps=100)` for hundreds of updates.

    Raises:
        ConfigError: a setting is not allowed, the optimizer has no learning rate, or another callback sets it too.
    """

    schedule: Schedule = attrs.field(validator=_check_schedule)
    every: Every = attrs.field(default=Every(steps=1), validator=counted_setting)

    def _share(self, trainer: "Trainer") -> float:
        state, every = trainer.state, self.every
        return self.schedule(state.step // every.steps if every.steps else state.epoch // (every.epochs or 1))
