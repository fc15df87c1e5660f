"""minitorch on a GPU: eager, and captured in float32, TF32 and bf16."""

import time
from typing import Any

import minitorch
import minitorch.functions as F
import minitorch.layers as L
from benchmarks.gpu.record import Record, section
from benchmarks.gpu.specs import CNN, GPT, LETTERS, Spec, data, specs
from minitorch import Callback, DataLoader, Model, Trainer, models, optimizers
from minitorch.datasets import ArrayDataset
from minitorch.trainer.callbacks import CudaGraph, DevicePlacement, MixedPrecision
from minitorch.transforms import Compose, Flatten, Normalize, ToFloat

PIXELS = Normalize(0.0, 255.0)
WAYS: dict[str, list[Any]] = {
    "minitorch, eager": [],
    "minitorch, captured": [CudaGraph],
    "minitorch, captured, TF32": [lambda: MixedPrecision("tf32"), CudaGraph],
    "minitorch, captured, bf16": [lambda: MixedPrecision("bf16"), CudaGraph],
}


class Epochs(Callback):
    """Notes when each epoch ends: its metrics have been read then, so the device is done."""

    needs_host = ()

    def __init__(self) -> None:
        self.ends: list[float] = []
        self.reads: list[int] = []

    def on_epoch_end(self, trainer: Trainer, metrics: dict[str, float]) -> None:
        self.ends.append(time.perf_counter())
        self.reads.append(trainer.means.host_reads)


class Convolutions(Model):
    def __init__(self, channels: tuple[int, ...]) -> None:
        super().__init__()
        self.conv1, self.conv2 = L.Conv2d(channels[0], 3), L.Conv2d(channels[1], 3)
        self.fc1, self.fc2 = L.Linear(channels[2]), L.Linear(10)

    def forward(self, x: Any) -> Any:
        x = F.pooling(F.relu(self.conv2(F.relu(self.conv1(x)))), 2, 2)
        return self.fc2(F.relu(self.fc1(F.flatten(x))))


def letters_loss(y: Any, t: Any) -> Any:
    return F.softmax_cross_entropy(y.reshape(-1, LETTERS), t.reshape(-1))


def trainer_of(spec: Spec, callbacks: list[Callback]) -> tuple[Trainer, DataLoader]:
    """A Trainer for the workload, and its data."""
    minitorch.seed(0)
    x, t = data(spec)
    loss: Any = F.softmax_cross_entropy
    if spec.kind == GPT:
        layers, width, heads, context = spec.sizes
        model: Model = models.GPT(LETTERS, context, width, layers, heads)
        loader, loss = DataLoader(ArrayDataset(x, t), spec.batch), letters_loss
    elif spec.kind == CNN:
        model = Convolutions(spec.sizes)
        loader = DataLoader(ArrayDataset(x, t, transform=Compose([ToFloat(), PIXELS])), spec.batch)
    else:
        model = models.MLP((*spec.sizes, 10), activation=F.relu if spec.relu else F.sigmoid)
        loader = DataLoader(ArrayDataset(x, t, transform=Compose([Flatten(), ToFloat(), PIXELS])), spec.batch)
    adam = optimizers.AdamW if spec.kind == GPT else optimizers.Adam
    optimizer = adam(spec.lr) if spec.adam else optimizers.SGD(spec.lr)
    return Trainer(model, optimizer, loss=loss, callbacks=callbacks), loader


def run(record: Record, spec: Spec, way: str) -> None:
    clock = Epochs()
    callbacks = [DevicePlacement("cuda"), *[make() for make in WAYS[way]], clock]
    trainer, loader = trainer_of(spec, callbacks)
    result = trainer.fit(loader, epochs=spec.epochs + 2)
    times = [end - start for start, end in zip(clock.ends[1:], clock.ends[2:], strict=False)]
    graph = next((c for c in callbacks if isinstance(c, CudaGraph)), None)
    record.add(
        "training",
        workload=spec.name,
        contestant=way,
        seconds=times,
        steps=spec.steps,
        loss=result.history[-1]["loss"],
        host_reads=clock.reads[-1] - clock.reads[-2],
        note="" if graph is None or graph.reason is None else f"ran eagerly: {graph.reason}",
    )


def main() -> None:
    with section() as record:
        for spec in specs(record.fake):
            for way in WAYS:
                record.attempt(f"{spec.name}, {way}", lambda s=spec, w=way: run(record, s, w))


if __name__ == "__main__":
    main()
