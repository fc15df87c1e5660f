"""`LayerWatch`: sees every call of the layers of a model, for a while."""

from collections.abc import Callable
from functools import partial
from typing import Any

from minitorch.layers import Layer

Seen = Callable[[str, Layer, tuple[Any, ...], Any], None]


class LayerWatch:
    """Calls `seen(path, layer, inputs, output)` after each call of a layer of `model`, inner first, until `stop`.

    Args:
        model: its path is "".
        seen: what to call.
    """

    def __init__(self, model: Layer, seen: Seen) -> None:
        self._before: list[tuple[Layer, Any]] = []
        for path, layer in [("", model), *model.layers_inside()]:
            self._before.append((layer, vars(layer).get("forward")))
            vars(layer)["forward"] = partial(_forward, seen, path, layer, layer.forward)

    def stop(self) -> None:
        """Leave the layers as they were."""
        for layer, before in self._before:
            del vars(layer)["forward"]
            if before is not None:
                vars(layer)["forward"] = before
        self._before = []


def _forward(seen: Seen, path: str, layer: Layer, forward: Callable[..., Any], *inputs: Any) -> Any:
    y = forward(*inputs)
    seen(path, layer, inputs, y)
    return y
