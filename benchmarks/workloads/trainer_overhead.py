"""What a Trainer adds to each step of a loop written by hand, for short steps and long ones."""

import statistics
import tempfile
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from time import perf_counter
from typing import Any

import attrs
import numpy as np

import minitorch.functions as F
from benchmarks.race import Race
from benchmarks.workload import Contestant, Target, Workload
from minitorch import Callback, Every, Trainer, optimizers
from minitorch.models import MLP
from minitorch.trainer.callbacks import (
    Checkpoint,
    ConsoleLogger,
    EpochTimer,
    JSONLLogger,
    ProgressBar,
    ThroughputMonitor,
)

Array = np.ndarray[Any, Any]

WORK = {"50 µs of work a step": 50e-6, "500 µs of work a step": 500e-6, "5 ms of work a step": 5e-3}
BLOCK = 10  # steps after which the loop and the Trainer change places
BATCH = 8
LR = 0.01


@attrs.define
class Job:
    """A tiny model's training, y = x W + b with x (8, 4), with work in each step that stands for a larger model's.

    Attributes:
        steps: how many there are, a multiple of BLOCK.
        seconds: of work in each.
        convert: of a NumPy array, to what the framework computes with.
        pause: called before each block of steps, when others have their turn.
        blocks: for each block the seconds between the work of one step and the next, each with whether the system gave
            the processor to somebody else meanwhile, or in the work before: then the caches are those of others.
    """

    steps: int
    seconds: float
    convert: Callable[[Array], Any] = lambda array: array
    pause: Callable[[], object] = lambda: None
    blocks: list[list[tuple[float, bool]]] = attrs.field(factory=list, repr=False)
    _memory: Array = attrs.field(factory=lambda: np.ones((64, 1 << 14), np.float32), repr=False)
    _at: int = 0
    _ended: float | None = None
    _switches: int = 0

    def __len__(self) -> int:
        return self.steps

    def __iter__(self) -> Iterator[tuple[Any, Any]]:
        x = np.linspace(-1, 1, 4 * BATCH, dtype=np.float32).reshape(BATCH, 4)
        t = x.sum(axis=1, keepdims=True)
        batch = self.convert(x), self.convert(t)
        for number in range(self.steps):
            if number % BLOCK == 0:
                self.pause()
                self.blocks.append([])
                self._ended = None  # what passed in the pause is no gap
            yield batch

    def work(self) -> None:
        """Go through 4 MiB of memory until the time is over; a step calls this once, between forward and backward."""
        begun = perf_counter()
        switches = context_switches()
        if self._ended is not None:
            self.blocks[-1].append((begun - self._ended, switches != self._switches))
        self._switches = switches
        end = begun + self.seconds
        while perf_counter() < end:
            self._memory[self._at] *= 1.0
            self._at = (self._at + 1) % len(self._memory)
        self._ended = perf_counter()


def context_switches() -> int:
    """How often the processor was taken from this process, or given away by it; 0 on Windows."""
    try:
        import resource
    except ImportError:
        return 0
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_nvcsw + usage.ru_nivcsw


def undisturbed(*jobs: Job) -> list[tuple[list[float], ...]]:
    """Block by block the seconds of the undisturbed steps of each job; of all steps, where no block has any of each."""
    blocks = list(zip(*[job.blocks for job in jobs], strict=True))
    quiet = [tuple([seconds for seconds, disturbed in part if not disturbed] for part in block) for block in blocks]
    found = [block for block in quiet if all(block)]
    every = [tuple([seconds for seconds, _ in part] for part in block) for block in blocks]
    return found or [block for block in every if all(block)]


def difference(job: Job, other: Job) -> float:
    """How much longer it is from one step's work to the next's: the median over blocks of differences of medians."""
    return statistics.median([statistics.median(a) - statistics.median(b) for a, b in undisturbed(job, other)])


