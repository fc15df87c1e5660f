"""`Accumulation`: the gradients of several batches as those of one update."""

from collections.abc import Mapping
from typing import Any

import attrs

from minitorch.errors import StateError
from minitorch.models import Model
from minitorch.serialize import check_keys
from minitorch.variable import Variable

SAVED = ("full", "samples", "draw", "gradients")


@attrs.define
class Accumulation:
    """What of an update is there already, where several batches make one; `trainer.state.waiting` counts them.

    The gradients that wait are those of the sum of the samples' losses, divided by the number of samples that a full
    update would have, were all of its batches as large as its first. If it comes to fewer or more, they are corrected
    when the update is due: so it is exactly the mean over its samples, however long its batches are.

    Attributes:
        batches: how many make an update; `GradientAccumulation` sets it.
        due: whether the batch under way completes an update.
        full: the samples of a full update.
        samples: those of the batches so far, the one under way included.
        draw: the number of the next random draw of the update.
    """

    batches: int = 1
    due: bool = True
    full: int = 0
    samples: int = 0
    draw: int = 0

    def weight(self, size: int) -> float:
        """Count a batch of `size` samples; returns by what the gradient of its mean loss is to be multiplied."""
        self.full = self.full or size * self.batches
        self.samples += size
        return size / self.full

    def complete(self, model: Model) -> None:
        """Correct the gradients of an update that has not as many samples as a full one."""
        if self.samples == self.full:
            return
        for param in model.params():
            if param.grad is not None:
                param.grad.data *= self.full / self.samples

    def state_dict(self, model: Model, waiting: int) -> dict[str, Any]:
        """What a run needs that is resumed while batches wait; the arrays themselves, not copies."""
        if not waiting:
            return {}
        gradients = {path: param.grad.data for path, param in model.named_params() if param.grad is not None}
        return {"full": self.full, "samples": self.samples, "draw": self.draw, "gradients": gradients}

    def load_state_dict(self, model: Model, state: Mapping[str, Any]) -> None:
        """Put back what `state_dict` returned.

        Raises:
            StateError: it is of another model.
        """
        if not state:
            return
        check_keys("accumulation", SAVED, state)
        params = dict(model.named_params())
        unknown = [path for path in state["gradients"] if path not in params]
        if unknown:
            raise StateError(f"the gradients of Parameters that the model has not: {', '.join(unknown)}")
        model.cleargrads()
        for path, gradient in state["gradients"].items():
            params[path].grad = Variable(params[path].place(gradient).copy(), requires_grad=False)
        self.full, self.samples, self.draw = state["full"], state["samples"], state["draw"]
