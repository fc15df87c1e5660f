"""Where the first number that is not finite comes from: a training step with a look at everything that it makes."""

from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, Literal

import attrs
import numpy as np

from minitorch import random
from minitorch.autograd.backward import ones_like
from minitorch.autograd.function import Function, OutputGrads
from minitorch.autograd.node import Node
from minitorch.autograd.primitive import describe
from minitorch.cuda import is_array, sync_allowed, xp_of
from minitorch.errors import NonFiniteError
from minitorch.models import Model
from minitorch.trainer.metrics import last_good
from minitorch.trainer.step import check_loss
from minitorch.trainer.watch import LayerWatch
from minitorch.variable import Variable

if TYPE_CHECKING:
    from minitorch.trainer.trainer import Trainer

Array = Any
Part = Literal["batch", "weights", "forward", "backward", "callback", "update"]
Calls = list[tuple[str, tuple[Any, ...], Any]]  # of layers: name, inputs, output; inner before outer


@attrs.frozen
class Origin:
    """Which part of a step made the first number that is not finite.

    Attributes:
        part: the batch, or the weights, that the step was given; its forward, backward or update; or a callback.
        op: the name of the operation, of the hook of the callback, or of the optimizer; "" where there is none.
        layer: the layer that the operation belongs to, such as "l1 (Linear)"; "" where it is in none.
        what: which array of the batch, which weights, or what the operation was given.
    """

    part: Part
    op: str = ""
    layer: str = ""
    what: str = ""

    def __str__(self) -> str:
        place = f", in layer {self.layer}," if self.layer else ""
        return {
            "batch": f"{self.what} had it when it came from the loader or the callbacks of phase DATA",
            "weights": f"the weights {self.what} had it before the step",
            "forward": f"the operation {self.op}{place} made it of {self.what}",
            "backward": f"the backward of the operation {self.op}{place} made it of {self.what}",
            "callback": f"the hook {self.op} made it in the gradient of {self.what}",
            "update": f"the update by {self.op} made it in {self.what}",
        }[self.part]


class FoundError(Exception):
    """Ends an examined step where the origin is found."""

    def __init__(self, origin: Origin) -> None:
        super().__init__(str(origin))
        self.origin = origin


def check_weights(trainer: "Trainer") -> None:
    """Raise NonFiniteError unless all weights are finite; on a GPU this waits for the device, once."""
    data = [param.data for param in trainer.model.params() if param.data is not None and param.data.dtype.kind == "f"]
    if not data:
        return
    xp = xp_of(data[0])
    finite = xp.stack([xp.isfinite(array).all() for array in data]).all()
    with sync_allowed():
        if finite:
            return
    bad = first_bad({path: param.data for path, param in trainer.model.named_params()})
    state = trainer.state
    raise NonFiniteError(
        f"after step {state.step} (epoch {state.epoch}) the weights {bad} are not finite: lower the learning rate and "
        f"clip gradients (GradientClipping); {last_good(trainer)}"
    )


def first_bad(arrays: Mapping[str, Array]) -> str:
    """The name of the first array that has a number that is not finite; "" where there is none."""
    return next((name for name, array in arrays.items() if not is_finite(array)), "")


def is_finite(value: Any) -> bool:
    """Whether all numbers in it are finite; what is no array or float is."""
    if isinstance(value, float):
        return bool(np.isfinite(value))
    return not is_array(value) or value.dtype.kind != "f" or bool(xp_of(value).isfinite(value).all())


def examined_step(trainer: "Trainer", batch: Any) -> Variable:
    """Do what `train_step` does, and look at all that it makes.

    Raises:
        FoundError: there is a number that is not finite; with its origin.
    """
    _raise_if(first_bad(arrays_of(batch)), "batch")
    _raise_if(first_bad({path: param.data for path, param in trainer.model.named_params()}), "weights")
    start = random.get_state()
    loss, nodes, layers = _forward(trainer, batch)
    if not is_finite(loss.data):
        origin = _of_forward(nodes, layers)
        if origin is None:  # what is computed of the batch alone is not recorded, unless gradients are wanted for that
            random.set_state(start)
            _, nodes, layers = _forward(trainer, _recorded(batch))
            origin = _of_forward(nodes, layers) or Origin("forward", _name(nodes[0]), "", _given(nodes[0]))
        raise FoundError(origin)
    if not trainer.state.waiting:
        trainer.model.cleargrads()
    update = trainer.accumulation
    scale = trainer.loss_scale * update.weight(trainer.means.size)
    loss.grad = Variable(ones_like(loss.data) * scale, requires_grad=False)
    loss.backward(retain_grad=True)
    if _bad_gradient(trainer.model):
        raise FoundError(_of_backward(nodes, layers, _bad_gradient(trainer.model)))
    if update.due:
        update.complete(trainer.model)
        for hook in trainer.hooks.on_after_backward:
            hook(trainer)
            _raise_if(_bad_gradient(trainer.model), "callback", hook.name)
        trainer.optimizer_step()
        optimizers = " and ".join(type(optimizer).__name__ for optimizer in trainer.optimizers.values())
        weights = {path: param.data for path, param in trainer.model.named_params()}
        _raise_if(first_bad(weights), "update", optimizers)
    return loss


