"""One training step: what is computed on a batch, and how it is run: loss, gradients, update."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Protocol

from minitorch import random
from minitorch.autograd.backward import ones_like
from minitorch.autograd.primitive import describe
from minitorch.errors import ConfigError, DTypeError, GraphError, ShapeError
from minitorch.foreign import tells_arguments, tells_attributes
from minitorch.layers import Layer
from minitorch.models import Model
from minitorch.optimizers import Optimizer
from minitorch.trainer import batches
from minitorch.trainer.foreign_names import LOG_ARGUMENTS, READ, refuse_setting
from minitorch.trainer.metrics import RunningMeans
from minitorch.variable import Variable

if TYPE_CHECKING:
    from minitorch.trainer.trainer import Trainer

UNSCALED = 1.0


@tells_attributes(READ | {"stage": "begin its __init__ with super().__init__(model, optimizer, ...)"})
class Steps:
    """What a Trainer computes on a batch: the base of Trainer, whose subclasses override it; `train_step` calls it."""

    model: Model
    optimizers: dict[str, Optimizer]
    loss: Callable[[Any, Any], Variable] | None
    metrics: dict[str, Any]
    means: RunningMeans
    stage: str

    def training_step(self, batch: Any) -> Variable:
        """Compute the loss of `batch`; by default `loss(model(x), t)` of `(x, t)`, and the metrics."""
        if self.loss is None:
            raise ConfigError(
                f"{type(self).__name__} has no training_step and no loss; override training_step, or give loss=..., "
                "such as loss=F.softmax_cross_entropy"
            )
        x, t = batches.pair(batch)
        y = self.model(x)
        for name, metric in self.metrics.items():
            self.log(name, metric(y, t))
        return self.loss(y, t)

    def validation_step(self, batch: Any) -> Variable:
        """Compute the loss of `batch` under `no_grad` and `test_mode`; by default as `training_step`."""
        return self.training_step(batch)

    def predict_step(self, batch: Any) -> Any:
        """Compute the output for `batch`; by default `model(x)` of `(x, ...)` or of `x`."""
        return self.model(batch[0] if isinstance(batch, tuple | list) else batch)

    def optimizer_step(self) -> None:
        """Update the Parameters, once a step; by default by each optimizer in turn, with the gradients there are.

        Override it where an update is more than that. Networks that are trained against each other are: the gradients
        that the loop computes are those of `training_step`, and others are computed here.

            def optimizer_step(self):
                self.optimizers["discriminator"].update()
                loss = self.generator_loss()
                self.model.cleargrads()
                loss.backward()
                self.optimizers["generator"].update()
        """
        try:
            for optimizer in self.optimizers.values():
                optimizer.update()
        except GraphError as error:
            if len(self.optimizers) > 1:
                error.add_note(
                    "each optimizer updates by the loss that training_step returns; where each has one of its own, "
                    "override optimizer_step"
                )
            raise

    @tells_arguments(LOG_ARGUMENTS, "Trainer")
    def log(self, name: str, value: Any) -> None:
        """Log one number of the batch under way, whose mean over samples is what callbacks get; or part of a Metric.

        On a GPU it stays there until it is needed, so an array that is changed in place later must be copied. All that
        is logged in validation is named `val_...` in the metrics of the run; a name that begins so already stays as it
        is. A `validation_step` may log its loss, as "loss", instead of returning it.

        Raises:
            ConfigError: no batch is under way; or it is named "loss" while training, as what `training_step` returns.
            DTypeError: it is not one number.
        """
        if name == "loss" and self.stage == "train":
            raise ConfigError(
                "log: 'loss' is the mean of what training_step returns, and logged without asking; leave this line "
                "out, or give another name to another value"
            )
        if self.stage == "validate":
            name = name.removeprefix("val_")
            self.means.has_own_loss |= name == "loss"
        self.means.add(name, value.data if isinstance(value, Variable) else value)


refuse_setting(Steps)


class Stepper(Protocol):
    """Runs one batch; `trainer.stepper` is `train_step` unless a callback puts another one there.

    It gets the batch as `on_batch_start` left it, and must do what `train_step` does, in the same order: compute the
    loss by `trainer.training_step`, clear the gradients unless some wait, go backward from `trainer.loss_scale` times
    the weight of the batch, and, where `trainer.accumulation.due` says so, run the hooks `on_after_backward`, update
    by `trainer.optimizer_step`, and run the hooks `on_after_update`; and return the loss, a Variable, unread. Counters,
    logging and all other hooks are the loop's. A callback sets it in `on_fit_start`, and puts back what was there in
    both `on_fit_end` and `on_exception`:

        def on_fit_start(self, trainer):
            self._eager, trainer.stepper = trainer.stepper, self.replayed_step
    """

    def __call__(self, trainer: "Trainer", batch: Any, /) -> Variable:
        """Run the step on `batch`, and return its loss."""


@contextmanager
def numbered(step: int) -> Iterator[None]:
    """Number the random draws inside from 0 within `step`, and go on afterwards where they were before.

    Only step 0 draws as if it were written by hand, since lazily sized layers draw their weights there.
    """
    outside = random.begin_step(step) if step else None
    try:
        yield
    finally:
        if outside is not None:
            random.set_state(outside)


def train_step(trainer: "Trainer", batch: Any) -> Variable:
    """Run the model on `batch`, go backward, and update if that is due; returns the loss."""
    loss = trainer.training_step(batch)
    if type(loss) is not Variable or loss.data.size != 1 or loss.node is None:
        check_loss(trainer, loss)
    waiting, update, scale = trainer.state.waiting, trainer.accumulation, trainer.loss_scale
    several = waiting or update.batches > 1
    if not waiting:
        clear_gradients(trainer)
    if several:
        scale = scale * update.weight(trainer.means.size)
    if scale is not UNSCALED:
        loss.grad = Variable(ones_like(loss.data) * scale, requires_grad=False)
    try:
        loss.backward()
    except GraphError as error:
        error.add_note("the Trainer goes backward from what training_step returns: leave out backward() there")
        raise
    if update.due:
        if several:
            update.complete(trainer.model)
        for hook in trainer.hooks.on_after_backward:
            hook(trainer)
        trainer.optimizer_step()
        for hook in trainer.hooks.on_after_update:
            hook(trainer)
    return loss


def clear_gradients(trainer: "Trainer") -> None:
    """Forget the gradients of the update before, without a search for Parameters where one optimizer has them all."""
    for optimizer in trainer.optimizers.values():
        if optimizer.target is trainer.model:
            optimizer.cleargrads()
            return
    trainer.model.cleargrads()


def check_loss(trainer: "Trainer", loss: Any) -> None:
    """Raise unless `loss` is one number that depends on something trainable."""
    owner = type(trainer).__name__
    if not isinstance(loss, Variable):
        others = ", and log what else there is by self.log(name, value)" if isinstance(loss, dict) else ""
        raise DTypeError(
            f"{owner}.training_step returned {type(loss).__name__}; return the loss, a Variable of one element{others}"
        )
    if loss.data.size != 1:
        raise ShapeError(
            f"{owner}.training_step returned {describe(loss)}; a loss is one number: take its mean() or sum()"
        )
    if loss.node is None and not any(param.requires_grad for param in trainer.model.params()):
        raise GraphError(f"{owner}: no Parameter of {trainer.model!r} is trained; set requires_grad of some")
    if loss.node is None:
        raise GraphError(
            f"{owner}.training_step returned a constant; compute the loss from the model's output as Variables, not "
            "from their .data, and outside no_grad"
        )


def checked_model(model: Model) -> Model:
    """`model` itself.

    Raises:
        ConfigError: it is no model.
    """
    if isinstance(model, type):
        raise ConfigError(f"Trainer: model is the class {model.__name__}; give an instance: {model.__name__}(...)")
    if not isinstance(model, Layer):
        raise ConfigError(f"Trainer: model is {model!r}; give an instance of a Model, such as MLP((1000, 10))")
    return model
