"""`DevicePlacement`: everything on one device."""

from typing import TYPE_CHECKING, Any

import attrs

from minitorch.cuda import Device, sync_allowed
from minitorch.dataloader import DataLoader
from minitorch.models import Model
from minitorch.optimizers import Optimizer
from minitorch.resident import LaterBatch
from minitorch.trainer.callback import Callback, Phase
from minitorch.trainer.settings import as_text

if TYPE_CHECKING:
    from minitorch.trainer.state import FitResult
    from minitorch.trainer.trainer import Trainer


def _device(name: str | Device) -> Device:
    return Device(name)


@attrs.define(eq=False)
class DevicePlacement(Callback):
    """Moves the model, its gradients, the optimizer's state and every batch to one device.

        Trainer(model, optimizer, loss=loss, callbacks=[DevicePlacement("cuda:1"), EpochTimer()])

    Loaders that can are told to make their batches on a GPU (`DataLoader.to_gpu`) for the time of the run.

    A GPU becomes the current one of the thread, with its compute stream, and stays it after the run, since the model
    stays there too.

    Args:
        device: "cpu", "cuda", "cuda:1", or "auto" for a GPU if one works.

    Raises:
        DeviceError: a GPU was asked for by name, and none works.
    """

    phase = Phase.DEVICE
    needs_host = ()
    stages = ("train", "validate", "predict")

    device: Device = attrs.field(converter=_device, factory=lambda: Device("auto"), repr=as_text)
    _placed: Any = attrs.field(default=None, init=False, repr=False)
    _loaders: list[DataLoader] = attrs.field(factory=list, init=False, repr=False)

    def on_fit_start(self, trainer: "Trainer") -> None:
        """Move the model, the optimizer's state, and the loaders."""
        self._place(trainer)
        if self.device.kind == "cuda":
            loaders = [trainer.train_loader, *trainer.validation_loaders.values()]
            self._loaders = [loader for loader in loaders if isinstance(loader, DataLoader) and not loader.gpu]
            for loader in self._loaders:
                loader.to_gpu()

    def on_exception(self, trainer: "Trainer", error: BaseException) -> None:
        """Have the loaders give batches on the host again."""
        self._give_back()

    def on_fit_end(self, trainer: "Trainer", result: "FitResult") -> None:
        """Have the loaders give batches on the host again."""
        self._give_back()

    def on_batch_start(self, trainer: "Trainer", batch: Any) -> Any:
        """Move the batch."""
        if self._placed is not trainer.model:  # `evaluate` and `predict` without `fit`
            self._place(trainer)
        if isinstance(batch, LaterBatch):  # which is there already
            return batch
        with sync_allowed():
            return self.device.put(batch)

    def _give_back(self) -> None:
        for loader in self._loaders:
            loader.to_cpu()
        self._loaders = []

    def _place(self, trainer: "Trainer") -> None:
        self.device.use()
        with sync_allowed():
            self._move(trainer)
        self._placed = trainer.model

    def _move(self, trainer: "Trainer") -> None:
        parts: list[Model | Optimizer] = [trainer.model, *trainer.optimizers.values()]
        for part in parts:
            part.to_cpu() if self.device.kind == "cpu" else part.to_gpu()
