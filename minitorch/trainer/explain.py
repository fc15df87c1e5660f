"""`Trainer.explain`: what runs, in the order in which it runs."""

from typing import TYPE_CHECKING

from minitorch.trainer.callback import HOOKS, in_order, overrides

if TYPE_CHECKING:
    from minitorch.trainer.trainer import Trainer


def explanation(trainer: "Trainer") -> str:
    """The trainer, its callbacks by phase, and for each hook who runs, in order."""
    order = in_order(trainer, trainer.callbacks)
    optimizer = "no optimizer" if trainer.optimizer is None else type(trainer.optimizer).__name__
    lines = [f"{type(trainer).__name__} trains {trainer.model!r} with {optimizer}"]
    lines.append("callbacks, by phase:")
    lines.extend(
        f"  {who.phase.name:<10} {who!r}" if who is not trainer else f"  {'CONTROL':<10} {type(who).__name__} itself"
        for who in order
    )
    lines.append("hooks, in the order of a run:")
    for hook, when in HOOKS.items():
        running = [type(who).__name__ for who in order if overrides(who, hook)]
        if running:
            lines.append(f"  {hook:<20} {' > '.join(running)}")
            lines.append(f"  {'':<20} ({when})")
    return "\n".join(lines)
