"""`ModelSummary` and `model_summary`: the layers of a model, their outputs and Parameters, as a table."""

import sys
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import attrs

from minitorch.config import no_grad, test_mode
from minitorch.cuda import is_array
from minitorch.layers import Layer
from minitorch.trainer.callback import Callback, Phase
from minitorch.trainer.watch import LayerWatch
from minitorch.variable import Parameter, Variable

if TYPE_CHECKING:
    from minitorch.trainer.state import FitResult, StepOutputs
    from minitorch.trainer.trainer import Trainer

HEADER = ("layer", "class", "output", "parameters", "memory")


@attrs.frozen
class LayerSummary:
    """One layer of a `Summary`.

    Attributes:
        path: where it is in the model, such as "l0"; "" for the model itself.
        kind: its class.
        output: the shape of its first output, or of each where there are several; None if it was not called.
        parameters: how many numbers its own Parameters have, those of layers inside it not counted.
        memory: the bytes of these.
        output_memory: the bytes of its output; 0 where layers inside it make it.
    """

    path: str
    kind: str
    output: tuple[Any, ...] | None
    parameters: int
    memory: int
    output_memory: int


@attrs.frozen
class Summary:
    """The layers of a model and their totals; `str()` is a table.

    Attributes:
        layers: the model itself, then each layer once in the order of definition, outer before inner.
        trainable: how many numbers the optimizer updates.
    """

    layers: tuple[LayerSummary, ...]
    trainable: int

    @property
    def parameters(self) -> int:
        """How many numbers all Parameters have."""
        return sum(layer.parameters for layer in self.layers)

    @property
    def memory(self) -> int:
        """The bytes of all Parameters."""
        return sum(layer.memory for layer in self.layers)

    @property
    def output_memory(self) -> int:
        """The bytes of the outputs of all innermost layers for the batch."""
        return sum(layer.output_memory for layer in self.layers)

    def __str__(self) -> str:
        rows = [HEADER, *[_cells(layer) for layer in self.layers]]
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        aligned = [(*map(str.ljust, row[:3], widths[:3]), *map(str.rjust, row[3:], widths[3:])) for row in rows]
        lines = ["  ".join(row).rstrip() for row in aligned]
        lines.append(
            f"{self.parameters:,} parameters ({self.trainable:,} trainable), {_bytes(self.memory)}; outputs of the "
            f"layers for this batch: {_bytes(self.output_memory)}"
        )
        return "\n".join(lines)


def model_summary(model: Layer, batch: Any) -> Summary:
    """The layers of `model`, with the shapes of their outputs for `batch`.

        print(model_summary(MLP((1000, 10)), np.zeros((100, 784), np.float32)))

    The model is run once, without gradients and in test mode; lazily sized layers get their size and their weights, as
    at any first call.

    Args:
        model: a model or layer.
        batch: its input, or a tuple or list whose first item is.
    """
    watch = _Watch(model)
    try:
        with no_grad(), test_mode():
            model(batch[0] if isinstance(batch, tuple | list) else batch)
    finally:
        watch.stop()
    return watch.summary()


@attrs.define(eq=False)
class ModelSummary(Callback):
    """Prints the table of `model_summary` after the first training step of a run, from what that step did anyway.

        Trainer(model, optimizer, loss=loss, callbacks=[ModelSummary(), ConsoleLogger()])

    The model is not run for it: the run is, bit for bit, the one that it would have been without.
    """

    phase = Phase.LOG
    needs_host = ()  # what it does is over before a step is captured

    _watch: "_Watch | None" = attrs.field(default=None, init=False, repr=False)
    _printed: bool = attrs.field(default=False, init=False, repr=False)

    def on_fit_start(self, trainer: "Trainer") -> None:
        """Print it once more."""
        self._printed = False

    def on_batch_start(self, trainer: "Trainer", batch: Any) -> Any:
        """Watch the layers in the first step."""
        if not self._printed:
            self._stop()
            self._watch = _Watch(trainer.model)
        return batch

    def on_batch_end(self, trainer: "Trainer", outputs: "StepOutputs") -> None:
        """Print what was seen."""
        if self._watch is not None:
            table = str(self._watch.summary())
            self._stop()
            self._printed = True
            from tqdm import tqdm  # here, since most programs that import minitorch draw no bar

            tqdm.write(table, file=sys.stdout)  # above a progress bar, if there is one

    def on_exception(self, trainer: "Trainer", error: BaseException) -> None:
        """Leave the layers alone."""
        self._stop()

    def on_fit_end(self, trainer: "Trainer", result: "FitResult") -> None:
        """Leave the layers alone."""
        self._stop()

    def _stop(self) -> None:
        if self._watch is not None:
            self._watch.stop()
            self._watch = None


class _Watch:
    """Notes shape and bytes of what the first call of each layer returns, until `stop`."""

    def __init__(self, model: Layer) -> None:
        self.model = model
        self.seen: dict[Layer, tuple[tuple[Any, ...], int]] = {}
        self.stop = LayerWatch(model, self._note).stop

    def _note(self, path: str, layer: Layer, inputs: tuple[Any, ...], y: Any) -> None:
        if layer not in self.seen:
            items = [item.data if isinstance(item, Variable) else item for item in _as_list(y)]
            arrays = [item for item in items if is_array(item)]
            shapes = tuple(array.shape for array in arrays)
            self.seen[layer] = shapes[0] if len(shapes) == 1 else shapes, sum(array.nbytes for array in arrays)

    def summary(self) -> Summary:
        """What was seen."""
        layers = {"": self.model, **dict(self.model.layers_inside())}
        own: dict[str, list[Parameter]] = {path: [] for path in layers}
        for path, param in self.model.named_params():
            own[_holder(path, layers)].append(param)
        rows = []
        for path, layer in layers.items():
            output, nbytes = self.seen.get(layer, (None, 0))
            inner = any(True for _ in layer.layers_inside())
            sized = [param.data for param in own[path] if param.data is not None]
            rows.append(
                LayerSummary(
                    path,
                    type(layer).__name__,
                    output,
                    sum(data.size for data in sized),
                    sum(data.nbytes for data in sized),
                    0 if inner else nbytes,
                )
            )
        trained = [p.data.size for p in self.model.params() if p.requires_grad and p.data is not None]
        return Summary(tuple(rows), sum(trained))


def _as_list(y: Any) -> list[Any]:
    return list(y) if isinstance(y, tuple | list) else [y]


def _holder(path: str, layers: Mapping[str, Layer]) -> str:
    """The path of the innermost layer that holds the Parameter at `path`."""
    while path not in layers:
        path = path.rpartition(".")[0]
    return path


def _cells(layer: LayerSummary) -> tuple[str, ...]:
    output = "not called" if layer.output is None else str(layer.output)
    numbers = (f"{layer.parameters:,}", _bytes(layer.memory)) if layer.parameters else ("", "")
    return layer.path or "(model)", layer.kind, output, *numbers


def _bytes(n: int) -> str:
    power = min(max(n.bit_length() - 1, 0) // 10, 3)
    return f"{n / 1024**power:.1f} {('', 'KiB', 'MiB', 'GiB')[power]}" if power else f"{n} B"
