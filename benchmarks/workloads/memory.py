"""Peak memory of the other workloads, each in a fresh process."""

import json
import subprocess
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import mnist
from benchmarks.race import Race
from benchmarks.training import Batch, Training, WithMinitorch, WithTorch, losses
from benchmarks.workload import ONEDNN, Contestant, Target, Workload
from benchmarks.workloads import cnn, gpt, lstm, mnist_mlp, resnet18, small_ops
from minitorch.config import Config

ROOT = Path(__file__).parents[2]
STATUS, PEAK_RESET = Path("/proc/self/status"), Path("/proc/self/clear_refs")
# What it takes to import all that the trainings use; of minitorch a part is loaded when a name of it is first used.
MODULES = {"minitorch": "minitorch.models, minitorch.optimizers, minitorch.functions", "torch": "torch"}
IMPORT = "import {name}; print(open('/proc/self/status').read())"


def mlp(framework: str, setting: mnist_mlp.Setting) -> Training:
    if framework == "minitorch":
        import minitorch.functions as F

        return WithMinitorch(
            *mnist_mlp.minitorch_model(setting), lambda model, x, t: F.softmax_cross_entropy(model(x), t)
        )
    import torch

    model = mnist_mlp.torch_model(setting)
    optimizer = mnist_mlp.torch_optimizer(model, setting)
    return WithTorch(model, optimizer, lambda model, x, t: torch.nn.functional.cross_entropy(model(x), t))


def pixels() -> list[Batch]:
    draw = np.random.default_rng(0)
    return [(draw.random((mnist.BATCH, mnist.PIXELS), np.float32), draw.integers(0, mnist.CLASSES, mnist.BATCH))]


class Chain:
    """The longer chain of `small_ops`, which has no weights."""

    def __init__(self, framework: str) -> None:
        if framework == "minitorch":
            from minitorch import Variable

            self.leaf: Callable[[float], Any] = lambda value: Variable(small_ops.leaf(value))
        else:
            import torch

            self.leaf = lambda value: torch.tensor([value], requires_grad=True)

    def arrays(self, *, gradients: bool = False) -> dict[str, Any]:
        return {}

    def backward(self, *batch: Any) -> Any:
        y = small_ops.products(self.leaf(small_ops.X), None)
        y.backward()
        return y

    def update(self) -> None:
        pass

    def batch(self, *arrays: Any) -> Batch:
        return arrays


def module(source: Any, framework: str) -> Training:
    made: Training = (source.with_minitorch if framework == "minitorch" else source.with_torch)()
    return made


# By name, what makes the training of a framework, and what makes the batches.
WORK: dict[str, tuple[Callable[[str], Training], Callable[[], list[Batch]]]] = {
    "mnist_mlp": (partial(mlp, setting=mnist_mlp.SGD), pixels),
    "mnist_mlp_adam": (partial(mlp, setting=mnist_mlp.Setting(relu=True, adam=True)), pixels),
    "cnn": (partial(module, cnn), partial(cnn.batches, 1)),
    "lstm": (partial(module, lstm), partial(lstm.batches, 1)),
    "gpt": (partial(module, gpt), partial(gpt.batches, 1)),
    "small_ops": (Chain, lambda: [()]),
    "resnet18": (partial(module, resnet18), partial(resnet18.batches, 1)),
}


def memory(status: str, line: str) -> int:
    """In bytes, what a /proc/self/status says: VmRSS is what a process has now, VmHWM the most that it has had."""
    return int(next(words for words in map(str.split, status.splitlines()) if words[0] == f"{line}:")[1]) * 1024


def report(framework: str, name: str, steps: int, onednn: bool) -> None:
    """What a fresh process does: print by how much its peak rises while it trains."""
    Config.use_onednn = onednn
    make, batches = WORK[name]
    made = batches()
    __import__("torch" if framework == "torch" else "minitorch")
    PEAK_RESET.write_text("5", encoding="ascii")  # so that what making the batches took does not count
    begin = memory(STATUS.read_text(encoding="ascii"), "VmRSS")
    training = make(framework)
    found = list(losses(training, iter([training.batch(*made[0])] * steps)))
    print(json.dumps([memory(STATUS.read_text(encoding="ascii"), "VmHWM") - begin, found[-1]]))


def measure(race: Race, steps: int, *, framework: str) -> None:
    """Once, at the first turn: to measure it again would give the same."""
    race.start()
    seconds: dict[str, float] = {}
    fast = Config.use_onednn
    alone = memory(_output("-c", IMPORT.format(name=MODULES[framework])), "VmHWM")
    for name in WORK:
        call = f"from benchmarks.workloads import memory; memory.report({framework!r}, {name!r}, {steps}, {fast})"
        rise, _ = json.loads(_output("-c", call).splitlines()[-1])
        seconds[f"{name}, training"] = rise
        seconds[f"{name}, whole process"] = alone + rise
    for _ in range(race.rounds):
        race.lap(seconds=seconds)


def _output(*args: str) -> str:
    return subprocess.run([sys.executable, *args], cwd=ROOT, capture_output=True, text=True, check=True).stdout


MINITORCH, TORCH = "minitorch", "PyTorch eager"

WORKLOAD = Workload(
    title="peak memory of training",
    about=(
        "Each workload in a fresh process (Linux only: VmHWM). `training` is by how much the peak rises from the "
        "import to the end of the steps: weights, gradients, optimizer state, what the graph holds, buffers. `whole "
        "process` adds the peak of an interpreter that has imported the framework and nothing else."
    ),
    contestants=(
        Contestant(MINITORCH, partial(measure, framework="minitorch")),
        Contestant("minitorch[fast]", partial(measure, framework="minitorch"), (ONEDNN,)),
        Contestant(TORCH, partial(measure, framework="torch"), ("torch",)),
    ),
    reference=MINITORCH,
    sizes={"steps": 5},
    quick={"steps": 1},
    unit="MB",
    targets=tuple(
        Target(MINITORCH, over=TORCH, at_most=1.0, column=f"{name}, {what}")
        for name in WORK
        for what in ("training", "whole process")
    ),
    rounds=1,
)
