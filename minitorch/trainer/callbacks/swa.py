"""`SWA`: stochastic weight averaging."""

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import attrs

from minitorch.config import using_config
from minitorch.layers import BatchNorm
from minitorch.trainer import batches
from minitorch.trainer.callbacks.averaging import Averaging
from minitorch.trainer.loop import aside, started
from minitorch.trainer.settings import at_least
from minitorch.trainer.step import numbered
from minitorch.trainer.triggers import Every, counted_setting

if TYPE_CHECKING:
    from minitorch.trainer.state import FitResult, StepOutputs
    from minitorch.trainer.trainer import Trainer


@attrs.define(eq=False)
class SWA(Averaging):
    """Averages the weights that the end of each epoch leaves, and gives the model the average when the run ends.

        trainer = Trainer(model, optimizer, loss=loss, callbacks=[SWA(start=30), ConsoleLogger()])
        trainer.fit(train_loader, epochs=40)
        trainer.evaluate(test_loader)

    The learning rate should stay high, or go up and down, while weights are collected. The running averages of
    `BatchNorm` layers, which belong to no average of weights, are computed anew at the end, by a pass over the data.
    The last checkpoint has the weights of the training still, so that it can be resumed; they are kept in memory too,
    and the next `fit` goes on from them.

    Source: Izmailov et al., "Averaging Weights Leads to Wider Optima and Better Generalization", UAI 2018, Algorithm 1.

    Args:
        start: after how many epochs the first weights are taken.
        every: when, from then on.

    Raises:
        ConfigError: a setting is not allowed.
    """

    needs_host = ()

    start: int = attrs.field(validator=at_least(1, int))
    every: Every = attrs.field(default=Every(epochs=1), validator=counted_setting)

    def on_batch_end(self, trainer: "Trainer", outputs: "StepOutputs") -> None:
        """Take the new weights into the averages, if there was an update and it is time."""
        state = trainer.state
        if state.waiting or state.epoch < self.start or not self.every.due(state):
            return
        trainer.means.catch_up()  # steps that are held back are to be in the weights
        self.count += bool(self.averages)
        self._share.now = self.count / (self.count + 1)
        self._take(trainer.model)

    def on_fit_end(self, trainer: "Trainer", result: "FitResult") -> None:
        """Leave the average in the model, if there is one, and compute the running averages of batch norm anew."""
        if self.averages:
            self._leave_in(trainer.model)
            compute_running_averages(trainer, trainer.train_loader)


def compute_running_averages(trainer: "Trainer", loader: Iterable[Any]) -> None:
    """Set the running averages of all `BatchNorm` layers to the means over the batches of `loader`, by their samples.

    The model is run by `predict_step` as in training, dropout included, without gradients.
    """
    layers = [layer for _, layer in trainer.model.layers_inside() if isinstance(layer, BatchNorm)]
    if not layers:
        return
    decays = [layer.decay for layer in layers]
    seen = 0
    try:
        with aside(trainer, "predict"), using_config("train", True), numbered(trainer.state.step):
            for batch in batches.all_of(loader):
                batch = started(trainer, batch)
                for layer in layers:
                    layer.decay = seen / (seen + trainer.means.size)
                trainer.predict_step(batch)
                seen += trainer.means.size
    finally:
        for layer, decay in zip(layers, decays, strict=True):
            layer.decay = decay
