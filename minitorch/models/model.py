"""`Model`, and the two plainest: `Sequential` and `MLP`."""

from collections.abc import Callable, Sequence
from os import PathLike
from pathlib import Path
from typing import Any

from minitorch import functions as F
from minitorch import layers as L
from minitorch.draw import plot_dot_graph
from minitorch.errors import ConfigError
from minitorch.variable import Variable


class Model(L.Layer):
    """Base of models: a layer that is trained as a whole."""

    def plot(self, *inputs: Any, to_file: str | PathLike[str] = "model.png") -> Path:
        """Draw the graph of the output for `inputs` into a file; see `minitorch.utils.plot_dot_graph`.

        Returns:
            The path of the file.

        Raises:
            MissingExtraError: the program `dot` of Graphviz is not installed.
        """
        return plot_dot_graph(self(*inputs), verbose=True, to_file=to_file)


class Sequential(Model):
    """Layers and functions applied one after the other; their paths are `l0`, `l1`, ...

    Args:
        layers: layers, or functions of one Variable such as `F.relu`.

    Raises:
        ConfigError: one is neither, or a class.
    """

    def __init__(self, *layers: Callable[[Any], Any]) -> None:
        super().__init__()
        for i, layer in enumerate(layers):
            if isinstance(layer, type):
                name = layer.__name__
                raise ConfigError(f"Sequential: item {i} is the class {name}; give an instance: {name}(...)")
            if not callable(layer):
                raise ConfigError(f"Sequential: item {i} is {layer!r}; give layers or functions of one Variable")
            if isinstance(layer, L.Layer):
                setattr(self, f"l{i}", layer)
        self.layers = layers  # last, since a Parameter is known by the first path that leads to it

    def forward(self, x: Any) -> Any:
        """Through all layers in turn."""
        for layer in self.layers:
            x = layer(x)
        return x


class MLP(Model):
    """Fully connected layers with an activation between them; their paths are `l0`, `l1`, ...

    Args:
        fc_output_sizes: the output size of each layer; the input size is taken from the first call.
        activation: applied after every layer but the last.

    Raises:
        ConfigError: there is no layer, a size is no positive integer, or `activation` no function.
    """

    def __init__(self, fc_output_sizes: Sequence[int], activation: Callable[[Any], Variable] = F.sigmoid) -> None:
        super().__init__()
        if not isinstance(fc_output_sizes, Sequence) or isinstance(fc_output_sizes, str) or not fc_output_sizes:
            raise ConfigError(
                f"MLP: fc_output_sizes is {fc_output_sizes!r}; give the output size of each layer, such as (1000, 10)"
            )
        self.activation = activation
        self.fc_output_sizes = tuple(fc_output_sizes)
        *hidden, out = fc_output_sizes
        layers = [*[L.Linear(out_size, activation=activation) for out_size in hidden], L.Linear(out)]
        for i, layer in enumerate(layers):
            setattr(self, f"l{i}", layer)
        self.layers = layers  # last, since a Parameter is known by the first path that leads to it

    def forward(self, x: Any) -> Variable:
        """(N, in_size) -> (N, fc_output_sizes[-1])."""
        for layer in self.layers:
            x = layer(x)
        return x  # type: ignore[no-any-return]

    def __repr__(self) -> str:
        return f"MLP({self.fc_output_sizes})"
