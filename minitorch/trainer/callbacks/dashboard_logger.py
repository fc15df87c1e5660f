"""`DashboardLogger`: what the loggers for TensorBoard, MLflow and W&B share: what is sent, and under which names."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import TYPE_CHECKING

import attrs

from minitorch.trainer.callback import Callback, Phase

if TYPE_CHECKING:
    from minitorch.trainer.state import FitResult, StepOutputs
    from minitorch.trainer.trainer import Trainer


@attrs.define(eq=False)
class DashboardLogger(Callback, ABC):
    """Sends `step/...` for each log interval, and `epoch/...` and `timings/...` for each epoch, all at their step."""

    phase = Phase.LOG
    needs_host = ()
    at_log_interval = True

    @abstractmethod
    def _send(self, step: int, values: dict[str, float]) -> None:
        """Log `values` at `step`."""

    @abstractmethod
    def _end(self, status: str) -> None:
        """Finish, if begun: the run is "completed", "stopped", "interrupted", "terminated" or "failed"."""

    def on_batch_end(self, trainer: "Trainer", outputs: "StepOutputs") -> None:
        """Send the means of the log interval that this step ends."""
        if outputs.metrics is not None:
            self._send(trainer.state.step, _under("step", outputs.metrics))

    def on_epoch_end(self, trainer: "Trainer", metrics: dict[str, float]) -> None:
        """Send the metrics and timings of the epoch."""
        self._send(trainer.state.step, _under("epoch", metrics) | _under("timings", trainer.timings))

    def on_exception(self, trainer: "Trainer", error: BaseException) -> None:
        """End as failed."""
        self._end("failed")

    def on_fit_end(self, trainer: "Trainer", result: "FitResult") -> None:
        """End as the run did."""
        self._end(result.status)


def _under(group: str, values: Mapping[str, float]) -> dict[str, float]:
    return {f"{group}/{name}": value for name, value in values.items()}
