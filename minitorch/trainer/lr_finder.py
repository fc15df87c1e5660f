"""`LRFinder`: which learning rate to begin with."""

import io
import math
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any

import attrs
import numpy as np

from minitorch.cuda import as_numpy, sync_allowed
from minitorch.errors import ConfigError, NonFiniteError
from minitorch.serialize.atomic import replacing
from minitorch.trainer.callbacks.extra import extra_module
from minitorch.trainer.callbacks.picture import BLUE, FAINT, INK, ORANGE, new_figure
from minitorch.trainer.loop import Loop
from minitorch.trainer.settings import at_least, check_number
from minitorch.trainer.step import train_step
from minitorch.trainer.trial import endless, trial
from minitorch.trainer.triggers import Budget
from minitorch.variable import Variable

if TYPE_CHECKING:
    from minitorch.trainer.trainer import Trainer

FEWEST = 5  # points of which a slope is taken


@attrs.frozen
class LRCurve:
    """The loss at each learning rate of a range test.

    Attributes:
        rates: the learning rates, rising.
        losses: the loss of the batch at each.
        smoothed: their mean with those before, recent ones counting most.
        suggestion: the rate around which the smoothed loss falls most steeply, before it is lowest.
    """

    rates: tuple[float, ...]
    losses: tuple[float, ...]
    smoothed: tuple[float, ...]
    suggestion: float

    def save(self, path: str | PathLike[str]) -> None:
        """Draw the curve to a PNG file, with the suggestion.

        Raises:
            MissingExtraError: matplotlib is not installed.
        """
        extra_module("matplotlib.figure", "LRFinder", "plots")
        figure = new_figure(6.0, 3.6)
        axes = figure.subplots()
        axes.plot(self.rates, self.losses, color=FAINT, linewidth=1.2, label="of a batch")
        axes.plot(self.rates, self.smoothed, color=BLUE, linewidth=1.8, label="smoothed")
        at = self.rates.index(self.suggestion)
        axes.plot(self.suggestion, self.smoothed[at], "o", color=ORANGE, label=f"suggestion: {self.suggestion:.2g}")
        low, high = min(self.smoothed), max(self.smoothed[: at + 1])
        axes.set_ylim(low - 0.1 * (high - low), high + 0.3 * (high - low))  # not as high as it ends
        axes.set_xscale("log")
        axes.set_title("loss", loc="left", fontsize=11, color=INK)
        axes.set_xlabel("learning rate", fontsize=9, color=INK)
        axes.spines[["top", "right"]].set_visible(False)
        axes.tick_params(colors=INK, labelsize=9)
        axes.grid(axis="y", color=FAINT, linewidth=0.6)
        axes.legend(frameon=False, fontsize=9, labelcolor=INK)
        content = io.BytesIO()
        figure.savefig(content, format="png", dpi=150, facecolor="white")
        with replacing(Path(path), content.tell()) as file:
            file.write(content.getvalue())


def _positive(owner: Any, attribute: Any, value: Any) -> None:
    check_number(f"LRFinder: {attribute.name}", value, float)


