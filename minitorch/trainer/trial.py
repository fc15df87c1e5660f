"""`trial`: training steps that leave no trace."""

import copy
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import attrs

from minitorch.trainer import batches
from minitorch.trainer.accumulation import Accumulation
from minitorch.trainer.callback import HOOKS, HookLists, Phase
from minitorch.trainer.limits import Limits
from minitorch.trainer.metrics import RunningMeans
from minitorch.trainer.moment import Moment
from minitorch.trainer.step import train_step
from minitorch.trainer.triggers import Every

if TYPE_CHECKING:
    from minitorch.trainer.trainer import Trainer

OWN = (
    "state", "means", "history", "validation", "timings", "hooks", "stepper", "stage", "accumulation", "train_loader",
    "limits", "ending", "log_every",
)  # fmt: skip
NEVER = Every(steps=2**62)


@contextmanager
def trial(trainer: "Trainer") -> Iterator[None]:
    """Inside, training steps may be done; then all is as it was: model, optimizers, counters, means, random numbers.

    Of the callbacks run those of the phases DEVICE and DATA, and what others do in `on_after_backward`; not what they
    do in `on_after_update`, which is mostly to take weights into averages of their own. A model that was moved to
    another device stays there.
    """
    moment = Moment(trainer)
    before = {name: getattr(trainer, name) for name in OWN}
    layers = [trainer.model, *(layer for _, layer in trainer.model.layers_inside())]
    attributes = [dict(vars(layer)) for layer in layers]
    trained = [(param, param.requires_grad) for param in trainer.model.params()]
    hooks = of_steps(HookLists(trainer, trainer.callbacks))
    hooks.batch_start = HookLists(trainer, [c for c in trainer.callbacks if c.phase <= Phase.DATA]).batch_start
    trainer.hooks, trainer.means, trainer.stage, trainer.stepper = hooks, RunningMeans(), "train", train_step
    trainer.accumulation, trainer.limits, trainer.log_every = Accumulation(), Limits(), NEVER
    trainer.state = attrs.evolve(trainer.state)
    try:
        yield
    finally:
        moment.restore(trainer)
        for layer, values in zip(layers, attributes, strict=True):
            vars(layer).clear()
            vars(layer).update(values)
        for param, wanted in trained:
            param.requires_grad = wanted
        for name, value in before.items():
            setattr(trainer, name, value)


def of_steps(hooks: HookLists) -> HookLists:
    """Only those of the hooks that are part of a training step."""
    some = copy.copy(hooks)
    for name in HOOKS:
        if name != "on_after_backward":
            setattr(some, name, [])
    some.batch_end = []
    return some


def endless(loader: Any) -> Iterator[tuple[Any, bool]]:
    """The batches of one epoch after the other, each with whether it is the last of its epoch."""
    epoch = 0
    while True:
        yield from batches.of_epoch(loader, epoch, 0)
        epoch += 1
