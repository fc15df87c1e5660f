"""Where a run stands: counters that the loop writes and callbacks read, and the records that are handed around."""

from pathlib import Path
from typing import Any, Literal, NoReturn

import attrs

from minitorch.trainer.bill import Bill
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
        elapsed: seconds spent in `fit` up to the newest batch, resumed runs included.
        waiting: batches whose gradients wait for an update (GradientAccumulation); 0 right after an update.
    """

    epoch: int = 0
    batch: int = 0
    step: int = 0
    samples: int = 0
    elapsed: float = 0.0
    waiting: int = 0

    @property
    def is_new(self) -> bool:
        """Whether nothing was trained yet, in this run or in one that it resumes."""
        return self.samples == 0

    def advance(self, samples: int, updated: bool, last: bool, elapsed: float) -> None:
        """Count a batch of so many samples, with an update or not, the last of its epoch or not."""
        self.step += updated
        self.waiting = 0 if updated else self.waiting + 1
        self.samples += samples
        self.batch = 0 if last else self.batch + 1
        self.epoch += last
        self.elapsed = elapsed


@attrs.define
class StepOutputs:
    """What one batch hands to `on_batch_end`.

    Attributes:
        loss: the loss of this batch, a Variable that may live on a GPU; reading it there waits for the device.
        size: the number of samples.
        metrics: the means since the last log interval as floats, where this step ends one; else None.
    """

    loss: Variable
    size: int
    metrics: dict[str, float] | None

    def __getitem__(self, name: Any) -> NoReturn:
        raise TypeError(f"outputs[{name!r}]: StepOutputs has attributes, no keys: outputs.loss, .size and .metrics")


@attrs.frozen
class FitResult:
    """How a run ended.

    Attributes:
        status: "completed" (it did what was asked), "stopped" (`request_stop`), "interrupted" (SIGINT) or "terminated"
            (SIGTERM).
        reason: why, in words.
        state: the counters at the end.
        metrics: the means of the last epoch, validation included; before the end of the first, those so far.
        history: the means of every finished epoch, in order.
        checkpoint: the newest checkpoint written, if any.
        bill: what each hook of the callbacks took; print it.
    """

    status: Status
    reason: str
    state: TrainState
    metrics: dict[str, float]
    history: list[dict[str, float]]
    checkpoint: Path | None = None
    bill: Bill | None = attrs.field(default=None, eq=False, repr=False)
