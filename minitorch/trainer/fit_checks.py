"""What can be known to fail before the first step of `fit`: loaders that are none, metrics that nobody logs."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from minitorch.errors import ConfigError
from minitorch.trainer.callback import Callback, overrides
from minitorch.trainer.callbacks.monitored import Monitoring, no_metric
from minitorch.trainer.loaders import check_first, check_loader, check_not_empty, check_passes
from minitorch.trainer.optimizers import check_target
from minitorch.trainer.step import Steps
from minitorch.trainer.triggers import Every

if TYPE_CHECKING:
    from minitorch.trainer.trainer import Trainer

STEPS = ("training_step", "validation_step", "log")
ADDING = ("on_batch_start", "on_after_backward", "on_after_update", "on_batch_end", "on_validation_end", "on_epoch_end")


def check_fit(trainer: "Trainer", callbacks: Sequence[Callback], epochs: int | None) -> None:
    """Raise what the run would raise later.

    Args:
        trainer: with its loaders and limits.
        callbacks: those of its callbacks that run.
        epochs: how many are left, as far as that is known.

    Raises:
        ConfigError: a loader is none; a callback watches a metric that nobody logs; or an optimizer is set up for
            another model, since the Trainer was given a new one.
        DataError: a loader lasts for one pass, and more are needed; or validation has no batch.
    """
    for optimizer in trainer.optimizers.values():
        check_target(optimizer, trainer.model)
    check_loader(trainer.train_loader)
    check_first(trainer.train_loader)
    check_passes(trainer.train_loader, epochs)
    for loader in trainer.validation_loaders.values():
        check_loader(loader)
        check_first(loader)
        check_not_empty(loader)
        check_passes(loader, epochs if trainer.validate_every == Every(epochs=1) else None)
    for callback in callbacks:
        if isinstance(callback, Monitoring) and callback.monitor is not None:
            check_monitor(trainer, callbacks, type(callback).__name__, callback.monitor)


def checked_validation(validation: Any) -> Any:
    """`validation` itself; raise ConfigError if it is a number, as of epochs."""
    if isinstance(validation, int | float) and not isinstance(validation, bool):
        raise ConfigError(f"fit: validation is {validation!r}; did you mean epochs={validation!r}?")
    return validation


def check_monitor(trainer: "Trainer", callbacks: Sequence[Callback], owner: str, monitor: str) -> None:
    """Raise ConfigError if it is known that no metric will be named `monitor`, which `owner` watches."""
    if not isinstance(monitor, str):
        raise ConfigError(f"{owner}: monitor is {monitor!r}; give the name of a metric, such as 'val_loss'")
    known = logged_names(trainer, callbacks)
    if monitor.startswith("val_") and not trainer.validation_loaders:
        own = monitor.removeprefix("val_")
        instead = own if known is not None and own in known else "loss"
        raise ConfigError(
            f"{owner}: monitor is {monitor!r}, and fit was given no validation data; metrics named val_... are those "
            f"of validation: give fit(train_loader, validation, ...), or monitor={instead!r}, which is one of training"
        )
    if known is not None and monitor not in known:
        raise no_metric(monitor, known, owner)


def logged_names(trainer: "Trainer", callbacks: Sequence[Callback]) -> list[str] | None:
    """The names of all metrics that the run will have; None where code of the user may log others."""
    own_steps = any(getattr(type(trainer), name) is not getattr(Steps, name) for name in STEPS)
    if own_steps or _may_add(trainer) or len(trainer.optimizers) > 1:  # several: the learning rates have their names
        return None
    added: list[str] = []
    for callback in callbacks:
        if not callback.logs and not type(callback).__module__.startswith("minitorch.") and _may_add(callback):
            return None
        added += callback.logs
    names = ["loss", *trainer.metrics]
    validated = [f"val_{prefix}{name}" for prefix in trainer.validation_loaders for name in names]
    return [*names, *validated, *added]


def _may_add(who: object) -> bool:
    return any(overrides(who, hook) for hook in ADDING)
