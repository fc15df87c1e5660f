"""`Freeze` and `Unfreeze`: Parameters that are not trained until, or from, some epoch on."""

from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, ClassVar

import attrs

from minitorch.errors import ConfigError
from minitorch.optimizers.grouping import hint, listed
from minitorch.trainer.callback import Callback, Phase
from minitorch.trainer.settings import at_least

if TYPE_CHECKING:
    from minitorch.trainer.trainer import Trainer


@attrs.define(eq=False)
class Freezing(Callback):
    """Sets at the start of each epoch which Parameters are trained, as all `Freeze` and `Unfreeze` of the run say.

    That follows from the number of the epoch alone, so a resumed run needs no state for it.
    """

    phase = Phase.CONTROL
    trains: ClassVar[bool]  # whether the Parameters are trained from the epoch on

    pattern: str
    epoch: int = attrs.field(default=0, validator=at_least(0, int))

    def on_fit_start(self, trainer: "Trainer") -> None:
        """See that the pattern matches something."""
        paths = [path for path, param in trainer.model.named_params() if param.trainable]
        if not any(self.matches(path) for path in paths):
            raise ConfigError(
                f"{type(self).__name__}: the pattern {self.pattern!r} matches no Parameter that is trained"
                f"{hint(self.pattern, paths)}; the paths are {listed(paths)}"
            )

    def on_epoch_start(self, trainer: "Trainer") -> None:
        """Freeze and unfreeze."""
        everyone = [c for c in trainer.callbacks if isinstance(c, Freezing)]
        events = sorted(everyone, key=lambda event: event.epoch)  # of one epoch, the last in the list decides
        for path, param in trainer.model.named_params():
            mine = [event for event in events if event.matches(path)]
            if mine and param.trainable:
                past = [event.trains for event in mine if event.epoch <= trainer.state.epoch]
                param.requires_grad = past[-1] if past else not mine[0].trains

    def matches(self, path: str) -> bool:
        """Whether it is meant for the Parameter at `path`."""
        return fnmatchcase(path, self.pattern)


@attrs.define(eq=False)
class Freeze(Freezing):
    """Trains the Parameters whose paths match a pattern only until so many epochs are done: for 0, never.

        Trainer(model, optimizer, loss=loss, callbacks=[Freeze("backbone.*"), Unfreeze("backbone.*", epoch=5)])

    No gradient is computed for a frozen Parameter, and the optimizer leaves it alone, with all that it remembers of it.
    Layers behave as they did: batch norm goes on to move its running averages.

    Args:
        pattern: as of `fnmatch`; `*` stands for any characters, dots included.
        epoch: after how many epochs they are frozen.

    Raises:
        ConfigError: the pattern matches no Parameter that is trained; the message names similar paths.
    """

    trains = False


@attrs.define(eq=False)
class Unfreeze(Freezing):
    """Trains the Parameters whose paths match a pattern from the time on when so many epochs are done, and not before.

        Trainer(model, optimizer, loss=loss, callbacks=[Unfreeze("backbone.*", epoch=5), ConsoleLogger()])

    After a `Freeze` of the same Parameters with a smaller `epoch`, they were trained before that too.

    Args:
        pattern: as of `fnmatch`; `*` stands for any characters, dots included.
        epoch: after how many epochs they are trained.

    Raises:
        ConfigError: the pattern matches no Parameter that is trained; the message names similar paths.
    """

    trains = True
