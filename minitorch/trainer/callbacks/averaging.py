"""`Averaging`: what the callbacks that average weights share: the averages, and a way to use them for a while."""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import attrs

from minitorch.optimizers.rules import rules_for
from minitorch.serialize import check_keys
from minitorch.trainer.callback import Callback, Phase

if TYPE_CHECKING:
    from minitorch.models import Model
    from minitorch.trainer.state import StepOutputs
    from minitorch.trainer.trainer import Trainer

Array = Any


@attrs.define(eq=False)
class Averaging(Callback, ABC):
    """Keeps an average of all Parameters over updates, on their device, in place.

    Attributes:
        averages: by the path of each Parameter; empty before the first.
        count: how many times weights were taken into them, the first not counted.
    """

    phase = Phase.CONTROL

    averages: dict[str, Array] = attrs.field(factory=dict, init=False, repr=False)
    count: int = attrs.field(default=0, init=False, repr=False)

    @abstractmethod
    def _due(self, trainer: "Trainer") -> bool:
        """Whether the weights after this update are taken into the averages."""

    @abstractmethod
    def _keep(self) -> float:
        """The share of the averages that stays."""

    @contextmanager
    def averaged(self, model: "Model") -> Iterator[None]:
        """Inside, `model` computes with the averages; before the first update with its own weights.

        Nothing is copied: the Parameters are given other arrays, and then their own back.
        """
        self._exchange(model)
        try:
            yield
        finally:
            self._exchange(model)

    def on_fit_start(self, trainer: "Trainer") -> None:
        """Begin anew where the run is new, and bring restored averages to the device of the model."""
        if trainer.state.is_new:
            self.averages, self.count = {}, 0
        for path, param in trainer.model.named_params():
            if path in self.averages:
                self.averages[path] = param.place(self.averages[path])

    def on_batch_end(self, trainer: "Trainer", outputs: "StepOutputs") -> None:
        """Take the new weights into the averages, if there was an update and it is time."""
        if trainer.state.waiting or not self._due(trainer):
            return
        self.count += bool(self.averages)
        keep = self._keep()
        for path, param in trainer.model.named_params():
            if path in self.averages:
                rules_for(param.data).average(self.averages[path], param.data, keep=keep)
            else:
                self.averages[path] = param.data.copy()

    def state_dict(self) -> dict[str, Any]:
        """The averages, uncopied, and how many weights are in them."""
        return {"averages": dict(self.averages), "count": self.count}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from those."""
        check_keys(type(self).__name__, ("averages", "count"), state)
        self.averages = {path: array.copy() for path, array in state["averages"].items()}
        self.count = state["count"]

    def _exchange(self, model: "Model") -> None:
        for path, param in model.named_params():
            if path in self.averages:
                param.data, self.averages[path] = self.averages[path], param.data

    def _leave_in(self, model: "Model") -> None:
        """Copy the averages into the weights."""
        for path, param in model.named_params():
            if path in self.averages:
                param.assign(self.averages[path])
