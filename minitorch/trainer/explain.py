"""`Trainer.explain`: what runs, in the order in which it runs."""

from typing import TYPE_CHECKING

from minitorch.trainer.callback import HOOKS, in_order, overrides
from minitorch.trainer.step import train_step

if TYPE_CHECKING:
    from minitorch.trainer.trainer import Trainer


def explanation(trainer: "Trainer") -> str:
    """The trainer, its callbacks by phase, and for each hook who runs, in order."""
    order = in_order(trainer, trainer.callbacks)
    lines = [f"{type(trainer).__name__} trains {trainer.model!r} with {_optimizers(trainer)}", *_unusual(trainer)]
    lines.append("callbacks, by phase:")
    lines.extend(
        f"  {who.phase.name:<10} {who!r}" if who is not trainer else f"  {'CONTROL':<10} {type(who).__name__} itself"
        for who in order
    )
    lines.extend(f"  {line}" for who in order if who is not trainer for line in who.describe(trainer))
    lines.append("hooks, in the order of a run:")
    for hook, when in HOOKS.items():
        running = [type(who).__name__ for who in order if overrides(who, hook)]
        if running:
            lines.append(f"  {hook:<20} {' > '.join(running)}")
            lines.append(f"  {'':<20} ({when})")
    if trainer.bill.total():
        lines += ["the newest run:", *[f"  {line}" for line in str(trainer.bill).splitlines()]]
    return "\n".join(lines)


def _optimizers(trainer: "Trainer") -> str:
    """The optimizers, each with its name where it has one."""
    found = [f"{type(each).__name__} for {name}".removesuffix(" for ") for name, each in trainer.optimizers.items()]
    return " and ".join(found) or "no optimizer"


def _unusual(trainer: "Trainer") -> list[str]:
    """What of a run is not as it is by default."""
    lines = []
    if trainer.accumulation.batches > 1:
        lines.append(f"one update for {trainer.accumulation.batches} batches")
    if trainer.stepper is not train_step:
        lines.append(f"each batch is run by {getattr(trainer.stepper, '__qualname__', trainer.stepper)}")
    if trainer.limits:
        lines.append(f"the newest run is limited: {trainer.limits!r}")
    return lines
