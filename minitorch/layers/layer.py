"""`Layer`: a function with Parameters and layers inside, found in the order of definition."""

from collections.abc import Iterable, Iterator, Mapping
from os import PathLike
from typing import Any

from minitorch import serialize
from minitorch.errors import MinitorchError, StateError
from minitorch.variable import Parameter

Array = Any


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
    """

    def __call__(self, *inputs: Any) -> Any:
        """Apply `forward`."""
        try:
            return self.forward(*inputs)
        except MinitorchError as error:
            error.add_note(f"in {self!r}")
            raise

    def forward(self, *inputs: Any) -> Any:
        """Compute the output; every subclass writes its own."""
        raise NotImplementedError(f"{type(self).__name__}.forward is not written")

    def __repr__(self) -> str:
        return f"{type(self).__name__}()"

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

    # ---- devices

    def to_cpu(self) -> None:
        """Move all Parameters and their gradients to the host."""
        for param in self.params():
            param.to_cpu()

    def to_gpu(self) -> None:
        """Move all Parameters and their gradients to the current GPU."""
        for param in self.params():
            param.to_gpu()

    # ---- state

    def state_dict(self) -> dict[str, Array]:
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

    def load_state_dict(self, state: Mapping[str, Array]) -> None:
        """Copy the arrays of `state` into the Parameters, which stay on their device; nothing is changed on error.

        Raises:
            StateError: keys are missing or unexpected, or shapes differ; all of them are listed.
        """
        params = dict(self.named_params())
        serialize.check_keys(f"{type(self).__name__} weights", params, state)
        wrong = [
            f"{path}: {tuple(state[path].shape)} given, {param.wanted_shape} wanted"
            for path, param in params.items()
            if not param.accepts(state[path].shape)
        ]
        if wrong:
            raise StateError(f"{type(self).__name__}: shapes differ: {'; '.join(wrong)}; build the same model first")
        for path, param in params.items():
            param.assign(state[path])

    def save_weights(self, path: str | PathLike[str]) -> None:
        """Write all Parameters to one `.safetensors` file, atomically."""
        serialize.save(path, self.state_dict())

    def load_weights(self, path: str | PathLike[str]) -> None:
        """Read all Parameters from a file of `save_weights`; also before the first call of lazily sized layers.

        Raises:
            CheckpointError: the file is missing or damaged.
            StateError: keys are missing or unexpected, or shapes differ.
        """
        try:
            self.load_state_dict(serialize.load(path).arrays)
        except StateError as error:
            raise StateError(f"{path}: {error}") from None


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
