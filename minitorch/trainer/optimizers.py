"""The optimizers of a Trainer by name, each set up for its part of the model."""

from collections.abc import Mapping
from operator import attrgetter
from typing import Any

from minitorch.errors import ConfigError
from minitorch.models import Model
from minitorch.optimizers import Optimizer
from minitorch.optimizers.checks import HasParams

ONE = ""  # the name of the only one


def by_name(given: Any, model: Model) -> dict[str, Optimizer]:
    """Optimizers as `Trainer` is given them: none, one for the whole model, or one for each part of it that is named.

    Raises:
        ConfigError: something is no optimizer, or is set up for another model; or the model has no part of the name of
            one that is not set up yet.
    """
    if given is None:
        return {}
    if isinstance(given, Mapping):
        if not given:
            raise ConfigError("Trainer: optimizer is an empty dict; name optimizers in it, or leave it out")
        return {_checked_name(name): _set_up(optimizer, model, name) for name, optimizer in given.items()}
    return {ONE: _set_up(given, model, ONE)}


def only(optimizers: Mapping[str, Optimizer]) -> Optimizer | None:
    """The only one, or None where there is none.

    Raises:
        ConfigError: there are several.
    """
    if len(optimizers) > 1:
        raise ConfigError(
            f"the Trainer has several optimizers ({', '.join(optimizers)}); name one: trainer.optimizers[...]"
        )
    return next(iter(optimizers.values()), None)


def _checked_name(name: Any) -> str:
    if not isinstance(name, str) or not name or "/" in name:
        raise ConfigError(f"Trainer: an optimizer is named {name!r}; a name is a string without a slash")
    return name


def _set_up(optimizer: Any, model: Model, name: str) -> Optimizer:
    """`optimizer`, set up for the part `name` of `model` unless it is already set up."""
    if not isinstance(optimizer, Optimizer):
        what = f"optimizer {name!r}" if name else "optimizer"
        if isinstance(optimizer, list | tuple):
            raise ConfigError(
                f"Trainer: {what} is a {type(optimizer).__name__} of {len(optimizer)}; name them after the parts of "
                'the model that they update: {"generator": Adam(), "discriminator": Adam()}'
            )
        raise ConfigError(f"Trainer: {what} is {optimizer!r}; give an instance, such as optimizers.SGD(0.01)")
    if optimizer.target is None:
        try:
            part = attrgetter(name)(model) if name else model
        except AttributeError:
            part = None
        if not isinstance(part, HasParams):
            raise ConfigError(
                f"Trainer: {type(model).__name__} has no layer {name!r} for the optimizer of this name to update; name "
                "it as an attribute of the model, or set it up for what it updates: optimizer.setup(layer)"
            )
        optimizer.setup(part)
    check_target(optimizer, model)
    return optimizer


def check_target(optimizer: Optimizer, model: Model) -> None:
    """Raise ConfigError if `optimizer` is set up for another model, as after `trainer.model = ...`."""
    assert optimizer.target is not None
    if not {id(p) for p in optimizer.target.params()} & {id(p) for p in model.params()}:
        raise ConfigError(
            f"Trainer: {type(optimizer).__name__} is set up for {optimizer.target!r}, which has no Parameter of this "
            f"{type(model).__name__}; give an optimizer that is not set up, or call setup(...) with this model"
        )


def overruled(
    optimizers: Mapping[str, Optimizer], given: Mapping[str, Mapping[str, Any]], scheduled: bool
) -> list[str]:
    """What a resumed run does not take as its program gives it, in words: the hyperparameters that were saved count.

    A schedule changes hyperparameters too, so what was given to the optimizers then and now is compared.

    Args:
        optimizers: as restored, by name.
        given: by name, what they were given in this program.
        scheduled: whether a callback sets the learning rate in each step, as a share of the one it began with.
    """
    found = []
    for name, optimizer in optimizers.items():
        for key, then in optimizer.given.items():
            saved, now = getattr(optimizer, key), given[name].get(key, then)
            if now not in (then, saved):
                where = f"trainer.optimizers[{name!r}]" if name else "trainer.optimizer"
                remedy = "" if scheduled and key == "lr" else f"set {where}.{key} in on_fit_start, or "
                found.append(
                    f"{type(optimizer).__name__}.{key} is {saved} as saved, not {now} as given here; "
                    f"{remedy}begin in another folder"
                )
    return found
