"""Updates on a device: all Parameters by one launch, with learning rate, step numbers, clip and decay on the device.

An optimizer says with `launched_by` which kernel does what its `update_one` does. Hooks at the end of its list that
clip or decay are done by the same launch. What differs between steps is in device memory, so that a captured update can
be replayed; what a launch is made with is counted in `generation`: when that changes, a captured one is out of date.
"""

import itertools
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import attrs
import numpy as np

from minitorch.cuda import StepNumber, as_numpy, capturing, kernels, sync_allowed, xp_of
from minitorch.errors import DeviceError
from minitorch.optimizers.hooks import ClipGrad, WeightDecay
from minitorch.variable import Parameter

Array = Any
Hook = Callable[[list[Parameter]], None]
_generations = itertools.count(1)
F = TypeVar("F", bound=Callable[..., Any])


@attrs.frozen
class Launch:
    """How one launch does what `update_one` of an optimizer does to one Parameter.

    Attributes:
        kernel: of `minitorch.cuda.kernels`.
        state: the names of its arrays of state, in order.
        settings: the names of the hyperparameters that are its keywords.
        counter: the name of the number of updates in the state, if the kernel needs it.
    """

    kernel: Callable[..., None]
    state: tuple[str, ...] = ()
    settings: tuple[str, ...] = ()
    counter: str | None = None

    @property
    def zeros(self) -> dict[str, Any]:
        """The state at first, for `state_of`."""
        counted = {} if self.counter is None else {self.counter: 0}
        return dict.fromkeys(self.state) | counted


def launched_by(
    kernel: Callable[..., None],
    state: tuple[str, ...] = (),
    settings: tuple[str, ...] = (),
    counter: str | None = None,
) -> Callable[[F], F]:
    """Say that on a device `kernel` does for all Parameters at once what the decorated `update_one` does for one."""

    def mark(update_one: F) -> F:
        update_one.launch = Launch(kernel, state, settings, counter)  # type: ignore[attr-defined]
        return update_one

    return mark


@attrs.frozen
class Part:
    """Parameters with the same hyperparameters, which one launch updates.

    Attributes:
        members: which of all they are.
        tensors: their tables.
        settings: keywords of the kernel.
        entries: their state, if that has a count of updates.
        steps: the numbers of their last updates, int64, or None.
    """

    members: list[int]
    tensors: kernels.Tensors
    settings: dict[str, float]
    entries: list[dict[str, Any]]
    steps: Array | None


@attrs.define
class Request:
    """All that an update depends on besides gradients and learning rate.

    Attributes:
        params: the Parameters, all on one device.
        entries: the state of each.
        options: of each the hyperparameters, with `lr` as its share of the learning rate.
        longest: what to clip the norm of all gradients to, or None.
        decay: what to add of each Parameter to its gradient then.
        keep: a number on the device: where it is negative, there is no update; or None.
    """

    params: list[Parameter]
    entries: list[dict[str, Any]]
    options: list[dict[str, Any]]
    longest: float | None
    decay: float
    keep: Array | None

    def made_of(self, launch: Launch) -> list[Any]:
        """The arrays and numbers that tables and launches are made of."""
        arrays = [
            a for p, e in zip(self.params, self.entries, strict=True) for a in (p.data, *map(e.get, launch.state))
        ]
        return [*arrays, *self.options, self.longest, self.decay, self.keep]


