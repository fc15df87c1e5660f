"""`PlotCurves`: the metrics of all epochs as curves."""

import itertools
from typing import TYPE_CHECKING, Any

import attrs

from minitorch.trainer.callbacks.picture import BLUE, FAINT, INK, OTHERS, Picture, new_figure
from minitorch.trainer.run_history import Curve, panels

if TYPE_CHECKING:
    from minitorch.trainer.trainer import Trainer


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
        found = panels(trainer.history)
        if not found:
            return None
        columns = 2 if len(found) == 4 else min(len(found), 3)
        rows = -(-len(found) // columns)
        figure = new_figure(0.6 + 4.2 * columns, 0.4 + 2.8 * rows)
        grid = figure.subplots(rows, columns, squeeze=False).ravel()
        for axes, (name, curves) in zip(grid, found.items(), strict=False):
            _draw_panel(axes, name, curves, len(trainer.history))
        for axes in grid[len(found) :]:
            axes.set_axis_off()
        return figure


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
