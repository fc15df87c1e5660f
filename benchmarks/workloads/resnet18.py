"""A residual network of 18 layers on small random images in colour, SGD with momentum."""

from functools import partial
from typing import Any

import numpy as np

import minitorch.functions as F
import minitorch.layers as L
from benchmarks.race import Race
from benchmarks.training import Batch, WithMinitorch, WithTorch, normal, race_training
from benchmarks.workload import ONEDNN, Contestant, Target, Workload
from minitorch import Layer, Model, no_grad, optimizers, test_mode

Array = np.ndarray[Any, Any]

SIZE, BATCH, BATCHES, CLASSES = 64, 16, 8, 10
STAGES = ((64, 64, 1), (64, 128, 2), (128, 256, 2), (256, 512, 2))  # channels in and out, stride of the first block
LR, MOMENTUM = 0.0001, 0.9


def blocks() -> list[tuple[str, int, int, int]]:
    """Path, channels in and out, and stride of the eight blocks."""
    found = []
    for i, (inner, outer, stride) in enumerate(STAGES):
        found += [(f"blocks.{2 * i}", inner, outer, stride), (f"blocks.{2 * i + 1}", outer, outer, 1)]
    return found


def weights() -> dict[str, Array]:
    shapes: dict[str, tuple[int, ...]] = {"conv.W": (64, 3, 7, 7), "bn.gamma": (64,), "bn.beta": (64,)}
    for path, inner, outer, stride in blocks():
        parts = [("1", (outer, inner, 3, 3)), ("2", (outer, outer, 3, 3))]
        parts += [("3", (outer, inner, 1, 1))] * (stride > 1)
        for i, shape in parts:
            shapes |= {f"{path}.conv{i}.W": shape, f"{path}.bn{i}.gamma": (outer,), f"{path}.bn{i}.beta": (outer,)}
    shapes |= {"fc.W": (512, CLASSES), "fc.b": (CLASSES,)}
    return normal(shapes, lambda shape: float(np.prod(shape[1:])) ** -0.5 if len(shape) == 4 else shape[0] ** -0.5)


def batches(count: int = BATCHES) -> list[Batch]:
    """Images of noise, in which the brightness of one channel depends on the class."""
    draw = np.random.default_rng(0)
    made = []
    for _ in range(count):
        t = draw.integers(0, CLASSES, BATCH)
        x = draw.standard_normal((BATCH, 3, SIZE, SIZE), np.float32)
        x[:, 0] += (t / CLASSES).astype(np.float32)[:, None, None]
        made.append((x, t))
    return made


# ---- minitorch


class Block(Layer):
    def __init__(self, inner: int, outer: int, stride: int, dtype: Any) -> None:
        super().__init__()
        self.conv1 = L.Conv2d(outer, 3, stride, 1, nobias=True, dtype=dtype, in_channels=inner)
        self.bn1 = L.BatchNorm(eps=1e-5, dtype=dtype)
        self.conv2 = L.Conv2d(outer, 3, 1, 1, nobias=True, dtype=dtype, in_channels=outer)
        self.bn2 = L.BatchNorm(eps=1e-5, dtype=dtype)
        self.project = stride > 1
        if self.project:
            self.conv3 = L.Conv2d(outer, 1, stride, nobias=True, dtype=dtype, in_channels=inner)
            self.bn3 = L.BatchNorm(eps=1e-5, dtype=dtype)

    def forward(self, x: Any) -> Any:
        y = self.bn2(self.conv2(F.relu(self.bn1(self.conv1(x)))))
        return F.relu(y + (self.bn3(self.conv3(x)) if self.project else x))


