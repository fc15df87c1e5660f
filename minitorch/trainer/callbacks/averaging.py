"""`Averaging`: what the callbacks that average weights share: the averages, and a way to use them for a while."""

from abc import ABC
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import attrs
import numpy as np

from minitorch.cuda import StepNumber, capturing, kernels, sync_allowed, xp_of
from minitorch.errors import DeviceError
from minitorch.optimizers.rules import rules_for
from minitorch.serialize import check_keys
from minitorch.trainer.callback import Callback, Phase

if TYPE_CHECKING:
    from minitorch.models import Model
    from minitorch.trainer.trainer import Trainer

Array = Any


@attrs.define(eq=False)
class Averaging(Callback, ABC):
    """Keeps an average of all Parameters over updates, on their device, in place.

    Where a run has ended with the averages in the model, the next `fit` of the same Trainer goes on from the weights of
    the training, as one longer run would: unless somebody has given the model other weights meanwhile.

    Attributes:
        averages: by the path of each Parameter; empty before the first.
        count: how many times weights were taken into them, the first not counted.
    """

    phase = Phase.CONTROL

    averages: dict[str, Array] = attrs.field(factory=dict, init=False, repr=False)
    count: int = attrs.field(default=0, init=False, repr=False)
    _own: dict[str, Array] = attrs.field(factory=dict, init=False, repr=False)  # of the training, between two runs
    _share: StepNumber = attrs.field(factory=lambda: StepNumber(0.0), init=False, repr=False)  # that stays of them
    _tensors: kernels.Tensors | None = attrs.field(default=None, init=False, repr=False)
    _table_of: list[Array] = attrs.field(factory=list, init=False, repr=False)

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
        """Begin anew where the run is new, or go on from the weights that it ended with, on the device of the model."""
        if trainer.state.is_new:
            self.averages, self.count, self._own = {}, 0, {}
        for path, param in trainer.model.named_params():
            if path in self.averages:
                self.averages[path] = param.place(self.averages[path])
        self._take_back(trainer.model)

    def _take(self, model: "Model") -> None:
        """Take the weights of now into the averages, of which `_share.now` stays: on a device by one launch for all."""
        launched = []
        for path, param in model.named_params():
            average, weight = self.averages.get(path), param.data
            if average is None:
                self.averages[path] = self._first(path, weight)
            elif kernels.takes(average, weight) and average.flags.c_contiguous and weight.flags.c_contiguous:
                launched.append((average, weight))
            else:
                keep = self._share.now if xp_of(weight) is np else self._share.array
                rules_for(weight).average(average, weight, keep=keep)
        if launched:
            kernels.average(self._table(launched), keep=self._share.array)

    def _first(self, path: str, weight: Array) -> Array:
        if capturing():
            raise DeviceError(f"{type(self).__name__}: there is no average of {path} yet, and a replay would make none")
        return weight.copy()

    def _table(self, pairs: list[tuple[Array, Array]]) -> kernels.Tensors:
        """The averages and weights as a launch finds them: made anew where they are others than before."""
        averages, weights = (list(arrays) for arrays in zip(*pairs, strict=True))
        arrays = averages + weights
        if len(arrays) != len(self._table_of) or any(a is not b for a, b in zip(arrays, self._table_of, strict=True)):
            if capturing():
                raise DeviceError(f"{type(self).__name__}: other weights are averaged than in the step before")
            with sync_allowed():
                self._tensors, self._table_of = kernels.Tensors(averages, weights), arrays
        assert self._tensors is not None
        return self._tensors

    def state_dict(self) -> dict[str, Any]:
        """The averages, uncopied, and how many weights are in them; where they are left in the model, its own too."""
        own = {"own": dict(self._own)} if self._own else {}
        return {"averages": dict(self.averages), "count": self.count} | own

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from those."""
        check_keys(type(self).__name__, ("averages", "count", *(["own"] if "own" in state else [])), state)
        self._own = {path: array.copy() for path, array in state.get("own", {}).items()}
        self.averages = {path: array.copy() for path, array in state["averages"].items()}
        self.count = state["count"]

    def _exchange(self, model: "Model") -> None:
        for path, param in model.named_params():
            if path in self.averages:
                param.data, self.averages[path] = self.averages[path], param.data

    def _leave_in(self, model: "Model") -> None:
        """Copy the averages into the weights, which are kept."""
        self._own = {path: param.data.copy() for path, param in model.named_params() if path in self.averages}
        for path, param in model.named_params():
            if path in self.averages:
                param.assign(self.averages[path])

    def _take_back(self, model: "Model") -> None:
        """Give the model its own weights, where it still has the averages; running averages of layers do not count."""
        own, self._own = self._own, {}
        params = {path: param for path, param in model.named_params() if path in own}
        if all(bool((p.data == self.averages[path]).all()) for path, p in params.items() if p.trainable):
            for path, param in params.items():
                param.assign(own[path])
