"""`Layer`: a function with Parameters and layers inside, found in the order of definition."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from os import PathLike
from typing import Any, ClassVar
from weakref import ref

from minitorch import serialize
from minitorch.autograd.node import Node, wrap
from minitorch.cuda import as_cupy, as_numpy
from minitorch.errors import MinitorchError, StateError
from minitorch.foreign import LAYER_ARGUMENTS, LAYER_ATTRIBUTES, tells_arguments, tells_attributes
from minitorch.variable import Parameter, Variable

Array = Any


@tells_attributes(LAYER_ATTRIBUTES)
class Layer:
    """Base of all layers and models: assign Parameters and layers as attributes, and write `forward`.

        class TwoLayerNet(Layer):
            def __init__(self):
                super().__init__()
                self.l1 = L.Linear(100)
                self.l2 = L.Linear(10)

            def forward(self, x):
                return self.l2(F.relu(self.l1(x)))

    A Parameter is known by its path, such as `l1.W`. Lists, tuples and dicts of layers or Parameters are looked through
    too: `blocks.0.W`. One that is reachable by several paths is known by the first, in the order of definition.

    Attributes:
        carries: the names of attributes, each a Variable or None, that a layer keeps from one call to the next, such as
            the state `h` of `RNN`. They move with the layer and are in its `state_dict`, but are no weights.
    """

    carries: ClassVar[tuple[str, ...]] = ()

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if "__init__" in vars(cls):
            cls.__init__ = tells_arguments(LAYER_ARGUMENTS)(cls.__init__)  # type: ignore[method-assign]

    def __call__(self, *inputs: Any) -> Any:
        """Apply `forward`."""
        try:
            y = self.forward(*inputs)
        except MinitorchError as error:
            error.add_note(f"in {self!r}")
            raise
        self._gave = _history(y)
        return y

    def forward(self, *inputs: Any) -> Any:
        """Compute the output; every subclass writes its own."""
        raise NotImplementedError(f"{type(self).__name__}.forward is not written")

    def __repr__(self) -> str:
        return f"{type(self).__name__}()"

    @property
    def outputs(self) -> list[Callable[[], Variable | None]]:
        """What the newest call gave: `layer.outputs[0]()` is its Variable as long as the graph lives, else None.

        Its gradient is there after `backward(retain_grad=True)`, for instance for maps of what a convolution saw. The
        layer itself keeps nothing alive.
        """
        gave = vars(self).get("_gave")
        return [_Output(node) for node in (gave if isinstance(gave, tuple) else (gave,))]

    def __getstate__(self) -> dict[str, Any]:
        """What a copy or a pickle has: all attributes but the memory of the newest call."""
        return {name: value for name, value in vars(self).items() if name != "_gave"}

    # ---- Parameters

    def named_params(self) -> Iterator[tuple[str, Parameter]]:
        """Each Parameter once, with its path, in the order of definition."""
        return ((path, child) for child, path in self._inside().items() if isinstance(child, Parameter))

    def params(self) -> Iterator[Parameter]:
        """Each Parameter once, in the order of definition."""
        return (child for child in self._inside() if isinstance(child, Parameter))

    def layers_inside(self) -> Iterator[tuple[str, "Layer"]]:
        """Each layer below this one once, with its path, in the order of definition, outer before inner."""
        return ((path, child) for child, path in self._inside().items() if isinstance(child, Layer))

    def _inside(self) -> dict["Layer | Parameter", str]:
        found: dict[Layer | Parameter, str] = {}
        _search("", vars(self).items(), found)
        return found

    def cleargrads(self) -> None:
        """Forget the gradients of all Parameters."""
        for param in self.params():
            param.cleargrad()

    # ---- what is carried from one call to the next

    def carried(self) -> dict[str, Variable]:
        """What this layer and those inside carry to their next call (`carries`), by path; nothing that is None."""
        found = {path: getattr(layer, name) for path, layer, name in self._carriers()}
        return {path: value for path, value in found.items() if value is not None}

    def carry(self, values: Mapping[str, Variable]) -> None:
        """Go on from `values`, which `carried` gave; what they do not name becomes None, as before the first call."""
        for path, layer, name in self._carriers():
            setattr(layer, name, values.get(path))

    def _carriers(self) -> Iterator[tuple[str, "Layer", str]]:
        yield from ((name, self, name) for name in self.carries)
        for path, layer in self.layers_inside():
            yield from ((f"{path}.{name}", layer, name) for name in layer.carries)

    # ---- devices

    def to_cpu(self) -> None:
        """Move all Parameters, their gradients, and what is carried to the next call to the host."""
        for param in self.params():
            param.to_cpu()
        self._move_carried(as_numpy)

    def to_gpu(self) -> None:
        """Move all Parameters, their gradients, and what is carried to the next call to the current GPU."""
        for param in self.params():
            param.to_gpu()
        self._move_carried(as_cupy)

    def _move_carried(self, move: Any) -> None:
        """Move values that are elsewhere; they forget how they were computed, which was there."""
        for _, layer, name in self._carriers():
            value = getattr(layer, name)
            if value is not None and (moved := move(value.data)) is not value.data:
                setattr(layer, name, Variable(moved, requires_grad=False))

    # ---- state

    def weights(self) -> dict[str, Array]:
        """The array of every Parameter by its path; the arrays themselves, not copies.

        Raises:
            StateError: a lazily sized layer has not got its weights yet.
        """
        state = {path: param.data for path, param in self.named_params()}
        empty = [path for path, data in state.items() if data is None]
        if empty:
            raise StateError(
                f"{type(self).__name__}: no weights yet in {', '.join(empty)}; call the model once on a batch, or give "
                "the input sizes when making its layers"
            )
        return state

    def state_dict(self) -> dict[str, Array]:
        """The `weights`, and the arrays of what is carried to the next call: all that a run goes on from.

        Raises:
            StateError: a lazily sized layer has not got its weights yet.
        """
        return self.weights() | {path: value.data for path, value in self.carried().items()}

    def load_state_dict(self, state: Mapping[str, Array]) -> None:
        """Copy the arrays of `state` into the Parameters, which stay on their device; nothing is changed on error.

        What is carried to the next call becomes that of `state`, or nothing where it is not in there, as in weights.

        Raises:
            StateError: keys are missing or unexpected, shapes differ, or one is no array; all of them are listed.
        """
        params = dict(self.named_params())
        carried = {path for path, _, _ in self._carriers()} & set(state)
        serialize.check_keys(f"{type(self).__name__} weights", [*params, *carried], state)
        wrong = [
            f"{path}: {_given(state[path])} given, {param.wanted_shape} wanted"
            for path, param in params.items()
            if not (hasattr(state[path], "shape") and param.accepts(state[path].shape))
        ]
        if wrong:
            raise StateError(f"{type(self).__name__}: shapes differ: {'; '.join(wrong)}; build the same model first")
        for path, param in params.items():
            param.assign(state[path])
        place = next((param.place for param in params.values()), as_numpy)
        self.carry({path: Variable(place(state[path]).copy(), requires_grad=False) for path in carried})

    def save_weights(self, path: str | PathLike[str]) -> None:
        """Write all Parameters to one `.safetensors` file, atomically."""
        serialize.save(path, self.weights())

    def load_weights(self, path: str | PathLike[str], prefix: str = "") -> None:
        """Read all Parameters from a file of `save_weights`; also before the first call of lazily sized layers.

            model.load_weights("runs/mnist/001/checkpoints/step-00003000.safetensors", prefix="model/")

        Args:
            path: the file.
            prefix: what the keys in it begin with; all others are left alone. Those of the model in a checkpoint of a
                run begin with "model/".

        Raises:
            CheckpointError: the file is missing or damaged.
            StateError: keys are missing or unexpected, or shapes differ.
        """
        arrays = serialize.load(path).arrays
        state = {key.removeprefix(prefix): array for key, array in arrays.items() if key.startswith(prefix)}
        try:
            self.load_state_dict(state)
        except StateError as error:
            first = next((name for name, _ in self.named_params()), "")
            begins = next((key.removesuffix(first) for key in arrays if first and key.endswith(f"/{first}")), prefix)
            hint = "" if begins == prefix else f"; keys of these names begin with {begins!r}: pass prefix={begins!r}"
            raise StateError(f"{path}: {error}{hint}") from None


def _history(y: Any) -> Any:
    """A weak reference to the node of the Variable `y`; None for a constant, and a tuple for a tuple."""
    if isinstance(y, tuple):
        return tuple([_history(each) for each in y])
    node = y.node if isinstance(y, Variable) else None
    return None if node is None else ref(node)


class _Output:
    """Gives a Variable of the node that is referred to, while that lives and has its array."""

    def __init__(self, node: "ref[Node] | None") -> None:
        self.node = node

    def __call__(self) -> Variable | None:
        node = None if self.node is None else self.node()
        return None if node is None or node.y is None else wrap(Variable, node.y, node)


def _search(prefix: str, items: Iterable[tuple[Any, Any]], found: dict[Layer | Parameter, str]) -> None:
    """Add the layers and Parameters in `items` to `found`, each with the first path that leads to it."""
    for key, item in items:
        if isinstance(item, Parameter):
            found.setdefault(item, f"{prefix}{key}")
        elif isinstance(item, Layer):
            if item not in found:
                found[item] = f"{prefix}{key}"
                _search(f"{prefix}{key}.", vars(item).items(), found)
        elif isinstance(item, dict):
            _search(f"{prefix}{key}.", item.items(), found)
        elif isinstance(item, (list, tuple)):
            _search(f"{prefix}{key}.", enumerate(item), found)


def _given(value: Any) -> Any:
    """The shape of an array in a message, else what it is."""
    return tuple(value.shape) if hasattr(value, "shape") else type(value).__name__
