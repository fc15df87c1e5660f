"""`SampleImages`: images with what the model takes them for."""

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any, Literal

import attrs
import numpy as np

from minitorch.cuda import as_numpy
from minitorch.errors import ShapeError
from minitorch.trainer import batches
from minitorch.trainer.callbacks.picture import BLUE, INK, ORANGE, Picture, class_names, classified, new_figure, when
from minitorch.trainer.settings import at_least, one_of

if TYPE_CHECKING:
    from minitorch.trainer.trainer import Trainer

Array = Any


@attrs.define(eq=False)
class SampleImages(Picture):
    """Draws to `samples.png` some images, each with its true class and the one that the model takes it for.

        Trainer(model, optimizer, loss=loss, callbacks=[SampleImages("runs/mnist", test_loader)])

    The model is run over all of `loader` each time. The worst images are those where the output of another class is
    above that of the true one by most.

    Args:
        folder: the folder of the run; made where it is missing.
        loader: gives the samples, in batches (x, t): x of (n, H, W), (n, 1, H, W), (n, 3, H, W), or flat.
        pick: "worst", or "first" for those that come first.
        rows: of images in the picture.
        columns: of images in the picture.
        classes: their names; None: their numbers.
        shape: of an image that comes flat, (H, W), (1, H, W) or (3, H, W); None: a square in grey.
        every: when to draw besides at the end of the run; None: only then.
        overwrite: whether a new run may replace the picture of an earlier one.

    Raises:
        MissingExtraError: matplotlib is not installed.
        ConfigError: a setting is not allowed.
        DataError: the batches are no pairs (x, t), or t is no integers of shape (n,).
        ShapeError: the output is not (n, K), or x has no shape of images.
    """

    patterns = ("samples.png",)

    loader: Iterable[Any] = attrs.field(repr=False)
    pick: Literal["worst", "first"] = attrs.field(default="worst", validator=one_of("worst", "first"))
    rows: int = attrs.field(default=4, validator=at_least(1, int))
    columns: int = attrs.field(default=8, validator=at_least(1, int))
    classes: Sequence[str] | None = None
    shape: tuple[int, ...] | None = None

    def _draw(self, trainer: "Trainer") -> Any:
        scores, t = classified(trainer, self.loader, "SampleImages")
        y, names = scores.argmax(axis=1), class_names(self.classes, scores.shape[1])
        order = np.argsort(-_margins(scores, t), kind="stable") if self.pick == "worst" else np.arange(len(t))
        chosen = order[: self.rows * self.columns]
        images = as_images(_taken(self.loader, chosen), self.shape)
        low, high = float(images.min()), float(images.max())
        figure = new_figure(1.1 * self.columns + 0.3, 1.3 * self.rows + 0.5)
        which = "the worst first" if self.pick == "worst" else "as they come"
        title = f"{when(trainer)}: {(y == t).sum():,} of {len(t):,} right; {which}"
        figure.suptitle(title, x=0.008, ha="left", fontsize=11, color=INK)
        grid = figure.subplots(self.rows, self.columns, squeeze=False).ravel()
        for axes in grid:
            axes.set_axis_off()
        for axes, image, i in zip(grid, images, chosen, strict=False):
            axes.imshow((image - low) / max(high - low, 1e-12), cmap="gray", vmin=0, vmax=1)
            wrong = y[i] != t[i]
            caption = f"{names[t[i]]}\ntaken for {names[y[i]]}" if wrong else names[t[i]]
            axes.set_title(caption, fontsize=8, color=ORANGE if wrong else BLUE, pad=3)
        return figure


def _margins(scores: Array, t: Array) -> Array:
    """By how much the best other class is above the true one: positive where the model is wrong."""
    rows = np.arange(len(t))
    others = scores.copy()
    others[rows, t] = -np.inf
    return others.max(axis=1) - scores[rows, t]


def _taken(loader: Iterable[Any], chosen: Array) -> Array:
    """The samples of these numbers, in this order, without the others in memory."""
    found: dict[int, Array] = {}
    start, wanted = 0, set(chosen.tolist())
    for batch in batches.all_of(loader):
        x = as_numpy(batch[0])
        found.update({i: x[i - start] for i in wanted.intersection(range(start, start + len(x)))})
        start += len(x)
    return np.stack([found[i] for i in chosen.tolist()])


def as_images(x: Array, shape: tuple[int, ...] | None = None) -> Array:
    """Samples as images to show: (n, H, W) in grey or (n, H, W, 3).

    Raises:
        ShapeError: `x` has no shape of images.
    """
    if shape is None and x.ndim == 2 and round(x.shape[1] ** 0.5) ** 2 == x.shape[1]:
        shape = (round(x.shape[1] ** 0.5),) * 2
    if shape is not None and int(np.prod(shape)) == int(np.prod(x.shape[1:])):
        x = x.reshape(len(x), *shape)
    if x.ndim == 4 and x.shape[1] == 3:
        return x.transpose(0, 2, 3, 1)
    if x.ndim == 4 and x.shape[1] == 1:
        return x[:, 0]
    if x.ndim != 3:
        raise ShapeError(
            f"SampleImages: samples of shape {x.shape[1:]} with shape={shape} are no images; give shape=(H, W), "
            "(1, H, W) or (3, H, W)"
        )
    return x
