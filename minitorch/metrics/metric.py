"""`Metric`: the base of all; what a batch adds to some sums, and the value as a function of the sums."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any

import attrs
import numpy as np

from minitorch.cuda import as_cupy, as_numpy, is_array, xp_of
from minitorch.errors import ConfigError, DTypeError
from minitorch.serialize import check_keys
from minitorch.variable import Variable

Array = Any


@attrs.frozen(eq=False)
class Part:
    """What one batch adds to the sums of a metric; `float()` of it is the value of the batch alone.

    Attributes:
        metric: the metric.
        sums: a vector on the device of the batch, not read yet.
    """

    metric: "Metric"
    sums: Array = attrs.field(repr=False)

    def value(self) -> Any:
        """The value of the batch alone; on a GPU this waits for the device."""
        return self.metric.value_of(as_numpy(self.sums).astype(np.float64))

    def __float__(self) -> float:
        return float(self.value())


class Metric(ABC):
    """Base of metrics: subclass it and write `sums` and `value_of`.

        trainer = Trainer(model, optimizer, loss=loss, metrics={"accuracy": F.accuracy, "top5": TopK(5)})

    In a `training_step` or `validation_step` it is logged as a function is, `self.log("top5", self.top5(y, t))`: the
    Trainer adds up what its calls return, for each log interval, epoch and validation loader. In a loop of your own:

        top5 = TopK(5)
        for x, t in loader:
            top5.update(model(x), t)
        print(top5.compute())

    Nothing waits for a GPU until `compute`. The value does not depend on how samples are shared out to batches, as a
    mean of the values of batches would.

    Attributes:
        is_number: whether the value is one number, which a Trainer can log.
    """

    is_number = True

    def __init__(self) -> None:
        self._sums: Array | None = None

    @abstractmethod
    def sums(self, y: Array, t: Array) -> Array:
        """What a batch of outputs and targets, both arrays, adds: a vector of the same length for each batch."""

    @abstractmethod
    def value_of(self, sums: Array) -> Any:
        """The value, given the sums over all batches, float64 on the host."""

    def __call__(self, y: Any, t: Any) -> Part:
        """What the batch adds; leaves the metric's own sums alone.

        Args:
            y: outputs of the model, a Variable or an array.
            t: targets.
        """
        return Part(self, self.sums(_array(self, "y", y), _array(self, "t", t)))

    def update(self, y: Any, t: Any) -> None:
        """Add a batch to the metric's own sums."""
        sums = self(y, t).sums.astype(np.float64)
        if self._sums is None:
            self._sums = sums
        else:
            self._sums += sums if xp_of(sums) is xp_of(self._sums) else _moved(sums, self._sums)

    def compute(self) -> Any:
        """The value over all batches since `reset`; on a GPU this waits for the device.

        Raises:
            ConfigError: there was no batch.
        """
        if self._sums is None:
            raise ConfigError(f"{type(self).__name__}.compute: there is no batch yet; call update(y, t) first")
        return self.value_of(as_numpy(self._sums))

    def reset(self) -> None:
        """Begin anew."""
        self._sums = None

    def state_dict(self) -> dict[str, Any]:
        """The sums so far, a list of numbers, or None."""
        return {"sums": None if self._sums is None else as_numpy(self._sums).tolist()}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from what `state_dict` returned.

        Raises:
            StateError: it is no state of a metric.
        """
        check_keys(type(self).__name__, ("sums",), state)
        self._sums = None if state["sums"] is None else np.array(state["sums"], np.float64)


def _array(metric: Metric, name: str, value: Any) -> Array:
    array = value.data if isinstance(value, Variable) else value
    if not is_array(array):
        raise DTypeError(
            f"{type(metric).__name__}: {name} is {type(value).__name__}; give an array or a Variable, (N, ...)"
        )
    return array


def _moved(sums: Array, to: Array) -> Array:
    return as_numpy(sums) if xp_of(to) is np else as_cupy(sums)
