"""One training step: loss, gradients, update."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Protocol

from minitorch import random
from minitorch.autograd.backward import ones_like
from minitorch.autograd.primitive import describe
from minitorch.errors import DTypeError, GraphError, ShapeError
from minitorch.variable import Variable

if TYPE_CHECKING:
    from minitorch.trainer.trainer import Trainer

UNSCALED = 1.0


class Stepper(Protocol):
    """Runs one batch; `trainer.stepper` is `train_step` unless a callback puts another one there.

    It gets the batch as `on_batch_start` left it, and must do what `train_step` does, in the same order: compute the
    loss by `trainer.training_step`, clear the gradients unless some wait, go backward from `trainer.loss_scale` times
    the weight of the batch, and, where `trainer.accumulation.due` says so, run the hooks `on_after_backward` and
    update by `trainer.optimizer_step`; and return the loss, a Variable, unread. Counters, logging and all other hooks
    are the loop's. A callback sets it in `on_fit_start`, and puts back what was there in both `on_fit_end` and
    `on_exception`:

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
        check_loss(type(trainer).__name__, loss)
    waiting, update, scale = trainer.state.waiting, trainer.accumulation, trainer.loss_scale
    several = waiting or update.batches > 1
    if not waiting:
        clear_gradients(trainer)
    if several:
        scale = scale * update.weight(trainer.means.size)
    if scale is not UNSCALED:
        loss.grad = Variable(ones_like(loss.data) * scale, requires_grad=False)
    loss.backward()
    if update.due:
        if several:
            update.complete(trainer.model)
        for hook in trainer.hooks.on_after_backward:
            hook(trainer)
        trainer.optimizer_step()
    return loss


def clear_gradients(trainer: "Trainer") -> None:
    """Forget the gradients of the update before, without a search for Parameters where one optimizer has them all."""
    for optimizer in trainer.optimizers.values():
        if optimizer.target is trainer.model:
            optimizer.cleargrads()
            return
    trainer.model.cleargrads()


def check_loss(owner: str, loss: Any) -> None:
    """Raise unless `loss` is one number that depends on something trainable."""
    if not isinstance(loss, Variable):
        raise DTypeError(
            f"{owner}.training_step returned {type(loss).__name__}; return the loss, a Variable of one element"
        )
    if loss.data.size != 1:
        raise ShapeError(
            f"{owner}.training_step returned {describe(loss)}; a loss is one number: take its mean() or sum()"
        )
    if loss.node is None:
        raise GraphError(
            f"{owner}.training_step returned a constant; compute the loss from the model's output as Variables, not "
            "from their .data, and outside no_grad"
        )
