"""`Limits`: less than all of the data, for a trial."""

from collections.abc import Iterable
from typing import Any

import attrs

from minitorch.errors import ConfigError
from minitorch.trainer.callback import Callback, Phase
from minitorch.trainer.callbacks.run_files import RunFiles
from minitorch.trainer.settings import check_number


@attrs.frozen(kw_only=True)
class Limits:
    """How much of the data a run uses; by default all of it.

        trainer.fit(train, test, epochs=3, limits=Limits(train_batches=100, validation_batches=10))
        trainer.fit(train, epochs=200, limits=Limits(overfit_batches=1))  # can it learn one batch by heart?
        trainer.fit(train, test, limits=Limits(fast_dev_run=True))  # does everything run at all?

    Args:
        train_batches: an epoch ends after so many.
        validation_batches: a pass over a validation loader ends after so many.
        overfit_batches: train on the first so many of epoch 0, always the same in the same order, and validate on them.
        fast_dev_run: one epoch of one batch, and one batch of each validation loader. Callbacks that write files or
            are of the phases LOG or CHECKPOINT do not run, and nothing is resumed: no trace of it is left.

    Raises:
        ConfigError: a number is no positive int, or two of the limits exclude each other.
    """

    train_batches: int | None = None
    validation_batches: int | None = None
    overfit_batches: int | None = None
    fast_dev_run: bool = False

    def __attrs_post_init__(self) -> None:
        given = {name: value for name, value in attrs.asdict(self).items() if value is not None and value is not False}
        for name, value in given.items():
            if name != "fast_dev_run":
                check_number(f"Limits: {name}", value, int, 1)
        for alone in ("overfit_batches", "fast_dev_run"):
            if alone in given and len(given) > 1:
                others = ", ".join(name for name in given if name != alone)
                raise ConfigError(f"Limits: {alone} already says which batches are used; leave out {others}")
        if self.fast_dev_run:
            object.__setattr__(self, "train_batches", 1)
            object.__setattr__(self, "validation_batches", 1)

    def running(self, callbacks: Iterable[Callback]) -> list[Callback]:
        """Those of the callbacks that run."""
        leave_out = self.fast_dev_run
        return [c for c in callbacks if not (leave_out and (c.phase >= Phase.LOG or isinstance(c, RunFiles)))]

    def __bool__(self) -> bool:
        """Whether there is any limit."""
        return self != Limits()


def check_limits(limits: Any) -> Limits:
    """`limits`, which must be Limits; a bare number gets a ConfigError with the remedy."""
    if not isinstance(limits, Limits):
        raise ConfigError(
            f"fit: limits is {limits!r}; give Limits(train_batches=...), Limits(overfit_batches=...) or "
            "Limits(fast_dev_run=True)"
        )
    return limits