@attrs.frozen(kw_only=True)
class LRFinder:
    """Trains a few steps with a rising learning rate, takes it all back, and says which rate to begin with.

        found = LRFinder().run(trainer, train_loader)
        found.save("runs/lr.png")
        trainer.optimizer.lr = found.suggestion
        trainer.fit(train_loader, epochs=5)

    Weights, the optimizer, random numbers and counters are afterwards as they were, to the bit. Callbacks that place
    data on a device or change it, and those that change gradients, run as in training; others do not.

    Source: Smith, "Cyclical Learning Rates for Training Neural Networks", WACV 2017, section 3.3; smoothing and
    suggestion are those of fastai.

    Args:
        low: the first learning rate.
        high: the last one.
        steps: how many there are, each higher than the one before by the same factor.
        smoothing: the share of the mean loss that stays at each step.
        stop: the test ends when the smoothed loss is so many times its lowest.

    Raises:
        ConfigError: a setting is not allowed.
    """

    low: float = attrs.field(default=1e-6, validator=_positive)
    high: float = attrs.field(default=10.0, validator=_positive)
    steps: int = attrs.field(default=100, validator=at_least(FEWEST, int))
    smoothing: float = attrs.field(default=0.9, validator=at_least(0, float))
    stop: float = attrs.field(default=4.0, validator=_positive)

    def __attrs_post_init__(self) -> None:
        if not self.low < self.high:
            raise ConfigError(f"LRFinder: low is {self.low!r} and high {self.high!r}; high must be above low")
        if not self.smoothing < 1:
            raise ConfigError(f"LRFinder: smoothing is {self.smoothing!r}; it must be less than 1")

    def run(self, trainer: "Trainer", loader: Any) -> LRCurve:
        """Test the range on the batches of `loader`, as many epochs as it takes.

        Raises:
            ConfigError: the Trainer has not just one optimizer with a learning rate.
            NonFiniteError: the loss is not finite from the first few steps on.
        """
        optimizer: Any = trainer.optimizer
        if optimizer is None or "lr" not in optimizer.hyperparameters:
            raise ConfigError("LRFinder: the Trainer has no optimizer with a learning rate to find one for")
        rates: list[float] = []
        losses: list[float] = []
        smoothed: list[float] = []
        with trial(trainer), np.errstate(over="ignore", invalid="ignore"):
            mean = 0.0
            for rate, loss in self._steps(trainer, optimizer, loader):
                mean = self.smoothing * mean + (1 - self.smoothing) * loss
                value = mean / (1 - self.smoothing ** (len(losses) + 1))
                if not math.isfinite(loss) or (len(losses) >= FEWEST and value > self.stop * min(smoothed)):
                    break
                rates.append(rate)
                losses.append(loss)
                smoothed.append(value)
        if len(losses) < FEWEST:
            raise NonFiniteError(
                f"LRFinder: the loss is not finite after {len(losses)} steps, at learning rate "
                f"{self._rate(len(losses)):.2g}; begin lower: low={self.low / 1000:.2g}"
            )
        return LRCurve(
            tuple(rates), tuple(losses), tuple(smoothed), rates[_steepest(smoothed, max(self.steps // 20, 1))]
        )

    def _rate(self, n: int) -> float:
        return float(self.low * (self.high / self.low) ** (n / (self.steps - 1)))

    def _steps(self, trainer: "Trainer", optimizer: Any, loader: Any) -> Any:
        seen: list[Variable] = []

        def step(trainer: "Trainer", batch: Any) -> Variable:
            seen[:] = [train_step(trainer, batch)]
            return seen[0]

        trainer.stepper = step
        loop = Loop(trainer, Budget(None, self.steps, None), {})
        for n, (batch, last) in zip(range(self.steps), endless(loader), strict=False):
            optimizer.lr = rate = self._rate(n)
            loop.batch(batch, last)
            with sync_allowed():
                yield rate, float(as_numpy(seen[0].data).reshape(()))


def _steepest(smoothed: list[float], reach: int) -> int:
    """Where the loss falls most, from `reach` steps before to as many after, all before it is lowest.

    What comes after it has risen above all before it is passed over: from there it may fall again, by chance.
    """
    highest = np.maximum.accumulate(smoothed)
    risen = np.array(smoothed[2 * reach :]) > 1.05 * highest[2 * reach - 1 : -1]
    end = 2 * reach + int(np.argmax(risen)) if risen.any() else len(smoothed)
    lowest = int(np.argmin(smoothed[:end]))
    reach = max(min(reach, (lowest - 1) // 2), 1)
    falls = np.array(smoothed[: -2 * reach]) - np.array(smoothed[2 * reach :])
    return reach + int(np.argmax(falls[: max(lowest - 2 * reach, 1)]))
