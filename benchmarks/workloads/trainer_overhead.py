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
from minitorch.trainer.callbacks import Checkpoint, ConsoleLogger, EpochTimer, JSONLLogger, ProgressBar

Array = np.ndarray[Any, Any]

WORK = {"50 µs of work a step": 50e-6, "500 µs of work a step": 500e-6, "5 ms of work a step": 5e-3}
PREEMPTED = 1e-3  # seconds above the median from which a gap shows that the system ran something else
BATCH = 8
LR = 0.01


@attrs.define
class Job:
    """A tiny model's training, y = x W + b with x (8, 4), with work in each step that stands for a larger model's.

    Attributes:
        steps: how many there are.
        seconds: of work in each.
        convert: of a NumPy array, to what the framework computes with.
    """

    steps: int
    seconds: float
    convert: Callable[[Array], Any] = lambda array: array
    _memory: Array = attrs.field(factory=lambda: np.ones((64, 1 << 14), np.float32), repr=False)
    _at: int = 0
    _ended: float = 0.0
    _gaps: list[float] = attrs.field(factory=list, repr=False)

    def __len__(self) -> int:
        return self.steps

    def __iter__(self) -> Iterator[tuple[Any, Any]]:
        x = np.linspace(-1, 1, 4 * BATCH, dtype=np.float32).reshape(BATCH, 4)
        t = x.sum(axis=1, keepdims=True)
        batch = self.convert(x), self.convert(t)
        for _ in range(self.steps):
            yield batch

    def work(self) -> None:
        """Go through 4 MiB of memory until the time is over; a step calls this once, between forward and backward."""
        begun = perf_counter()
        self._gaps.append(begun - self._ended)
        end = begun + self.seconds
        while perf_counter() < end:
            self._memory[self._at] *= 1.0
            self._at = (self._at + 1) % len(self._memory)
        self._ended = perf_counter()

    def gap(self) -> float:
        """The mean time from the end of one step's work to the begin of the next one's."""
        gaps = self._gaps[1:]
        longest = statistics.median(gaps) + PREEMPTED
        return statistics.fmean(gap for gap in gaps if gap < longest)


def race_overhead(
    race: Race, sizes: dict[str, int], by_hand: Callable[[Job], float], by_trainer: Callable[[Job], float], **job: Any
) -> None:
    """In each round, for each length of work: first the loop, then the Trainer, which both return the mean loss."""
    race.start()
    for _ in range(race.rounds):
        extra, losses = {}, []
        for (name, seconds), steps in zip(WORK.items(), sizes.values(), strict=True):
            loop, trainer = Job(steps, seconds, **job), Job(steps, seconds, **job)
            losses += [by_hand(loop), by_trainer(trainer)]
            extra[name] = trainer.gap() - loop.gap()
        race.lap(losses, seconds=extra)


# ---- minitorch


def minitorch_model() -> tuple[MLP, optimizers.Optimizer]:
    model = MLP((1,))
    model.load_state_dict({"l0.W": np.zeros((4, 1), np.float32), "l0.b": np.zeros(1, np.float32)})
    return model, optimizers.SGD(LR).setup(model)


def minitorch_loop(job: Job) -> float:
    model, optimizer = minitorch_model()
    sum_loss = 0.0
    for x, t in job:
        loss = F.mean_squared_error(model(x), t)
        job.work()
        model.cleargrads()
        loss.backward()
        optimizer.update()
        sum_loss += float(loss.data) * len(t)
    return sum_loss / (BATCH * len(job))


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


def five_callbacks(folder: Path) -> list[Callback]:
    """Those of a long run."""
    checkpoint = Checkpoint(folder, every=Every(seconds=60))
    return [EpochTimer(), ProgressBar(), ConsoleLogger(), JSONLLogger(folder), checkpoint]


def with_minitorch(race: Race, *, callbacks: Callable[[Path], list[Callback]], **sizes: int) -> None:
    race_overhead(race, sizes, minitorch_loop, partial(minitorch_trainer, callbacks=callbacks))


# ---- Lightning


def torch_model() -> Any:
    import torch

    model = torch.nn.Linear(4, 1)
    torch.nn.init.zeros_(model.weight)
    torch.nn.init.zeros_(model.bias)
    return model


def torch_loop(job: Job) -> float:
    import torch

    model = torch_model()
    optimizer = torch.optim.SGD(model.parameters(), LR)
    sum_loss = 0.0
    for x, t in job:
        loss = torch.nn.functional.mse_loss(model(x), t)
        job.work()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        sum_loss += loss.item() * len(t)
    return sum_loss / (BATCH * len(job))


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


BARE, FULL = "minitorch Trainer, bare", "minitorch Trainer, five callbacks"
LIGHTNING, LIGHTNING_FULL = "Lightning Trainer, bare", "Lightning Trainer, bar, logger and checkpoint"

WORKLOAD = Workload(
    title="what a Trainer adds to a step of a loop written by hand",
    about=(
        "Extra time of a step under the Trainer, over the same step in a loop written by hand with the same framework, "
        "in the same process, one after the other. A step trains a linear model of 4 inputs; between its forward and "
        "its backward stands work of 50 µs, 500 µs or 5 ms, which goes through 4 MiB of memory and so empties the "
        "caches. Measured is the mean time from one step's work to the next one's; gaps more than 1 ms longer than "
        "usual, when the system ran something else, are left out. What happens once in an epoch or a run does not "
        "count. Bare is `callbacks=[]`, and in Lightning everything off. The five callbacks are EpochTimer, "
        "ProgressBar (drawn), ConsoleLogger, JSONLLogger and Checkpoint (asked in each step, due after a minute). The "
        "losses are compared."
    ),
    contestants=(
        Contestant(BARE, partial(with_minitorch, callbacks=lambda folder: [])),
        Contestant(FULL, partial(with_minitorch, callbacks=five_callbacks)),
        Contestant(LIGHTNING, partial(with_lightning, extras=False), ("lightning", "torch")),
        Contestant(LIGHTNING_FULL, partial(with_lightning, extras=True), ("lightning", "torch")),
    ),
    reference=BARE,
    sizes={"short": 1000, "middle": 500, "long": 100},
    quick={"short": 10, "middle": 10, "long": 5},
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
