"""Runs that break off in the middle and are resumed, for the tests of callbacks that keep files or state."""

import small_runs

import minitorch
from minitorch import Every
from minitorch.trainer import Phase
from minitorch.trainer.callbacks import Checkpoint

STEPS = 12  # three epochs of four steps
THREE_STEPS = Every(steps=3)


class BrokenError(Exception):
    """What a run breaks off with."""


def late_metric(trainer, metrics):
    """From the second epoch on there is one more metric."""
    if trainer.state.epoch >= 2:
        metrics["late, if at all"] = trainer.state.epoch / 3


def fit(folder, make, *, break_at=None, checkpoint=THREE_STEPS, resume="auto"):
    """Train for three epochs with `make()`; if told so, break off after step `break_at`; returns the Trainer.

    Each log interval has two steps; a checkpoint is written every three.
    """

    def break_off(trainer, outputs):
        if trainer.state.step == break_at:
            raise BrokenError

    minitorch.seed(0)
    run = small_runs.trainer(
        small_runs.at("on_epoch_end", late_metric),
        *make(),
        small_runs.at("on_batch_end", break_off, phase=Phase.CHECKPOINT),
        Checkpoint(folder, every=checkpoint),
        log_every=Every(steps=2),
    )
    try:
        run.fit(small_runs.loader(seed=3), small_runs.batches(2, seed=1), epochs=3, resume=resume)
    except BrokenError:
        assert break_at is not None
    return run
