"""`Picture`: what the callbacks that draw share: when they draw, how it looks, and how the file is written."""

import io
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import attrs
import numpy as np

from minitorch.cuda import as_numpy
from minitorch.errors import DataError, ShapeError
from minitorch.serialize.atomic import replacing
from minitorch.trainer import batches
from minitorch.trainer.callback import Phase
from minitorch.trainer.callbacks.extra import extra_module
from minitorch.trainer.callbacks.run_files import RunFiles
from minitorch.trainer.triggers import Every, check_every

if TYPE_CHECKING:
    from minitorch.trainer.state import FitResult
    from minitorch.trainer.trainer import Trainer

Array = Any

# Colours that stay apart for every kind of colour blindness (Okabe and Ito, "Color Universal Design", 2008), and inks
# for what is not data.
BLUE, ORANGE = "#0072B2", "#D55E00"
OTHERS = (ORANGE, "#009E73", "#CC79A7", "#E69F00", "#56B4E9")  # after blue
INK, FAINT = "#333333", "#D9D9D9"


def _check_when(owner: Any, attribute: Any, value: Any) -> None:
    if value is not None:
        check_every(type(owner).__name__, attribute.name, value)


@attrs.define(eq=False)
class Picture(RunFiles, ABC):
    """Draws one PNG file in the folder of the run, when the run ends and, if asked to, on its way.

    The file is replaced whole, so that a viewer never sees half of it.
    """

    phase = Phase.LOG

    every: Every | None = attrs.field(default=None, kw_only=True, validator=_check_when)
    _drawn_at: float = attrs.field(default=0.0, init=False, repr=False)

    def __attrs_post_init__(self) -> None:
        extra_module("matplotlib.figure", type(self).__name__, "plots")  # now, and not after hours of training

    @property
    def path(self) -> Path:
        """The file."""
        return self.folder / self.patterns[0]

    @abstractmethod
    def _draw(self, trainer: "Trainer") -> Any:
        """The figure, or None if there is nothing to show yet."""

    def on_fit_start(self, trainer: "Trainer") -> None:
        """Count the time from here."""
        self._drawn_at = trainer.state.elapsed

    def on_checkpoint(self, trainer: "Trainer") -> None:
        """Draw, if it is time."""
        if self.every is not None and self.every.due(trainer.state, self._drawn_at):
            self._drawn_at = trainer.state.elapsed
            self._save(trainer)

    def on_fit_end(self, trainer: "Trainer", result: "FitResult") -> None:
        """Draw."""
        self._save(trainer)

    def _save(self, trainer: "Trainer") -> None:
        figure = self._draw(trainer)
        if figure is not None:
            content = io.BytesIO()
            figure.savefig(content, format="png", dpi=150, facecolor="white")
            with replacing(self.path, content.tell()) as file:
                file.write(content.getvalue())


def new_figure(width: float, height: float) -> Any:
    """An empty figure of so many inches, outside of pyplot, so that nothing has to be closed."""
    figure = extra_module("matplotlib.figure", "Picture", "plots").Figure(figsize=(width, height), layout="constrained")
    figure.get_layout_engine().set(w_pad=0.1, h_pad=0.08)
    return figure


def when(trainer: "Trainer") -> str:
    """How far the training has come, for a title: epochs, or updates within an epoch."""
    state = trainer.state
    return f"step {state.step:,}" if state.batch or not state.epoch else f"epoch {state.epoch}"


def classified(trainer: "Trainer", loader: Iterable[Any], owner: str) -> tuple[Array, Array]:
    """The scores (N, K) that the model gives the samples of `loader`, and their true classes (N,), on the host.

    Raises:
        DataError: the batches are no pairs (x, t), or t is no integers of shape (n,).
        ShapeError: the output is not (n, K).
    """
    labels: list[Array] = []
    scores = trainer.predict(_noting_labels(loader, labels, owner))
    if not isinstance(scores, np.ndarray) or scores.ndim != 2:
        shape = getattr(scores, "shape", type(scores).__name__)
        raise ShapeError(f"{owner}: predict_step gives {shape}; scores of K classes have shape (n, K)")
    return scores, np.concatenate(labels)


def _noting_labels(loader: Iterable[Any], labels: list[Array], owner: str) -> Iterator[Any]:
    for batch in batches.all_of(loader):
        t = as_numpy(batch[1]) if isinstance(batch, tuple | list) and len(batch) == 2 else None
        if t is None or t.ndim != 1 or t.dtype.kind not in "iu":
            what = type(batch).__name__ if t is None else f"t of shape {t.shape} and dtype {t.dtype}"
            raise DataError(f"{owner}: got a batch with {what}; it takes (x, t) with t the classes, integers of (n,)")
        labels.append(t)
        yield batch


def class_names(classes: Iterable[str] | None, count: int) -> list[str]:
    """The names of `count` classes: those given, or their numbers."""
    return [str(i) for i in range(count)] if classes is None else [str(name) for name in classes]
