"""`LabelSmoothing`: targets that are not quite sure."""

from typing import TYPE_CHECKING, Any

import attrs

from minitorch.errors import ConfigError
from minitorch.trainer.callback import Callback, Phase
from minitorch.trainer.callbacks.soft_targets import as_shares, pair
from minitorch.trainer.settings import at_least

if TYPE_CHECKING:
    from minitorch.trainer.trainer import Trainer


def _check_smoothing(owner: Any, attribute: Any, value: Any) -> None:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 1:
        raise ConfigError(f"LabelSmoothing: smoothing is {value!r}; it must be from 0 to 1")


@attrs.define(eq=False)
class LabelSmoothing(Callback):
    """Spreads a share of each training target evenly over all classes: `(1 - e) * t + e / C`.

        Trainer(model, optimizer, loss=F.softmax_cross_entropy, callbacks=[LabelSmoothing(classes=10), EpochTimer()])

    Class numbers t (N,), or the soft targets (N, C) that `MixUp` or `CutMix` before it made, become soft targets. The
    loss must take these: `F.softmax_cross_entropy` does, and `F.accuracy`. Validation is not changed, so that its loss
    can be compared; with `F.softmax_cross_entropy(y, t, label_smoothing=e)` it is smoothed too.

    Source: Szegedy et al., "Rethinking the Inception Architecture for Computer Vision", CVPR 2016, section 7.

    Args:
        classes: how many there are, C.
        smoothing: the share e.

    Raises:
        ConfigError: a setting is not allowed.
        DataError: a batch is no pair of x and classes or soft targets t.
    """

    phase = Phase.DATA

    classes: int = attrs.field(validator=at_least(2, int))
    smoothing: float = attrs.field(default=0.1, validator=_check_smoothing)

    def on_batch_start(self, trainer: "Trainer", batch: Any) -> Any:
        """Smooth the targets."""
        x, t = pair(batch, "LabelSmoothing")
        shares = as_shares(t, self.classes, "LabelSmoothing")
        return x, shares * (1 - self.smoothing) + self.smoothing / self.classes