def _forward(trainer: "Trainer", batch: Any) -> tuple[Variable, list[Node], dict[Node, str]]:
    """The loss of `batch`, the operations that it was computed by, in order, and the layer that each belongs to."""
    calls: Calls = []
    watch = LayerWatch(trainer.model, lambda path, layer, x, y: calls.append((_layer_name(path, layer), x, y)))
    try:
        loss = trainer.training_step(batch)
    finally:
        watch.stop()
    check_loss(trainer, loss)
    return loss, in_order(loss.node), layers_of(calls)


def _recorded(batch: Any) -> Any:
    """The batch with Variables for its arrays of floats."""
    if is_array(batch) and batch.dtype.kind == "f":
        return Variable(batch)
    if isinstance(batch, Mapping):
        return {key: _recorded(value) for key, value in batch.items()}
    return type(batch)([_recorded(value) for value in batch]) if isinstance(batch, tuple | list) else batch


def arrays_of(batch: Any, name: str = "batch") -> dict[str, Array]:
    """The arrays in a batch by where they are, such as `batch[0]`."""
    if isinstance(batch, Variable):
        batch = batch.data
    if is_array(batch):
        return {name: batch}
    items: Iterable[tuple[Any, Any]] = ()
    if isinstance(batch, Mapping):
        items = batch.items()
    elif isinstance(batch, tuple | list):
        items = enumerate(batch)
    return {where: array for key, item in items for where, array in arrays_of(item, f"{name}[{key!r}]").items()}


def in_order(root: Node | None) -> list[Node]:
    """The operations below `root`, each after those that it was computed from."""
    found: list[Node] = []
    seen: set[Node] = set()
    stack = [(root, False)]
    while stack:
        node, done = stack.pop()
        if node is None or node.op is None:
            continue
        if done:
            found.append(node)
        elif node not in seen:
            seen.add(node)
            stack.append((node, True))
            stack.extend((p, False) for p in reversed(node.parents))
    return found


def layers_of(calls: Calls) -> dict[Node, str]:
    """For each operation the innermost layer that made it."""
    owners: dict[Node, str] = {}
    for name, inputs, output in calls:
        seen = set(_nodes_in(inputs))
        stack = [node for node in _nodes_in((output,)) if node not in seen]
        while stack:
            node = stack.pop()
            if node in seen or node.op is None:
                continue
            seen.add(node)
            owners.setdefault(node, name)
            stack.extend(p for p in node.parents if p is not None)
    return owners


def _of_forward(nodes: list[Node], layers: dict[Node, str]) -> Origin | None:
    """The first operation on the way to the loss that made it of finite numbers, or else a NaN of numbers, if any."""
    behind = {nodes[-1]}
    for node in reversed(nodes):  # only what reaches the loss counts: infinities that a softmax masks away do not
        if node in behind:
            behind.update(p for p in node.parents if p is not None and p.op is not None and not _fine(p))
    bad = [node for node in nodes if node in behind]
    of_finite = [node for node in bad if all(map(is_finite, node.args))]
    of_infinite = [node for node in bad if _has_nan(node.y) and not any(map(_has_nan, node.args))]
    if not (of_finite or of_infinite):
        return None
    first = (of_finite or of_infinite)[0]
    return Origin("forward", _name(first), layers.get(first, ""), _given(first))


def _of_backward(nodes: list[Node], layers: dict[Node, str], path: str) -> Origin:
    """The first operation whose rule made it of a finite gradient."""
    for node in reversed(nodes):
        g = _gradient(node, nodes)
        if g is None or not _gradient_is_finite(g):
            continue
        made = node.op.pullback(g, node.y, node.args, node.params, node.parents)  # type: ignore[union-attr]
        if not all(_gradient_is_finite(r) for _, r in made):
            return Origin("backward", _name(node), layers.get(node, ""), "a finite gradient")
    return Origin("backward", "add", "", f"several gradients of {path}, each of them finite")


def _gradient(node: Node, nodes: list[Node]) -> Any:
    """What the rule of a node was given; of a Function it is on the nodes of its outputs."""
    if not isinstance(node.op, Function):
        return None if node.grad is None else node.grad.data
    picks = [other for other in nodes if node in other.parents and other.grad is not None]
    return OutputGrads({pick.params["i"]: pick.grad.data for pick in picks if "i" in pick.params})


def _gradient_is_finite(g: Any) -> bool:
    return all(map(is_finite, g.grads.values())) if isinstance(g, OutputGrads) else is_finite(g)


def _fine(node: Node) -> bool:
    return all(map(is_finite, node.y)) if isinstance(node.y, tuple) else is_finite(node.y)


def _has_nan(value: Any) -> bool:
    if isinstance(value, tuple):
        return any(map(_has_nan, value))
    return not is_finite(value) and bool(xp_of(value).isnan(value).any())


def _name(node: Node) -> str:
    return str(node.op.name)  # type: ignore[union-attr]


def _given(node: Node) -> str:
    kind = "finite inputs" if all(map(is_finite, node.args)) else "inputs"
    return f"{kind} {', '.join(describe(a) for a in node.args)}"


def _nodes_in(values: Iterable[Any]) -> Iterator[Node]:
    for value in values:
        if isinstance(value, Variable) and value.node is not None:
            yield value.node
        elif isinstance(value, tuple | list):
            yield from _nodes_in(value)


def _bad_gradient(model: Model) -> str:
    return first_bad({path: param.grad.data for path, param in model.named_params() if param.grad is not None})


def _raise_if(name: str, part: Part, op: str = "") -> None:
    if name:
        raise FoundError(Origin(part, op, what=name))


def _layer_name(path: str, layer: Any) -> str:
    return f"{path} ({type(layer).__name__})" if path else type(layer).__name__
