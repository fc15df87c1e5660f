"""ImageDataset.show: the first images side by side, as a figure and as a file; and what loading them takes."""

import sys
import tracemalloc
from pathlib import Path

import numpy as np
import pytest

from minitorch.datasets import MNIST
from minitorch.datasets.images import ImageDataset, side_by_side
from minitorch.errors import ConfigError, MissingExtraError

DIGITS = Path(__file__).parents[2] / "examples" / "data" / "mnist"


class Colours(ImageDataset):
    """Seven RGB images of 4 by 6 pixels."""

    def prepare(self):
        self.data = np.random.default_rng(0).integers(0, 255, (7, 3, 4, 6)).astype(np.uint8)


def test_images_lie_row_by_row_on_white():
    """Image i is in row i // columns; between two images and around all there is a white line."""
    data = Colours().data
    picture = side_by_side(data, 3)
    assert (picture.shape, picture.dtype) == ((3 * 6 + 2, 3 * 8 + 2, 3), np.uint8)
    for i in range(9):
        top, left = 2 + i // 3 * 6, 2 + i % 3 * 8
        expected = data[i].transpose(1, 2, 0) if i < 7 else 255
        np.testing.assert_array_equal(picture[top : top + 4, left : left + 6], np.broadcast_to(expected, (4, 6, 3)))
        assert (picture[top - 2 : top, left : left + 6] == 255).all()


def test_grey_images_are_grey_in_rgb():
    """One channel is shown in all three."""
    picture = side_by_side(np.full((1, 1, 2, 2), 7, np.uint8), 1)
    assert (picture[2:4, 2:4] == 7).all()


def test_show_gives_a_figure_and_a_file(tmp_path):
    """The figure has the picture, pixel for pixel, and the file is an image of it."""
    pytest.importorskip("matplotlib")
    pillow = pytest.importorskip("PIL.Image")
    dataset = Colours()
    figure = dataset.show(rows=2, columns=3, path=tmp_path / "seven.png")
    picture = side_by_side(dataset.data[:6], 3)
    np.testing.assert_array_equal(figure.axes[0].images[0].get_array(), picture)
    with pillow.open(tmp_path / "seven.png") as image:
        drawn = np.asarray(image.convert("RGB"))
    zoom = drawn.shape[0] // picture.shape[0]
    assert drawn.shape == (picture.shape[0] * zoom, picture.shape[1] * zoom, 3)
    np.testing.assert_array_equal(drawn[zoom // 2 :: zoom, zoom // 2 :: zoom], picture)


def test_show_needs_matplotlib(monkeypatch):
    """Without it the error names the extra."""
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(MissingExtraError, match=r"Colours\.show draws with matplotlib: pip install minitorch\[plots\]"):
        Colours().show()


@pytest.mark.parametrize("value", [0, 1.5, True])
def test_rows_and_columns_are_counts(value):
    """Others are refused by name."""
    with pytest.raises(ConfigError, match=rf"Colours\.show: rows is {value}; it is an integer of at least 1"):
        Colours().show(rows=value)
    with pytest.raises(ConfigError, match=rf"Colours\.show: columns is {value}; it is an integer of at least 1"):
        Colours().show(columns=value)


def test_loading_mnist_takes_at_most_the_data_and_the_unpacking():
    """Unpacking joins its blocks to the whole: twice the data and the packed file, and no copy more."""
    tracemalloc.start()
    try:
        dataset = MNIST(root=DIGITS)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 2.5 * dataset.data.nbytes
