"""The contestants of `mnist_mlp` on a machine where a foreign process keeps one core busy."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Sequence
from functools import partial
from time import perf_counter
from typing import Any

from benchmarks.race import Race
from benchmarks.workload import STEP, Contestant, Target, Workload
from benchmarks.workloads.mnist_mlp import minitorch_loop, minitorch_trainer, numpy_preallocated, torch_loop
from minitorch.trainer.callbacks import default_callbacks


class Neighbour:
    """A process that computes without end, while it is let."""

    def __init__(self) -> None:
        self.process = subprocess.Popen([sys.executable, "-c", "while True: pass"])
        self.stop()

    def go(self) -> None:
        os.kill(self.process.pid, signal.SIGCONT)

    def stop(self) -> None:
        os.kill(self.process.pid, signal.SIGSTOP)

    def leave(self) -> None:
        self.process.kill()
        self.process.wait()


class DisturbedRace:
    """A race in which the neighbour is busy while the clock runs."""

    def __init__(self, race: Race, neighbour: Neighbour) -> None:
        self.race = race
        self.rounds = race.rounds
        self.neighbour = neighbour
        self.begun = 0.0

    def start(self, *args: Any, **kwargs: Any) -> None:
        self.race.start(*args, **kwargs)
        self._go()

    def lap(self, numbers: Sequence[float] = (), *, steps: int) -> None:
        seconds = (perf_counter() - self.begun) / steps
        self.neighbour.stop()
        self.race.lap(numbers, seconds={STEP: seconds})
        self._go()

    def _go(self) -> None:
        self.neighbour.go()
        self.begun = perf_counter()


def disturbed(race: Race, steps: int, *, run: Callable[..., None], one_thread: bool = False) -> None:
    neighbour = Neighbour()
    try:
        if one_thread:
            import torch

            torch.set_num_threads(1)
        run(DisturbedRace(race, neighbour), steps)
    finally:
        neighbour.leave()


TRAINER, TORCH = "minitorch Trainer, default callbacks", "PyTorch eager"

WORKLOAD = Workload(
    title="784-1000-10 on MNIST, sigmoid, SGD, with one core kept busy by another process",
    about=(
        "As `mnist_mlp`, but while a contestant has its turn a Python process computes without end beside it. Threads "
        "that wait for each other by spinning then wait for the scheduler."
    ),
    contestants=(
        Contestant(TRAINER, partial(disturbed, run=partial(minitorch_trainer, callbacks=default_callbacks))),
        Contestant("minitorch, loop by hand", partial(disturbed, run=minitorch_loop)),
        Contestant("NumPy by hand, preallocated", partial(disturbed, run=numpy_preallocated)),
        Contestant(TORCH, partial(disturbed, run=torch_loop), ("torch",)),
        Contestant("PyTorch, one thread", partial(disturbed, run=torch_loop, one_thread=True), ("torch",)),
    ),
    reference=TRAINER,
    sizes={"steps": 60},
    quick={"steps": 10},
    targets=(Target(TRAINER, over=TORCH, at_most=0.2),),
)
