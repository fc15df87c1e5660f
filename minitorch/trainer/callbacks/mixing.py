"""`MixUp` and `CutMix`: each sample mixed with another one of its batch."""

import math
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any

import attrs
import numpy as np

from minitorch.cuda import xp_of
from minitorch.errors import DataError
from minitorch.trainer.callback import Callback, Phase
from minitorch.trainer.callbacks.soft_targets import as_shares, draws_for, pair
from minitorch.trainer.settings import at_least, check_number

if TYPE_CHECKING:
    from minitorch.trainer.trainer import Trainer

Array = Any


def _check_alpha(owner: Any, attribute: Any, value: Any) -> None:
    check_number(f"{type(owner).__name__}: {attribute.name}", value, float)


@attrs.define(eq=False)
class Mixing(Callback, ABC):
    """Mixes each sample of a batch with the one a random number of rows further on, and their targets in proportion.

    What is drawn is a function of the seed, the epoch and the number of the batch, so a resumed run draws the same.
    The batch is not changed in place, and nothing but numbers goes to a device.
    """

    phase = Phase.DATA

    classes: int = attrs.field(validator=at_least(2, int))
    alpha: float = attrs.field(default=1.0, validator=_check_alpha)

    def on_batch_start(self, trainer: "Trainer", batch: Any) -> Any:
        """Mix the batch; the targets become soft."""
        owner = type(self).__name__
        x, t = pair(batch, owner)
        if x.dtype.kind != "f":
            raise DataError(f"{owner}: x is {x.dtype}; only floats can be mixed: convert them in the data set")
        shares = as_shares(t, self.classes, owner)
        if len(x) == 1:
            return x, shares
        draws = draws_for(owner, trainer)
        shift = int(draws.integers(1, len(x)))
        mixed, kept = self._mixed(x, shift, float(draws.beta(self.alpha, self.alpha)), draws)
        return mixed, kept * shares + (1 - kept) * rotated(shares, shift)

    @abstractmethod
    def _mixed(self, x: Array, shift: int, share: float, draws: "np.random.Generator") -> tuple[Array, float]:
        """Mixed samples, that keep about `share` of their own, and how much exactly."""


@attrs.define(eq=False)
class MixUp(Mixing):
    """Trains on weighted means of two samples each, with soft targets that are the same means of theirs.

        Trainer(model, optimizer, loss=F.softmax_cross_entropy, callbacks=[MixUp(classes=10, alpha=0.2)])

    A batch (x, t) with class numbers t (N,), or soft targets (N, C), becomes one with soft targets. The loss must take
    these: `F.softmax_cross_entropy` does, and `F.accuracy`, which goes by the larger share. Validation is not changed.

    Source: Zhang et al., "mixup: Beyond Empirical Risk Minimization", ICLR 2018; as in their code, one weight for a
    batch, drawn from Beta(alpha, alpha).

    Args:
        classes: how many there are.
        alpha: the larger, the more samples are mixed half and half; the paper takes 0.1 to 0.4 for ImageNet.

    Raises:
        ConfigError: a setting is not allowed.
        DataError: a batch is no pair of floats x and classes or soft targets t.
    """

    alpha: float = attrs.field(default=0.2, validator=_check_alpha)

    def _mixed(self, x: Array, shift: int, share: float, draws: "np.random.Generator") -> tuple[Array, float]:
        mixed = x * share
        mixed += (1 - share) * rotated(x, shift)
        return mixed, share


@attrs.define(eq=False)
class CutMix(Mixing):
    """Trains on images with a box of another one pasted in, with soft targets in proportion to the areas.

        Trainer(model, optimizer, loss=F.softmax_cross_entropy, callbacks=[CutMix(classes=10), ConsoleLogger()])

    A batch (x, t) of images (N, ..., H, W) with class numbers t (N,), or soft targets (N, C), becomes one with soft
    targets. The loss must take these: `F.softmax_cross_entropy` does, and `F.accuracy`, which goes by the larger share.
    Validation is not changed.

    Source: Yun et al., "CutMix: Regularization Strategy to Train Strong Classifiers with Localizable Features",
    ICCV 2019, equations 1 and 2, and algorithm A1: one box for a batch.

    Args:
        classes: how many there are.
        alpha: the share of the image that stays is drawn from Beta(alpha, alpha): evenly for 1.
        shape: of an image that comes flat, (..., H, W).

    Raises:
        ConfigError: a setting is not allowed.
        DataError: a batch is no pair of floats x, images, and classes or soft targets t.
    """

    shape: tuple[int, ...] | None = None

    def _mixed(self, x: Array, shift: int, share: float, draws: "np.random.Generator") -> tuple[Array, float]:
        images = self._images(x)
        height, width = images.shape[-2:]
        rows = _stretch(int(draws.integers(height)), height * math.sqrt(1 - share), height)
        columns = _stretch(int(draws.integers(width)), width * math.sqrt(1 - share), width)
        images[..., rows, columns] = rotated(images[..., rows, columns], shift)
        area = (rows.stop - rows.start) * (columns.stop - columns.start)
        return images.reshape(x.shape), 1 - area / (height * width)

    def _images(self, x: Array) -> Array:
        """A copy of `x` as (N, ..., H, W)."""
        shape = x.shape[1:] if self.shape is None else self.shape
        if len(shape) < 2 or math.prod(shape) != math.prod(x.shape[1:]):
            raise DataError(
                f"CutMix: samples of shape {x.shape[1:]} with shape={self.shape} are no images (..., H, W); give the "
                "shape of those that come flat"
            )
        return x.copy().reshape(len(x), *shape)


def _stretch(centre: int, length: float, size: int) -> slice:
    """So many of `size` places around `centre`, as far as there are some."""
    half = int(length) // 2
    return slice(max(centre - half, 0), min(centre + half, size))


def rotated(a: Array, shift: int) -> Array:
    """The rows from `shift` on, then those before; there is no array of indices, which would have to be moved."""
    return xp_of(a).concatenate([a[shift:], a[:shift]])
