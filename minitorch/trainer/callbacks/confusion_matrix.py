"""`ConfusionMatrix`: which classes the model takes for which."""

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

import attrs
import numpy as np

from minitorch.errors import DataError
from minitorch.trainer.callbacks.extra import extra_module
from minitorch.trainer.callbacks.picture import FAINT, INK, Picture, class_names, classified, new_figure, when

if TYPE_CHECKING:
    from minitorch.trainer.trainer import Trainer

Array = Any
PALE_BLUE = (0.85, 0.91, 0.96, 1.0)
MOST_WITH_NUMBERS = 30  # classes; with more of them numbers would be too small to read


@attrs.define(eq=False)
class ConfusionMatrix(Picture):
    """Draws to `confusion.png` how many samples of each class are taken for which.

        Trainer(model, optimizer, loss=loss, callbacks=[ConfusionMatrix("runs/mnist", test_loader)])

    The model is run over all of `loader` each time. The class that a sample is taken for is the one with the largest
    output.

    Args:
        folder: the folder of the run; made where it is missing.
        loader: gives the samples, in batches (x, t).
        classes: their names; None: their numbers.
        every: when to draw besides at the end of the run; None: only then.
        overwrite: whether a new run may replace the picture of an earlier one.

    Raises:
        MissingExtraError: matplotlib is not installed.
        DataError: the batches are no pairs (x, t), or t is no integers of shape (n,).
        ShapeError: the output is not (n, K).
    """

    patterns = ("confusion.png",)

    loader: Iterable[Any] = attrs.field(repr=False)
    classes: Sequence[str] | None = None

    def _draw(self, trainer: "Trainer") -> Any:
        scores, t = classified(trainer, self.loader, "ConfusionMatrix")
        counts = confusion(scores.argmax(axis=1), t, scores.shape[1])
        right, total = int(counts.trace()), int(counts.sum())
        title = f"{when(trainer)}: {right:,} of {total:,} right ({right / total:.1%})"
        return _draw_counts(counts, class_names(self.classes, len(counts)), title)


def confusion(y: Array, t: Array, classes: int) -> Array:
    """How often class i (row) was taken for class j (column): int64 of (classes, classes).

    Raises:
        DataError: a class in `t` is none of 0 to `classes` - 1.
    """
    if t.min() < 0 or t.max() >= classes:
        raise DataError(
            f"ConfusionMatrix: the classes in t go from {t.min()} to {t.max()}, but the model has outputs for 0 to "
            f"{classes - 1}; give the model as many outputs as there are classes"
        )
    return np.bincount(t.astype(np.int64) * classes + y, minlength=classes * classes).reshape(classes, classes)


def _draw_counts(counts: Array, names: list[str], title: str) -> Any:
    """Mistakes in orange, the most frequent the darkest; what is right in pale blue, so as not to outshine them."""
    n = len(counts)
    side = min(max(0.44 * n, 2.2), 12.0)
    figure = new_figure(side + 1.4, side + 1.2)
    axes = figure.subplots()
    diagonal = np.eye(n, dtype=bool)
    mistakes = np.where(diagonal, 0, counts)
    most = max(int(mistakes.max()), 1)
    colours = extra_module("matplotlib", "ConfusionMatrix", "plots").colormaps["Oranges"](0.6 * mistakes / most)
    colours[mistakes == 0] = 1.0
    colours[diagonal] = PALE_BLUE
    axes.imshow(colours)
    if n <= MOST_WITH_NUMBERS:
        for i, j in zip(*np.nonzero(counts), strict=True):
            axes.text(j, i, f"{counts[i, j]}", ha="center", va="center", fontsize=8, color=INK)
    _label(axes, names, title)
    _add_rates(axes, counts)
    return figure


def _label(axes: Any, names: list[str], title: str) -> None:
    axes.set_title(title, loc="left", fontsize=11, color=INK)
    axes.set_xlabel("taken for", color=INK)
    axes.set_ylabel("true class", color=INK)
    long = max(map(len, names)) > 3
    axes.set_xticks(range(len(names)), names, rotation=45 if long else 0, ha="right" if long else "center")
    axes.set_yticks(range(len(names)), names)
    axes.tick_params(length=0, labelsize=9, colors=INK)
    axes.spines[:].set_color(FAINT)


def _add_rates(axes: Any, counts: Array) -> None:
    """On the right, the share of each class that is recognised."""
    of_class = counts.sum(axis=1)
    rates = [f"{right / total:.0%}" if total else "" for right, total in zip(counts.diagonal(), of_class, strict=True)]
    right_axis = axes.secondary_yaxis("right")
    right_axis.set_yticks(range(len(counts)), rates)
    right_axis.tick_params(length=0, labelsize=9, colors=INK)
    right_axis.spines[:].set_visible(False)
    right_axis.set_ylabel("recognised", color=INK)
