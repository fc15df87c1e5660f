"""`CapturedBatch`: training batches of one shape, captured as a CUDA graph, and what the host counts at each replay."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import attrs
import numpy as np

from minitorch import random
from minitorch.cuda import CapturedStep, DeviceScalar, StepNumber, is_array, sync_allowed, xp_of
from minitorch.errors import DeviceError
from minitorch.random import RandomState
from minitorch.resident import LaterBatch
from minitorch.trainer import batches
from minitorch.trainer.callback import overrides
from minitorch.trainer.carried import CarriedState
from minitorch.trainer.metrics import RunningMeans
from minitorch.variable import Variable

if TYPE_CHECKING:
    from minitorch.trainer.step import Stepper
    from minitorch.trainer.trainer import Trainer

Array = Any
INSIDE = ("on_after_backward", "on_after_update")  # hooks that a graph does
TOLERANCE = 1e-4  # of the largest number of an array, between a replay and the same step done eagerly


@attrs.define
class Counters:
    """What replays of all graphs of a run read from the device.

    Attributes:
        step: the number of the training step, for random draws.
        batch: the number of the batch, for the gather.
        order: the order of the epoch, at a place of its own; None where batches are not gathered by the graph.
        source: what was copied to `order`.
        carried: what the model carries from step to step; None where it carries nothing.
    """

    carried: CarriedState | None

    step: DeviceScalar = attrs.field(factory=lambda: DeviceScalar(0, np.int64))
    batch: DeviceScalar = attrs.field(factory=lambda: DeviceScalar(0, np.int64))
    order: Array | None = None
    source: Array | None = None

    def __attrs_post_init__(self) -> None:
        for scalar in (self.step, self.batch):
            numbers = scalar.array
            numbers += 0  # what counts them on is compiled now, which a capture would not survive

    def follow(self, batch: LaterBatch) -> None:
        """Have the gather find this batch."""
        if self.order is None or self.order.shape != batch.order.shape:
            self.order, self.source = xp_of(batch.order).empty_like(batch.order), None
        if self.source is not batch.order:
            self.order[...] = batch.order
            self.source = batch.order
        self.batch.set(batch.number)


class ReadsNothing:
    """Stands for `trainer.state` in a step that is being captured: what it read would stay as it was then."""

    def __init__(self, waiting: int) -> None:
        self.waiting = waiting

    def __getattr__(self, name: str) -> Any:
        raise DeviceError(f"the step reads trainer.state.{name}, which a replay would not read anew")


class CapturedBatch:
    """A training batch as a graph: gather, forward, backward, update, the hooks around it, sums of logged values.

    Args:
        trainer: whose step it is.
        stepper: does it eagerly.
        batch: the first one; all others are of its shape.
        counters: those of the run.
        steps: how many batches one graph does, one after the other; more than one only if it gathers them.

    Attributes:
        left: what the model carries after the step, by path.

    Raises:
        DeviceError: it cannot be captured; the message says why.
    """

    def __init__(self, trainer: "Trainer", stepper: "Stepper", batch: Any, counters: Counters, steps: int = 1) -> None:
        self._stepper, self._counters, self._steps = stepper, counters, steps
        self._gathers = batch if isinstance(batch, LaterBatch) else None
        self._inputs = [] if self._gathers else [a.copy() for a in leaves(batch)]
        self._batch = batch if self._gathers else filled(batch, iter(self._inputs))
        self._size = trainer.means.size
        self._entering = gradients(trainer) if trainer.state.waiting else None
        before = random.get_state()
        self._seed, self._draw_after, self._draws = before.seed, before.draw, False
        self._loss: Variable | None = None
        self._numbers = step_numbers(trainer)
        self._found: dict[str, Variable] = {}  # what the model carries before the step, and after it
        self.left: dict[str, Variable] = {}
        self._graph = CapturedStep(lambda: self._work(trainer, before))
        with (
            without_traces(trainer) as traces,
            trainer.means.captured() as logged,
            carrying_on(counters.carried) as self._found,
        ):
            self._graph.capture()
        self._logged, self._updates = list(logged), traces
        self._sums = trainer.means.sums
        self._generations = [optimizer.refresh() for optimizer in trainer.optimizers.values()]
        self._grads = gradients(trainer)
        self._places = [(param, param.data, param.node) for param in trainer.model.params()]
        self._kept = callback_arrays(trainer)

    @property
    def carried(self) -> CarriedState | None:
        """What the model carries from step to step."""
        return self._counters.carried

    @property
    def goes_on(self) -> bool:
        """Whether the next step can be of the same kind: the model carries after this one what it carried before."""
        found = {path: value.data for path, value in self._found.items()}
        return found.keys() == self.left.keys() and all(found[k] is value.data for k, value in self.left.items())

    @property
    def loss(self) -> Variable:
        """The loss of the last batch, always in the same place."""
        assert self._loss is not None
        return self._loss

    def fits(self, trainer: "Trainer") -> bool:
        """Whether nothing has changed that the graph was made with.

        Gradients that wait for an update must be where the graph adds to them.
        """
        now = [optimizer.refresh() for optimizer in trainer.optimizers.values()]
        if now != self._generations or trainer.means.sums is not self._sums or random.get_state().seed != self._seed:
            return False
        if any(param.data is not data or param.node is not node for param, data, node in self._places):
            return False  # moved, or frozen
        kept = callback_arrays(trainer)
        if len(kept) != len(self._kept) or any(a is not b for a, b in zip(kept, self._kept, strict=True)):
            return False
        return self._entering is None or all(param.grad is grad for param, grad in self._entering)

    def replay(self, trainer: "Trainer", batch: Any, step: int, numbers: Sequence[Sequence[float]]) -> None:
        """Do the work for `batch`, the first of several where the graph does several, in step number `step`.

        Args:
            trainer: whose step it is.
            batch: the first one.
            step: the number of its step.
            numbers: for each of the steps the `step_numbers` as they are in it.
        """
        trainer.means.flush()  # what was logged may be at places that the graph writes to
        self.launch(batch, step, numbers)
        for optimizer, updates in zip(trainer.optimizers.values(), self._updates, strict=True):
            if updates:
                optimizer.advance(updates)
        trainer.means.replayed(self._logged)
        for param, grad in self._grads:
            param.grad = grad

    def launch(self, batch: Any, step: int, numbers: Sequence[Sequence[float]]) -> None:
        """Do it on the device, and have nothing counted on the host."""
        for number, values in zip(self._numbers, zip(*numbers, strict=True), strict=True):
            number.write(values)
        if self._gathers is not None:
            self._counters.follow(batch)
        else:
            for own, given in zip(self._inputs, leaves(batch), strict=True):
                own[...] = given
        if self._draws:
            self._counters.step.set(step)
        self._graph.launch()
        if self._gathers is not None:
            self._counters.batch.moved(self._steps)
        if self._draws:
            self._counters.step.moved(self._steps)

    def count(self, trainer: "Trainer") -> None:
        """Count on the host what the step under way counts there while it computes."""
        if trainer.state.waiting or trainer.accumulation.batches > 1:
            trainer.accumulation.weight(self._size)
        if self.carried is not None:
            self.carried.carry(self.left)
        trainer.means.logged = self._loss
        now = random.get_state()
        random.set_state(RandomState(now.seed, now.step, self._draw_after))

    def _work(self, trainer: "Trainer", before: RandomState) -> Any:
        counters, state = self._counters, trainer.state
        trainer.state = ReadsNothing(state.waiting)  # type: ignore[assignment]
        try:
            for place in range(self._steps):
                random.set_state(before)
                for number in self._numbers:
                    number.place = place
                if self._gathers is not None:
                    batch: Any = self._gathers.resident.gather(counters.order, len(self._gathers), counters.batch.array)
                else:
                    batch = self._batch
                with random.counted_by(counters.step.array):
                    self._loss = self._stepper(trainer, batch)
                trainer.means.add("loss", self._loss.data)
                trainer.means.flush()
                if counters.carried is not None:
                    self.left = counters.carried.take()
                self._draw_after = random.get_state().draw
                if self._gathers is not None:
                    numbers = counters.batch.array
                    numbers += 1
                if self._draw_after != before.draw:
                    self._draws, numbers = True, counters.step.array
                    numbers += 1
        finally:
            trainer.state = state
            for number in self._numbers:
                number.place = 0
        return self._loss.data  # type: ignore[union-attr]


@contextmanager
def carrying_on(carried: CarriedState | None) -> Iterator[dict[str, Variable]]:
    """Have the model carry from its places inside, and afterwards too, whatever it is left with; gives what it has."""
    start = {} if carried is None else carried.take()
    try:
        yield start
    finally:
        if carried is not None:
            carried.carry(start)


@contextmanager
def without_traces(trainer: "Trainer") -> Iterator[list[int]]:
    """Undo what the host counts of a step inside; gives how many updates each optimizer made."""
    accumulation, drawn = attrs.asdict(trainer.accumulation), random.get_state()
    before = [optimizer.updates for optimizer in trainer.optimizers.values()]
    made: list[int] = []
    try:
        yield made
    finally:
        for optimizer, count in zip(trainer.optimizers.values(), before, strict=True):
            made.append(optimizer.updates - count)
            if made[-1]:
                optimizer.advance(-made[-1])
        for name, value in accumulation.items():
            setattr(trainer.accumulation, name, value)
        random.set_state(drawn)


def difference(trainer: "Trainer", captured: CapturedBatch, stepper: "Stepper", batch: Any, step: int) -> float:
    """By how much a replay for `batch` differs from doing it eagerly, in shares of the largest number of an array.

    Afterwards everything is as before.
    """
    arrays, grads, carried = state_arrays(trainer), gradients(trainer), captured.carried
    arrays += [] if carried is None else carried.arrays
    arrays += [grad.data for _, grad in grads] if trainer.state.waiting else []
    arrays += [] if trainer.means.sums is None else [trainer.means.sums]
    before, means = [a.copy() for a in arrays], trainer.means

    def put_back() -> None:
        for array, value in zip(arrays, before, strict=True):
            array[...] = value

    trainer.means = RunningMeans()
    trainer.means.size = means.size
    try:
        with without_traces(trainer), carrying_on(carried):
            loss = stepper(trainer, batches.gathered(batch)).data
            if carried is not None:
                carried.take()
    finally:
        trainer.means = means
    changed = [a for a in arrays if a is not means.sums]
    expected = [loss, *[a.copy() for a in changed]]
    put_back()
    for param, grad in grads:
        param.grad = grad
    captured.launch(batch, step, [numbers_now(trainer)])
    xp, actual = xp_of(loss), [captured.loss.data, *changed]
    shares = [_share(xp, a, e) for a, e in zip(actual, expected, strict=True) if e.size]
    with sync_allowed():
        off = float(xp.stack(shares).max().item())
    put_back()
    return off


def _share(xp: Any, actual: Array, expected: Array) -> Array:
    """The largest difference in shares of the largest number; 0 where both are nan."""
    both_nan = xp.isnan(actual) & xp.isnan(expected)
    off = xp.where(both_nan, 0, xp.abs(actual - expected)).max()
    largest = xp.where(xp.isfinite(expected), xp.abs(expected), 0).max()
    return xp.where(off == 0, 0, off / (largest + 1e-30)).astype(xp.float64)


def state_arrays(trainer: "Trainer") -> list[Array]:
    """All arrays that a step changes, as far as the model, the optimizers and the callbacks inside it know them."""
    arrays = [param.data for param in trainer.model.params() if param.data is not None]
    for optimizer in trainer.optimizers.values():
        arrays += optimizer.arrays()
    return arrays + callback_arrays(trainer)


def callback_arrays(trainer: "Trainer") -> list[Array]:
    """The arrays on the device that are the state of callbacks with hooks inside the step."""
    inside = [c for c in trainer.callbacks if any(overrides(c, hook) for hook in INSIDE)]
    return [a for callback in inside for a in leaves(callback.state_dict()) if xp_of(a) is not np]


def step_numbers(trainer: "Trainer") -> list[StepNumber]:
    """What a step reads on the device and the host knows before: learning rates, and the numbers of callbacks."""
    rates = [optimizer.rate for optimizer in trainer.optimizers.values()]
    return rates + [number for callback in trainer.callbacks for number in callback.step_numbers()]


def numbers_now(trainer: "Trainer") -> list[float]:
    """The `step_numbers` of the step under way."""
    return [number.now for number in step_numbers(trainer)]


def gradients(trainer: "Trainer") -> list[tuple[Any, Any]]:
    """The Parameters that have a gradient, each with it."""
    return [(param, param.grad) for param in trainer.model.params() if param.grad is not None]


def leaves(batch: Any) -> list[Array]:
    """The arrays in tuples, lists and dicts, in their order."""
    if isinstance(batch, dict):
        return [a for value in batch.values() for a in leaves(value)]
    if isinstance(batch, tuple | list):
        return [a for value in batch for a in leaves(value)]
    return [batch] if is_array(batch) else []


def filled(batch: Any, arrays: Iterator[Array]) -> Any:
    """`batch` with its arrays replaced by others, in order."""
    if isinstance(batch, dict):
        return {key: filled(value, arrays) for key, value in batch.items()}
    if isinstance(batch, tuple | list):
        values = [filled(value, arrays) for value in batch]
        return type(batch)(*values) if hasattr(batch, "_fields") else type(batch)(values)
    return next(arrays) if is_array(batch) else batch


def shape_of(batch: Any) -> Any:
    """What batches have in common that one graph can do: structure, shapes, dtypes, and all that is no array."""
    if isinstance(batch, LaterBatch):
        return "gathered", len(batch)
    if isinstance(batch, dict):
        return tuple([(key, shape_of(value)) for key, value in batch.items()])
    if isinstance(batch, tuple | list):
        return type(batch).__name__, tuple(map(shape_of, batch))
    return (batch.shape, str(batch.dtype)) if is_array(batch) else repr(batch)
