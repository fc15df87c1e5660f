"""`DevicePlacement`: everything on one device."""

from typing import TYPE_CHECKING, Any

import attrs

from minitorch.cuda import Device
from minitorch.models import Model
from minitorch.optimizers import Optimizer
from minitorch.trainer.callback import Callback, Phase

if TYPE_CHECKING:
    from minitorch.trainer.trainer import Trainer


def _device(name: str | Device) -> Device:
    return Device(name)


@attrs.define(eq=False)
class DevicePlacement(Callback):
    """Moves the model, its gradients, the optimizer's state and every batch to one device.

        Trainer(model, optimizer, loss=loss, callbacks=[DevicePlacement("cuda:1"), EpochTimer()])

    A GPU becomes the current one of the thread, with its compute stream, and stays it after the run, since the model
    stays there too.

    Args:
        device: "cpu", "cuda", "cuda:1", or "auto" for a GPU if one works.

    Raises:
        DeviceError: a GPU was asked for by name, and none works.
    """

    phase = Phase.DEVICE
    stages = ("train", "validate", "predict")

    device: Device = attrs.field(converter=_device, factory=lambda: Device("auto"))
    _placed: Any = attrs.field(default=None, init=False, repr=False)

    def on_fit_start(self, trainer: "Trainer") -> None:
        """Move the model and the optimizer's state."""
        self._place(trainer)

    def on_batch_start(self, trainer: "Trainer", batch: Any) -> Any:
        """Move the batch."""
        if self._placed is not trainer.model:  # `evaluate` and `predict` without `fit`
            self._place(trainer)
        return self.device.put(batch)

    def _place(self, trainer: "Trainer") -> None:
        self.device.use()
        parts: list[Model | Optimizer] = [trainer.model, *trainer.optimizers.values()]
        for part in parts:
            part.to_cpu() if self.device.kind == "cpu" else part.to_gpu()
        self._placed = trainer.model
