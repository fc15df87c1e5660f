"""`Moment`: what training steps depend on, copied in memory, to go back to."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import attrs

from minitorch import random
from minitorch.cuda import is_array
from minitorch.variable import Variable

if TYPE_CHECKING:
    from minitorch.trainer.trainer import Trainer


class Moment:
    """A copy of weights, optimizers, counters, gradients that wait, and random numbers, on the devices they are on.

    Callbacks, means and the history are not in it.

    Args:
        trainer: whose; a lazily sized model may have no weights yet.
    """

    def __init__(self, trainer: "Trainer") -> None:
        model = trainer.model
        self.weights = {path: copied(param.data) for path, param in model.named_params()}
        self.carried = {path: copied(value.data) for path, value in model.carried().items()}
        self.optimizers = {name: copied(optimizer.state_dict()) for name, optimizer in trainer.optimizers.items()}
        self.waiting = copied(trainer.accumulation.state_dict(model, trainer.state.waiting))
        self.state = attrs.evolve(trainer.state)
        self.random = random.get_state()

    def restore(self, trainer: "Trainer") -> None:
        """Bring `trainer` back to it; Parameters keep their arrays."""
        model = trainer.model
        for name, optimizer in trainer.optimizers.items():
            optimizer.load_state_dict(self.optimizers[name])
        for path, param in model.named_params():
            if self.weights[path] is None:
                param.data = None
            else:
                param.assign(self.weights[path])
        model.cleargrads()
        model.carry({path: Variable(copied(value), requires_grad=False) for path, value in self.carried.items()})
        trainer.state = attrs.evolve(self.state)
        trainer.accumulation.load_state_dict(model, self.waiting)
        random.set_state(self.random)


def copied(tree: Any) -> Any:
    """`tree` with copies of its arrays, dicts and lists."""
    if is_array(tree):
        return tree.copy()
    if isinstance(tree, Mapping):
        return {key: copied(value) for key, value in tree.items()}
    return [copied(value) for value in tree] if isinstance(tree, list | tuple) else tree
