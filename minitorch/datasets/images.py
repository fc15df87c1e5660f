"""`ImageDataset`: the base of data sets of small images, which can show them side by side."""

import os
from typing import Any

import numpy as np

from minitorch.datasets.published import PublishedDataset
from minitorch.errors import ConfigError, MissingExtraError

Array = np.ndarray[Any, Any]
Figure = Any  # a figure of matplotlib

_GAP = 2  # pixels between two images
_DPI = 100


class ImageDataset(PublishedDataset):
    """A data set whose `data` is uint8 of shape (N, 1, height, width), grey, or (N, 3, height, width), RGB."""

    def show(self, rows: int = 10, columns: int = 10, path: str | os.PathLike[str] | None = None) -> Figure:
        """A figure of the first `rows * columns` images, row by row, each pixel drawn as a square.

        In a notebook the figure shows itself. No random number is drawn.

        Args:
            rows: images from top to bottom; there are fewer where the data set ends before.
            columns: images from left to right.
            path: a file to save the figure to; its ending chooses the format (.png, .svg, .pdf).

        Raises:
            ConfigError: `rows` or `columns` is no integer of at least 1.
            MissingExtraError: matplotlib is not installed.
        """
        for name, value in (("rows", rows), ("columns", columns)):
            if isinstance(value, bool) or not isinstance(value, int | np.integer) or value < 1:
                raise ConfigError(f"{type(self).__name__}.show: {name} is {value!r}; it is an integer of at least 1")
        try:
            from matplotlib.figure import Figure
        except ImportError as error:
            raise MissingExtraError(
                f"{type(self).__name__}.show draws with matplotlib: pip install minitorch[plots]"
            ) from error
        picture = side_by_side(self.data[: rows * columns], columns)
        height, width = picture.shape[:2]
        zoom = max(1, round(800 / max(height, width)))  # screen pixels for one pixel of an image
        figure = Figure(figsize=(width * zoom / _DPI, height * zoom / _DPI), dpi=_DPI)
        axes = figure.add_axes((0, 0, 1, 1))
        axes.imshow(picture, interpolation="nearest", aspect="auto")
        axes.axis("off")
        if path is not None:
            figure.savefig(path)
        return figure


def side_by_side(images: Array, columns: int) -> Array:
    """One RGB picture, uint8 (height, width, 3), of `images` (N, 1 or 3, h, w) in rows of `columns`, on white."""
    n, _, h, w = images.shape
    rows = -(-n // columns)
    height, width = h + _GAP, w + _GAP
    picture = np.full((rows * height + _GAP, columns * width + _GAP, 3), 255, np.uint8)
    for i, image in enumerate(images):
        top, left = i // columns * height + _GAP, i % columns * width + _GAP
        picture[top : top + h, left : left + w] = image.transpose(1, 2, 0)
    return picture