class ResNet18(Model):
    def __init__(self, dtype: Any) -> None:
        super().__init__()
        self.conv = L.Conv2d(64, 7, 2, 3, nobias=True, dtype=dtype, in_channels=3)
        self.bn = L.BatchNorm(eps=1e-5, dtype=dtype)
        self.blocks = [Block(inner, outer, stride, dtype) for _, inner, outer, stride in blocks()]
        self.fc = L.Linear(CLASSES, dtype=dtype, in_size=512)

    def forward(self, x: Any) -> Any:
        x = F.pooling(F.relu(self.bn(self.conv(x))), 3, 2, 1)
        for block in self.blocks:
            x = block(x)
        return self.fc(F.global_average_pooling(x))


def with_minitorch(dtype: str = "float32") -> WithMinitorch:
    model = ResNet18(np.dtype(dtype))
    with no_grad(), test_mode():
        model(np.zeros((1, 3, SIZE, SIZE), dtype))  # batch norm gets its size
    optimizer = optimizers.MomentumSGD(LR, MOMENTUM).setup(model)
    return WithMinitorch(model, optimizer, lambda model, x, t: F.softmax_cross_entropy(model(x), t))


# ---- PyTorch


def with_torch(dtype: str = "float32") -> WithTorch:
    import torch
    from torch import nn
    from torch.nn import functional as f

    class Block(nn.Module):
        def __init__(self, inner: int, outer: int, stride: int) -> None:
            super().__init__()
            self.conv1 = nn.Conv2d(inner, outer, 3, stride, 1, bias=False)
            self.bn1 = nn.BatchNorm2d(outer)
            self.conv2 = nn.Conv2d(outer, outer, 3, 1, 1, bias=False)
            self.bn2 = nn.BatchNorm2d(outer)
            self.project = stride > 1
            if self.project:
                self.conv3 = nn.Conv2d(inner, outer, 1, stride, bias=False)
                self.bn3 = nn.BatchNorm2d(outer)

        def forward(self, x: Any) -> Any:
            y = self.bn2(self.conv2(f.relu(self.bn1(self.conv1(x)), inplace=True)))
            y += self.bn3(self.conv3(x)) if self.project else x
            return f.relu(y, inplace=True)

    class ResNet18(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv = nn.Conv2d(3, 64, 7, 2, 3, bias=False)
            self.bn = nn.BatchNorm2d(64)
            self.blocks = nn.ModuleList([Block(inner, outer, stride) for _, inner, outer, stride in blocks()])
            self.fc = nn.Linear(512, CLASSES)

        def forward(self, x: Any) -> Any:
            x = f.max_pool2d(f.relu(self.bn(self.conv(x)), inplace=True), 3, 2, 1)
            for block in self.blocks:
                x = block(x)
            return self.fc(x.mean(dim=(2, 3)))

    model = ResNet18().to(getattr(torch, dtype))
    optimizer = torch.optim.SGD(model.parameters(), LR, MOMENTUM)
    return WithTorch(model, optimizer, lambda model, x, t: f.cross_entropy(model(x), t))


def run(race: Race, steps: int, *, training: Any) -> None:
    race_training(race, training(), weights(), batches(), steps, in_double=training("float64"))


MINITORCH, FAST, TORCH = "minitorch", "minitorch[fast]", "PyTorch eager"

WORKLOAD = Workload(
    title="ResNet-18 on images of 3×64×64, batches of 16, SGD with momentum",
    about=(
        "Time of a step, loss read in each; 11 million weights. Among the two million inputs of relu some are so near "
        "to zero that rounding decides on which side they lie, and moves the gradient by a thousandth: so gradients "
        "are compared in float64, and the learning rate is low. `minitorch[fast]` is minitorch with oneDNN, which "
        "PyTorch brings along too."
    ),
    contestants=(
        Contestant(MINITORCH, partial(run, training=with_minitorch)),
        Contestant(FAST, partial(run, training=with_minitorch), (ONEDNN,)),
        Contestant(TORCH, partial(run, training=with_torch), ("torch",)),
    ),
    reference=MINITORCH,
    sizes={"steps": 4},
    quick={"steps": 1},
    targets=(Target(MINITORCH, over=TORCH, at_most=1.2), Target(FAST, over=TORCH, at_most=1.2)),
)
