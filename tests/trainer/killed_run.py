"""A program under test: it trains on a small part of MNIST, and may be killed on its way and started again.

    python killed_run.py DATA FOLDER [STEP:PLACE]

It goes on with the run in FOLDER if there is one. Given a step and a place in it, it kills itself there with SIGKILL:
`PLACE` is a hook (after the callbacks of earlier phases, before Checkpoint), `writing` (in the middle of saving a
checkpoint) or `saved` (right after it). Four epochs of ten steps; the last batch of an epoch is short.
"""

import os
import signal
import sys
from pathlib import Path

import minitorch
import minitorch.functions as F
import minitorch.layers as L
from minitorch import Callback, DataLoader, Every, Trainer, optimizers
from minitorch.datasets import MNIST
from minitorch.models import Sequential
from minitorch.trainer import Phase
from minitorch.trainer.callback import HOOKS
from minitorch.trainer.callbacks import Checkpoint, EarlyStopping, JSONLLogger


def die():
    """End like a process that is out of memory: at once, with nothing written or closed."""
    os.kill(os.getpid(), signal.SIGKILL)


def killer(step, hook):
    """A callback that dies in `hook` of step `step`."""

    def run(self, trainer, *given):
        # before the counters move on, the step under way is the next
        if trainer.state.step + (hook in ("on_batch_start", "on_after_backward")) == step:
            die()
        return given[0] if hook == "on_batch_start" else None

    return type("Killer", (Callback,), {"phase": Phase.CHECKPOINT, hook: run})()


def dying_at(step, place):
    """The callbacks to put before and after Checkpoint, for a death at this place; or a death arranged in `os`."""
    if place == "saved":
        return [], [killer(step, "on_checkpoint")]
    if place == "writing":
        replace = os.replace

        def replace_or_die(source, target):
            if Path(target).stem == f"step-{step:08d}":
                die()
            replace(source, target)

        os.replace = replace_or_die
        return [], []
    assert place in HOOKS, place
    return [killer(step, place)], []


def main(data, folder, death=None):
    before, after = [], []
    if death is not None:
        step, place = death.split(":")
        before, after = dying_at(int(step), place)
    minitorch.seed(7)
    train = DataLoader(MNIST(train=True, root=data), 32)
    test = DataLoader(MNIST(train=False, root=data), 32)
    model = Sequential(L.Linear(24), F.relu, L.Dropout(0.3), L.Linear(10))
    trainer = Trainer(
        model,
        optimizers.Adam(),
        loss=F.softmax_cross_entropy,
        metrics={"train/accuracy": F.accuracy},
        callbacks=[
            JSONLLogger(folder),
            EarlyStopping(patience=100),
            *before,
            Checkpoint(folder, every=Every(steps=4)),
            *after,
        ],
        log_every=Every(steps=3),
        validate_every=Every(steps=7),
    )
    result = trainer.fit(train, test, epochs=4, resume="auto")
    sys.stdout.write(f"{result.status} at step {result.state.step}\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