def race_overhead(
    race: Race,
    sizes: dict[str, int],
    by_hand: Callable[[Job], Iterator[float]],
    by_trainer: Callable[[Job], float],
    **job: Any,
) -> None:
    """For each length of work the Trainer runs, and before each block of its steps a loop by hand does such a block."""
    race.start()
    for _ in range(race.rounds):
        extra, losses = {}, []
        for (name, seconds), steps in zip(WORK.items(), sizes.values(), strict=True):
            loop = Job(steps, seconds, **job)
            sums: list[float] = []
            hand = by_hand(loop)
            trainer = Job(steps, seconds, pause=lambda hand=hand, sums=sums: sums.append(next(hand)), **job)
            mean = by_trainer(trainer)
            losses += [sums[-1] / (BATCH * steps), mean]
            extra[name] = difference(trainer, loop)
        race.lap(losses, seconds=extra)


# ---- minitorch


def minitorch_model() -> tuple[MLP, optimizers.Optimizer]:
    model = MLP((1,))
    model.load_state_dict({"l0.W": np.zeros((4, 1), np.float32), "l0.b": np.zeros(1, np.float32)})
    return model, optimizers.SGD(LR).setup(model)


def minitorch_loop(job: Job) -> Iterator[float]:
    """A loop that stops after each block; gives the sum of the losses so far."""
    model, optimizer = minitorch_model()
    sum_loss = 0.0
    for number, (x, t) in enumerate(job, 1):
        loss = F.mean_squared_error(model(x), t)
        job.work()
        model.cleargrads()
        loss.backward()
        optimizer.update()
        sum_loss += float(loss.data) * len(t)
        if number % BLOCK == 0:
            yield sum_loss


class WorkingTrainer(Trainer):
    """Trains the model of a Job, with its work."""

    job: Job

    def training_step(self, batch: Any) -> Any:
        x, t = batch
        loss = F.mean_squared_error(self.model(x), t)
        self.job.work()
        return loss


def minitorch_trainer(job: Job, callbacks: Callable[[Path], list[Callback]]) -> float:
    model, optimizer = minitorch_model()
    with tempfile.TemporaryDirectory() as folder:
        trainer = WorkingTrainer(model, optimizer, callbacks=callbacks(Path(folder)))
        trainer.job = job
        return trainer.fit(job, epochs=1).metrics["loss"]


def six_callbacks(folder: Path) -> list[Callback]:
    """Those of a long run."""
    checkpoint = Checkpoint(folder, every=Every(seconds=60))
    return [EpochTimer(), ThroughputMonitor(), ProgressBar(), ConsoleLogger(), JSONLLogger(folder), checkpoint]


def with_minitorch(race: Race, *, callbacks: Callable[[Path], list[Callback]], **sizes: int) -> None:
    race_overhead(race, sizes, minitorch_loop, partial(minitorch_trainer, callbacks=callbacks))


def with_the_loop_itself(race: Race, **sizes: int) -> None:
    race.start()
    for _ in range(race.rounds):
        gaps, losses = {}, []
        for (name, seconds), steps in zip(WORK.items(), sizes.values(), strict=True):
            loop = Job(steps, seconds)
            losses += [list(minitorch_loop(loop))[-1] / (BATCH * steps)] * 2
            gaps[name] = statistics.median([statistics.median(block) for (block,) in undisturbed(loop)])
        race.lap(losses, seconds=gaps)


# ---- Lightning


def torch_model() -> Any:
    import torch

    model = torch.nn.Linear(4, 1)
    torch.nn.init.zeros_(model.weight)
    torch.nn.init.zeros_(model.bias)
    return model


def torch_loop(job: Job) -> Iterator[float]:
    """The same with PyTorch."""
    import torch

    model = torch_model()
    optimizer = torch.optim.SGD(model.parameters(), LR)
    sum_loss = 0.0
    for number, (x, t) in enumerate(job, 1):
        loss = torch.nn.functional.mse_loss(model(x), t)
        job.work()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        sum_loss += loss.item() * len(t)
        if number % BLOCK == 0:
            yield sum_loss


