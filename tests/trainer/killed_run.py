"""A program under test: it trains on a small part of MNIST, and may be killed on its way and started again.

    python killed_run.py DATA

For each line `FOLDER [STEP:PLACE[:HOW]] [background]` that it reads, it forks a process that goes on with the run in
FOLDER, if there is one, and answers with the exit status; what that process wrote is in `FOLDER.out`. Forking saves the
time to import.

Given a step and a place in it, the process fails there, as `Chaos` does it: `HOW` is SIGKILL unless told otherwise.
`PLACE` is a hook (after the callbacks of earlier phases, before Checkpoint), `waiting` (a batch of the step is done,
and waits for its update), `writing` (in the middle of saving a checkpoint) or `saved` (right after it). Four epochs of
ten steps of two batches; the last batch of an epoch is short.
"""

import os
import signal
import sys
import traceback
from pathlib import Path

import minitorch
import minitorch.functions as F
import minitorch.layers as L
from minitorch import Callback, DataLoader, Every, Trainer, optimizers
from minitorch.datasets import MNIST
from minitorch.models import Sequential
from minitorch.optimizers.schedules import Chained, Cosine, WarmUp
from minitorch.trainer import Phase
from minitorch.trainer.callbacks import (
    EMA,
    Chaos,
    Checkpoint,
    EarlyStopping,
    GradientAccumulation,
    GradientClipping,
    JSONLLogger,
    LRSchedule,
    MixUp,
)
from minitorch.transforms import Compose, Flatten, Normalize, RandomCrop, RandomHorizontalFlip, ToFloat

AUGMENTED = Compose([RandomCrop(28, padding=2), RandomHorizontalFlip(), Flatten(), ToFloat(), Normalize(0.0, 255.0)])


def die():
    """End like a process that is out of memory: at once, with nothing written or closed."""
    os.kill(os.getpid(), signal.SIGKILL)


def killer(hook, dies):
    """A callback that dies in `hook` when `dies(state)` says so."""

    def run(self, trainer, *given):
        if dies(trainer.state):
            die()

    return type("Killer", (Callback,), {"phase": Phase.CHECKPOINT, hook: run})()


def die_writing(step):
    """See that the process dies in the middle of saving the checkpoint of `step`."""
    replace = os.replace

    def replace_or_die(source, target):
        if Path(target).stem == f"step-{step:08d}":
            die()
        replace(source, target)

    os.replace = replace_or_die


def failing_at(step, place, how="SIGKILL"):
    """The callbacks to put before and after Checkpoint, for a failure at this place."""
    if place == "saved":
        return [], [killer("on_checkpoint", lambda state: state.step == step and not state.waiting)]
    if place == "waiting":
        return [killer("on_batch_end", lambda state: state.step + 1 == step and state.waiting)], []
    if place == "writing":
        die_writing(step)
        return [], []
    if place == "on_exception":  # there must be one first
        return [Chaos([step], "raise"), Chaos([step], how, hook=place)], []
    return [Chaos([step], how, hook=place)], []


def main(data, folder, *options):
    """Begin the run, or go on with it; with "background" among the options, its checkpoints are written there."""
    before, after = [], []
    for failure in set(options) - {"background"}:
        step, *where = failure.split(":")
        before, after = failing_at(int(step), *where)
    minitorch.seed(7)
    train = DataLoader(MNIST(train=True, root=data, transform=AUGMENTED), 16)
    test = DataLoader(MNIST(train=False, root=data), 32)
    model = Sequential(L.Linear(24), F.relu, L.Dropout(0.3), L.BatchNorm(), L.Linear(10))
    trainer = Trainer(
        model,
        optimizers.Adam(),
        loss=F.softmax_cross_entropy,
        metrics={"train/accuracy": F.accuracy},
        callbacks=[
            GradientAccumulation(2),
            MixUp(10, alpha=0.4),
            LRSchedule(Chained(WarmUp(8), Cosine(32), lengths=(8,))),
            GradientClipping(norm=1.0),
            EMA(0.9),
            EarlyStopping(patience=100, restore_best=True),
            JSONLLogger(folder),
            *before,
            Checkpoint(folder, every=Every(steps=4), background="background" in options),
            *after,
        ],
        log_every=Every(steps=3),
        validate_every=Every(steps=7),
    )
    result = trainer.fit(train, test, epochs=4, resume="auto")
    sys.stdout.write(f"{result.status} at step {result.state.step}\n")


def forked(data, folder, options):
    """The exit status of a process that runs `main`; minus the signal, where one ended it."""
    child = os.fork()
    if child:
        return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    status = 1
    try:
        with open(f"{folder}.out", "w") as output:
            os.dup2(output.fileno(), 1)
            os.dup2(output.fileno(), 2)
        main(data, folder, *options)
        status = 0
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        os._exit(status)


if __name__ == "__main__":
    for line in sys.stdin:
        folder, *options = line.split()
        sys.stdout.write(f"{forked(sys.argv[1], folder, options)}\n")
        sys.stdout.flush()
