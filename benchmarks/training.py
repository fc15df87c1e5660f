"""Training step by step for every contestant alike: one loop, in which frameworks differ by how they take a step.

Before the race each contestant takes one step, of which the gradients are compared; then its turns come.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import cycle, islice
from typing import Any, Protocol

import attrs
import numpy as np

from benchmarks.race import Race

Array = np.ndarray[Any, Any]
Batch = tuple[Any, ...]


class Training(Protocol):
    """What is being trained, and how."""

    def arrays(self, *, gradients: bool = False) -> Mapping[str, Array]:
        """The weights, or their gradients, by names and in a layout common to all contestants: views if possible."""

    def backward(self, *batch: Any) -> Any:
        """Compute the loss of a batch and the gradients; returns the loss."""

    def update(self) -> None:
        """Change the weights by the gradients."""

    def batch(self, *arrays: Array) -> Batch:
        """A batch in the form that the framework computes with."""


def race_training(
    race: Race,
    training: Training,
    weights: Mapping[str, Array],
    batches: Sequence[Batch],
    steps: int,
    in_double: Training | None = None,
) -> None:
    """Load `weights`, take one step, and then `steps` steps in each round; the batches come over and over again.

    Args:
        race: where to report to.
        training: what is trained.
        weights: to start from.
        batches: to train on.
        steps: in a round.
        in_double: the same training in float64, where gradients in float32 depend on roundings too much to be compared.
    """
    load(training, weights)
    begin = {name: array.copy() for name, array in training.arrays().items()}
    gradients = first_gradients(training, batches[0])
    training.update()
    if in_double is not None:
        load(in_double, weights)
        gradients = first_gradients(
            in_double, tuple(a.astype(np.float64) if a.dtype == np.float32 else a for a in batches[0])
        )
    turns = cycle([training.batch(*batch) for batch in batches])
    names = sorted(begin)
    race.start([begin[name] for name in names], gradients=[gradients[name] for name in names])
    for _ in range(race.rounds):
        total = sum(losses(training, islice(turns, steps)))
        race.lap([total / steps], steps=steps)


def first_gradients(training: Training, batch: Batch) -> dict[str, Array]:
    training.backward(*training.batch(*batch))
    return {name: array.copy() for name, array in training.arrays(gradients=True).items()}


def losses(training: Training, batches: Iterator[Batch]) -> Iterator[float]:
    """Take a step for each batch; yields its loss."""
    for batch in batches:
        loss = training.backward(*batch)
        training.update()
        yield loss.item()


def load(training: Training, weights: Mapping[str, Array]) -> None:
    """Copy `weights` into the model."""
    for name, array in training.arrays().items():
        array[...] = weights[name]


def normal(shapes: Mapping[str, tuple[int, ...]], scale: Callable[[tuple[int, ...]], float]) -> dict[str, Array]:
    """Weights of these shapes: matrices and kernels normal times `scale(shape)`, `gamma` ones, other vectors zeros."""
    draw = np.random.default_rng(0)
    return {
        name: draw.standard_normal(shape, np.float32) * np.float32(scale(shape))
        if len(shape) > 1
        else np.full(shape, name.endswith("gamma"), np.float32)
        for name, shape in shapes.items()
    }


@attrs.frozen
class WithMinitorch:
    """A model of minitorch, already called once where its sizes come from the first batch.

    Attributes:
        loss: `loss(model, *batch)`.
    """

    model: Any
    optimizer: Any
    loss: Callable[..., Any]

    def arrays(self, *, gradients: bool = False) -> Mapping[str, Array]:
        trained = {path: p for path, p in self.model.named_params() if p.requires_grad}
        return {path: p.grad.data if gradients else p.data for path, p in trained.items()}

    def backward(self, *batch: Any) -> Any:
        loss = self.loss(self.model, *batch)
        self.model.cleargrads()
        loss.backward()
        return loss

    def update(self) -> None:
        self.optimizer.update()

    def batch(self, *arrays: Array) -> Batch:
        return arrays


@attrs.frozen
class WithTorch:
    """A model of PyTorch, the modules of which are called as the layers of minitorch's are.

    Attributes:
        loss: `loss(model, *batch)`.
        special: for modules in a layout of their own, by the last part of their path, which takes and returns arrays
            by name; the latter are views of the former, in the common layout, and named from the outer module on.
    """

    model: Any
    optimizer: Any
    loss: Callable[..., Any]
    special: Mapping[str, Callable[[Mapping[str, Array]], Mapping[str, Array]]] = attrs.field(factory=dict)

    def arrays(self, *, gradients: bool = False) -> Mapping[str, Array]:
        import torch

        found: dict[str, Array] = {}
        for path, module in self.model.named_modules():
            own = {
                name: (p.grad if gradients else p.detach()).numpy()
                for name, p in module.named_parameters(recurse=False)
                if p.requires_grad
            }
            path, _, last = path.rpartition(".")
            if last in self.special:
                found |= {f"{path}.{name}" if path else name: a for name, a in self.special[last](own).items()}
                continue
            path = f"{path}.{last}" if path else last
            if own:
                matrix = isinstance(module, torch.nn.Linear)
                norm = not hasattr(module, "stride") and own["weight"].ndim == 1
                named = {"weight": "gamma", "bias": "beta"} if norm else {"weight": "W", "bias": "b"}
                own = {named[name]: array.T if matrix else array for name, array in own.items()}
            found |= {f"{path}.{name}" if path else name: array for name, array in own.items()}
        return found

    def backward(self, *batch: Any) -> Any:
        loss = self.loss(self.model, *batch)
        self.optimizer.zero_grad()
        loss.backward()
        return loss

    def update(self) -> None:
        self.optimizer.step()

    def batch(self, *arrays: Array) -> Batch:
        import torch

        return tuple(torch.from_numpy(array) for array in arrays)