def lightning_trainer(job: Job, *, extras: bool) -> float:
    """With `extras` the loss goes through `self.log`, as its users do it; else into a list, which is faster."""
    import lightning
    import torch
    from lightning.pytorch.loggers import CSVLogger

    class Module(lightning.LightningModule):
        def __init__(self) -> None:
            super().__init__()
            self.model = torch_model()
            self.losses: list[Any] = []

        def training_step(self, batch: Any, index: int) -> Any:
            x, t = batch
            loss = torch.nn.functional.mse_loss(self.model(x), t)
            job.work()
            self.losses.append(loss.detach())
            if extras:
                self.log("loss", loss, batch_size=len(t), on_step=True, on_epoch=True, prog_bar=True)
            return loss

        def configure_optimizers(self) -> Any:
            return torch.optim.SGD(self.parameters(), LR)

    module = Module()
    with tempfile.TemporaryDirectory() as folder:
        trainer = lightning.Trainer(
            max_epochs=1, accelerator="cpu", default_root_dir=folder, logger=CSVLogger(folder) if extras else False,
            enable_progress_bar=extras, enable_checkpointing=extras, enable_model_summary=False,
        )  # fmt: skip
        trainer.fit(module, job)
    return float(torch.stack(module.losses).mean())


def with_lightning(race: Race, *, extras: bool, **sizes: int) -> None:
    import torch

    by_trainer = partial(lightning_trainer, extras=extras)
    race_overhead(race, sizes, torch_loop, by_trainer, convert=torch.from_numpy)


BARE, FULL = "minitorch Trainer, bare", "minitorch Trainer, six callbacks"
BY_HAND = "by hand with minitorch: all of a step but its work"
LIGHTNING, LIGHTNING_FULL = "Lightning Trainer, bare", "Lightning Trainer, bar, logger and checkpoint"

WORKLOAD = Workload(
    title="what a Trainer adds to a step of a loop written by hand",
    about=(
        "Extra time of a step under the Trainer, over the same step in a loop written by hand with the same framework, "
        f"in the same process, in turns of {BLOCK} steps. A step trains a linear model of 4 inputs; between its "
        "forward and its backward stands work of 50 µs, 500 µs or 5 ms, which goes through 4 MiB of memory and so "
        "empties the caches. Measured is the time from one step's work to the next one's: the median over all turns "
        "of the differences of their medians, so that what else the machine does counts for little. Steps in which the "
        "system gave the processor to another process do not count, on either side. What happens once in a log "
        "interval, an epoch or a run does not count. Bare is `callbacks=[]`, and in Lightning everything off. The six "
        "callbacks are EpochTimer, ThroughputMonitor, ProgressBar (drawn), ConsoleLogger, JSONLLogger and Checkpoint "
        "(asked in each step, due after a minute). What the loop by hand takes itself stands beside them: the longer "
        "the work, the colder the caches after it, for both alike. The losses are compared."
    ),
    contestants=(
        Contestant(BARE, partial(with_minitorch, callbacks=lambda folder: [])),
        Contestant(FULL, partial(with_minitorch, callbacks=six_callbacks)),
        Contestant(BY_HAND, with_the_loop_itself),
        Contestant(LIGHTNING, partial(with_lightning, extras=False), ("lightning", "torch")),
        Contestant(LIGHTNING_FULL, partial(with_lightning, extras=True), ("lightning", "torch")),
    ),
    reference=BARE,
    sizes={"short": 1000, "middle": 500, "long": 400},
    quick={"short": 2 * BLOCK, "middle": 2 * BLOCK, "long": BLOCK},
    unit="µs",
    targets=tuple(
        target
        for column in WORK
        for target in (
            Target(BARE, at_most=5, column=column),
            Target(FULL, at_most=25, column=column),
            Target(BARE, over=LIGHTNING, at_most=0.1, column=column),
            Target(FULL, over=LIGHTNING_FULL, at_most=0.1, column=column),
        )
    ),
)
