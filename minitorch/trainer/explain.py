"""`Trainer.explain`: what runs, in the order in which it runs."""

from typing import TYPE_CHECKING

from minitorch.trainer.callback import HOOKS, in_order, users_of
from minitorch.trainer.step import Steps

if TYPE_CHECKING:
    from minitorch.trainer.trainer import Trainer

STEPS_AFTER = {
    "on_batch_start": ("training_step", "backward"),
    "on_after_backward": ("optimizer_step",),
    "on_validation_start": ("validation_step",),
}


def explanation(trainer: "Trainer") -> str:
    """The trainer, its callbacks by phase, and for each hook who runs, in order."""
    order = in_order(trainer, trainer.callbacks)
    lines = [f"{type(trainer).__name__} trains {trainer.model!r} with {_optimizers(trainer)}"]
    lines.append("callbacks, by phase:")
    lines.extend(
        f"  {who.phase.name:<10} {who!r}" if who is not trainer else f"  {'CONTROL':<10} {type(who).__name__} itself"
        for who in order
    )
    lines.extend(f"  {line}" for who in order if who is not trainer for line in who.describe(trainer))
    lines.append("hooks and steps, in the order of a run:")
    for hook, when in HOOKS.items():
        running = [type(who).__name__ for who in users_of(hook, order)]
        if running:
            lines.append(f"  {hook:<20} {' > '.join(running)}")
            lines.append(f"  {'':<20} ({when})")
        lines += [f"  {name:<20} {_step(trainer, name)}" for name in STEPS_AFTER.get(hook, ())]
    newest = _newest(trainer)
    if newest:
        lines += ["the newest run:", *[f"  {line}" for line in newest]]
    return "\n".join(lines)


def _optimizers(trainer: "Trainer") -> str:
    """The optimizers, each with its name where it has one."""
    found = [f"{type(each).__name__} for {name}".removesuffix(" for ") for name, each in trainer.optimizers.items()]
    return " and ".join(found) or "no optimizer"


def _step(trainer: "Trainer", name: str) -> str:
    """Whose step it is that runs."""
    if name == "backward":
        return "from the loss to the gradients"
    step = getattr(type(trainer), name)
    return f"Trainer.{name}" if step is getattr(Steps, name) else str(step.__qualname__)


def _newest(trainer: "Trainer") -> list[str]:
    """What of the newest run was not as it is by default, and what its callbacks took."""
    bill = trainer.bill
    lines = [f"limited: {trainer.limits!r}"] if trainer.limits else []
    if bill.batches > 1:
        lines.append(f"one update for {bill.batches} batches")
    if bill.stepper:
        lines.append(f"each batch is run by {bill.stepper}")
    return lines + (str(bill).splitlines() if bill.total() else [])
