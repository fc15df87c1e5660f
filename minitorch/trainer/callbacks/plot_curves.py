"""`PlotCurves`: the metrics of all epochs as curves."""

import itertools
from typing import TYPE_CHECKING, Any

import attrs

from minitorch.trainer.callbacks.picture import BLUE, FAINT, INK, OTHERS, Picture, new_figure

if TYPE_CHECKING:
    from minitorch.trainer.trainer import Trainer

Curve = tuple[list[int], list[float]]  # epochs, values


@attrs.define(eq=False)
class PlotCurves(Picture):
    """Draws the metrics of all epochs to `curves.png`: a panel for each, training and validation in one.

        Trainer(model, optimizer, loss=loss, callbacks=[PlotCurves("runs/mnist", every=Every(epochs=10))])

    A resumed run draws the epochs before it too.

    Args:
        folder: the folder of the run; made where it is missing.
        every: when to draw besides at the end of the run; None: only then.
        overwrite: whether a new run may replace the picture of an earlier one.

    Raises:
        MissingExtraError: matplotlib is not installed.
    """

    patterns = ("curves.png",)

    def _draw(self, trainer: "Trainer") -> Any:
        panels = _panels(trainer.history)
        if not panels:
            return None
        columns = 2 if len(panels) == 4 else min(len(panels), 3)
        rows = -(-len(panels) // columns)
        figure = new_figure(0.6 + 4.2 * columns, 0.4 + 2.8 * rows)
        grid = figure.subplots(rows, columns, squeeze=False).ravel()
        for axes, (name, curves) in zip(grid, panels.items(), strict=False):
            _draw_panel(axes, name, curves, len(trainer.history))
        for axes in grid[len(panels) :]:
            axes.set_axis_off()
        return figure


def _panels(history: list[dict[str, float]]) -> dict[str, dict[str, Curve]]:
    """By panel and curve: the points. `loss` and `val_loss` share a panel."""
    names = list(dict.fromkeys(name for metrics in history for name in metrics))
    trained = [name for name in names if not name.startswith("val_")]
    panels: dict[str, dict[str, Curve]] = {name: {} for name in trained}
    for name in names:
        panel, label = (name, "training") if name in trained else _validation(name.removeprefix("val_"), trained)
        points = [(i, metrics[name]) for i, metrics in enumerate(history, 1) if name in metrics]
        panels.setdefault(panel, {})[label] = ([i for i, _ in points], [value for _, value in points])
    return panels


def _validation(name: str, trained: list[str]) -> tuple[str, str]:
    """The panel and the label of a validation metric, which may have the name of its loader before its own."""
    if name in trained:
        return name, "validation"
    for metric in trained:
        if name.endswith(f"_{metric}"):
            return metric, f"validation, {name.removesuffix(f'_{metric}')}"
    return name, "validation"


def _draw_panel(axes: Any, name: str, curves: dict[str, Curve], last: int) -> None:
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["left", "bottom"]].set_color(INK)
    axes.tick_params(colors=INK, labelsize=9)
    colours = itertools.cycle(OTHERS)
    for label, (epochs, values) in curves.items():
        colour = BLUE if label == "training" else next(colours)
        dots = "o" if len(epochs) <= 20 else None
        axes.plot(epochs, values, color=colour, label=label, linewidth=1.8, marker=dots, markersize=4)
    axes.set_title(name, loc="left", fontsize=11, color=INK)
    axes.set_xlabel("epoch", fontsize=9, color=INK)
    axes.xaxis.get_major_locator().set_params(integer=True, min_n_ticks=1)
    axes.set_xlim(0.5, last + 0.5)
    axes.grid(axis="y", color=FAINT, linewidth=0.6)
    axes.set_axisbelow(True)
    axes.legend(frameon=False, fontsize=9, labelcolor="linecolor")
