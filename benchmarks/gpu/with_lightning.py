"""Lightning on a GPU, all extras off: the models and the data of `with_torch`."""

import logging
import time
import warnings
from collections.abc import Iterator
from typing import Any

import lightning
import torch

from benchmarks.gpu.record import Record, section
from benchmarks.gpu.specs import Spec, specs
from benchmarks.gpu.with_torch import Training, loss_of, round_nothing


class Batches:
    """The batches of an epoch, gathered on the device."""

    def __init__(self, training: Training) -> None:
        self.training = training

    def __len__(self) -> int:
        return self.training.spec.steps

    def __iter__(self) -> Iterator[Any]:
        training, batch = self.training, self.training.spec.batch
        order = torch.randperm(len(training.x), device=training.device)
        for i in range(len(self)):
            rows = order[i * batch : (i + 1) * batch]
            yield training.x[rows], training.t[rows]


class Module(lightning.LightningModule):
    def __init__(self, training: Training) -> None:
        super().__init__()
        self.training_of, self.model = training, training.model
        self.losses: list[Any] = []
        self.means: list[float] = []
        self.ends: list[float] = []

    def training_step(self, batch: Any, index: int) -> Any:
        loss = loss_of(self.training_of.spec, self.model, *batch)
        self.losses.append(loss.detach())
        return loss

    def configure_optimizers(self) -> Any:
        return self.training_of.optimizer

    def on_train_epoch_end(self) -> None:
        self.means.append(torch.stack(self.losses).mean().item())
        self.losses.clear()
        self.ends.append(time.perf_counter())


def run(record: Record, spec: Spec) -> None:
    device = "cpu" if record.fake else "cuda"
    training = Training(spec, device, capturable=False)
    module = Module(training)
    trainer = lightning.Trainer(
        max_epochs=spec.epochs + 2, accelerator="cpu" if record.fake else "gpu", devices=1, logger=False,
        enable_progress_bar=False, enable_checkpointing=False, enable_model_summary=False,
    )  # fmt: skip
    trainer.fit(module, Batches(training))
    times = [end - start for start, end in zip(module.ends[1:], module.ends[2:], strict=False)]
    record.add(
        "training", workload=spec.name, contestant="Lightning", seconds=times, steps=spec.steps, loss=module.means[-1]
    )


def main() -> None:
    logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)
    warnings.simplefilter("ignore")
    with section() as record:
        record.add("version", package="Lightning", version=lightning.__version__)
        round_nothing()
        for spec in specs(record.fake):
            record.attempt(f"{spec.name}, Lightning", lambda s=spec: run(record, s))


if __name__ == "__main__":
    main()