class MultiTensor:
    """What the launches of one optimizer need in device memory.

    Attributes:
        generation: another number each time that it is made anew; a captured update of an earlier one is out of date.
        lr: the learning rate.
        counter: the name of the count of updates in the state, where the device alone knows it, since it leaves out
            updates; else None.
    """

    def __init__(self) -> None:
        self.generation = 0
        self.counter: str | None = None
        self.lr = StepNumber(0.0)
        self._made_of: list[Any] = []
        self._parts: list[Part] = []
        self._all: kernels.Tensors | None = None

    def counts(self) -> list[Array]:
        """The numbers of the last updates, which each update moves on."""
        return [part.steps for part in self._parts if part.steps is not None]

    def read_counts(self) -> None:
        """Write the counts into the state, where the device alone knows them: it is waited for then."""
        counter, self.counter = self.counter, None
        if counter is None:
            return
        with sync_allowed():
            for part in self._parts:
                for entry, number in zip(part.entries, as_numpy(part.steps).tolist(), strict=True):
                    entry[counter] = number

    def outdate(self) -> None:
        """Have everything made anew by the next update."""
        self._made_of, self.generation = [], next(_generations)

    def update(self, launch: Launch, rate: StepNumber, request: Request) -> None:
        """Update the Parameters of `request` by their gradients, with one launch for each set of hyperparameters."""
        made_of = request.made_of(launch)
        if not _same(made_of, self._made_of):
            if capturing():
                raise DeviceError(
                    "the optimizer's tables are made anew: Parameters, their state or hyperparameters are others than "
                    "in the step before"
                )
            with sync_allowed():
                self._make(launch, request)
            self._made_of = made_of
        lr = rate.array
        grads = [_fitting(p.grad.data, p.data) for p in request.params]
        clip = request.keep
        if request.longest is not None:
            assert self._all is not None
            _, clip = kernels.gradient_norm(self._all, grads, request.longest)
            if request.keep is not None:
                clip = xp_of(clip).where(request.keep < 0, request.keep, clip)
        for part in self._parts:
            counted = {}
            if part.steps is not None:
                kernels.count_updates(part.steps, request.keep)
                counted = {"step": part.steps}
            own = [grads[i] for i in part.members]
            launch.kernel(part.tensors, own, lr=lr, clip=clip, **part.settings, **counted)
        count(request.entries, launch, 1)
        if request.keep is not None:
            self.counter = launch.counter

    def _make(self, launch: Launch, request: Request) -> None:
        """Make the tables, one set for each set of hyperparameters."""
        sets: dict[tuple[float, ...], list[int]] = {}
        for i, options in enumerate(request.options):
            sets.setdefault(tuple([options[name] for name in launch.settings]), []).append(i)
        shares = [(o["lr"], request.decay, o.get("weight_decay", 0.0)) for o in request.options]
        xp = xp_of(request.params[0].data)
        self.read_counts()
        self._parts = []
        for settings, members in sets.items():
            entries = [request.entries[i] for i in members]
            tensors = kernels.Tensors(
                [request.params[i].data for i in members],
                *[[entry[name] for entry in entries] for name in launch.state],
                options=[shares[i] for i in members],
            )
            steps = None
            if launch.counter is not None:
                steps = xp.asarray(np.array([entry[launch.counter] for entry in entries], np.int64))
            self._parts.append(
                Part(members, tensors, dict(zip(launch.settings, settings, strict=True)), entries, steps)
            )
        self._all = None if request.longest is None else kernels.Tensors([p.data for p in request.params])
        self.generation = next(_generations)


def count(entries: Sequence[dict[str, Any]], launch: Launch, updates: int) -> None:
    """Count so many updates more in the state of Parameters."""
    if launch.counter is not None:
        for entry in entries:
            entry[launch.counter] += updates


def split(hooks: Sequence[Hook]) -> tuple[list[Hook], float | None, float]:
    """The hooks to call, and what the launch does in place of the others: the norm to clip to, and the decay to add."""
    calls, longest, decay = list(hooks), None, 0.0
    while calls and type(calls[-1]) is WeightDecay:
        decay += calls.pop().rate  # type: ignore[attr-defined]
    if calls and type(calls[-1]) is ClipGrad:
        longest = calls.pop().max_norm  # type: ignore[attr-defined]
    return calls, longest, decay


def taken(params: Sequence[Parameter]) -> bool:
    """Whether kernels take all of these Parameters: float32, in C order, and on a device."""
    return all(kernels.takes(p.data) and p.data.flags.c_contiguous for p in params)


def _fitting(g: Array, p: Array) -> Array:
    """`g` as the kernels take it."""
    return kernels.contiguous(g.astype(p.dtype, copy=False))


def _same(new: list[Any], old: list[Any]) -> bool:
    """Whether both lists hold the same arrays, and equal numbers and dicts."""
    return len(new) == len(old) and all(
        a is b or (isinstance(a, dict | int | float) and isinstance(b, dict | int | float) and a == b)
        for a, b in zip(new, old, strict=True)
    )
