"""PlotCurves, ConfusionMatrix and SampleImages: what is in the figures, and when they are drawn."""

import importlib.util
import itertools
import os
import subprocess
import sys
from types import SimpleNamespace

import numpy as np
import pytest
import small_runs

import minitorch.functions as F
from minitorch import Every
from minitorch.errors import ConfigError, DataError, MissingExtraError, ShapeError
from minitorch.trainer.callbacks import ConfusionMatrix, PlotCurves, SampleImages
from minitorch.trainer.callbacks.confusion_matrix import confusion
from minitorch.trainer.callbacks.sample_images import as_images

needs_matplotlib = pytest.mark.skipif(
    importlib.util.find_spec("matplotlib") is None, reason="matplotlib is not installed"
)


class Answers(small_runs.Trainer):
    """Knows the answers: the scores of a sample are its own numbers."""

    def training_step(self, batch):
        x, t = batch
        return F.softmax_cross_entropy(self.model(x), t)

    def predict_step(self, batch):
        return batch[0][:, :3]


def samples(taken_for, t):
    """Batches of two samples each, of nine numbers, that are taken for these classes, for some with more certainty."""
    x = np.zeros((len(t), 9), np.float32)
    x[np.arange(len(t)), taken_for] = np.arange(1, len(t) + 1)
    return [(x[i : i + 2], np.array(t[i : i + 2])) for i in range(0, len(t), 2)]


def texts(axes):
    """All texts in axes that say something."""
    return [text.get_text() for text in axes.texts]


def figures(monkeypatch, *callbacks, epochs=1, cls=Answers, validation=None):
    """The figures that a run with these callbacks saves, in order."""
    from matplotlib.figure import Figure

    saved, savefig = [], Figure.savefig

    def note(figure, *args, **kwargs):
        saved.append(figure)
        savefig(figure, *args, **kwargs)

    monkeypatch.setattr(Figure, "savefig", note)
    small_runs.trainer(*callbacks, cls=cls).fit(small_runs.batches(), validation, epochs=epochs)
    return saved


# When, and where to ---------------------------------------------------------------------------------------------------


@needs_matplotlib
@pytest.mark.parametrize(
    ("every", "drawn"), [(None, 1), (Every(epochs=1), 4), (Every(steps=6), 3), (Every(seconds=1e6), 1)]
)
def test_a_picture_is_drawn_when_asked_and_at_the_end(tmp_path, monkeypatch, every, drawn):
    """Of three epochs of four steps: so many pictures, the last after the end."""
    assert len(figures(monkeypatch, PlotCurves(tmp_path, every=every), epochs=3)) == drawn


@needs_matplotlib
def test_seconds_count_from_the_last_picture(tmp_path, monkeypatch):
    """Of twelve steps of a second each, every five seconds and at the end."""
    clock = SimpleNamespace(perf_counter=itertools.count().__next__)
    monkeypatch.setattr("minitorch.trainer.loop.time", clock)
    assert len(figures(monkeypatch, PlotCurves(tmp_path, every=Every(seconds=5)), epochs=3)) == 3


@needs_matplotlib
def test_the_file_is_a_picture(tmp_path, monkeypatch):
    """A PNG file lies in the folder, and no half-written one beside it."""
    loader = samples([0, 1, 2, 0], [0, 1, 2, 1])
    given = [PlotCurves(tmp_path), ConfusionMatrix(tmp_path, loader), SampleImages(tmp_path, loader)]
    figures(monkeypatch, *given)
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        ".lock",
        "confusion.png",
        "curves.png",
        "run.json",
        "samples.png",
    ]
    for callback in given:
        assert callback.path.read_bytes().startswith(b"\x89PNG\r\n")


@needs_matplotlib
def test_pyplot_is_left_alone(tmp_path):
    """Neither pyplot nor a window system is touched, so that a program's own figures are not disturbed."""
    program = f"""
import sys
import small_runs
from minitorch.trainer.callbacks import ConfusionMatrix, PlotCurves, SampleImages
small_runs.trainer(PlotCurves({str(tmp_path)!r})).fit(small_runs.batches(), epochs=1)
assert "matplotlib.pyplot" not in sys.modules
"""
    environment = {"PYTHONPATH": os.pathsep.join(sys.path), "HOME": str(tmp_path)}
    subprocess.run([sys.executable, "-c", program], check=True, env=environment)


@pytest.mark.parametrize("cls", [PlotCurves, ConfusionMatrix, SampleImages])
def test_without_matplotlib_the_extra_is_named(monkeypatch, cls):
    """The error comes when the callback is made, not after hours of training."""
    for name in ("matplotlib", "matplotlib.figure"):
        monkeypatch.setitem(sys.modules, name, None)
    given = [] if cls is PlotCurves else [[]]
    message = rf"^{cls.__name__} cannot import matplotlib\.figure \(.*\): pip install minitorch\[plots\]$"
    with pytest.raises(MissingExtraError, match=message):
        cls("runs", *given)


@needs_matplotlib
def test_a_bare_number_is_no_trigger():
    """`every=1` is refused with the remedy, as everywhere."""
    with pytest.raises(ConfigError, match=r"^PlotCurves: every is 1; a bare number says no unit: use Every\(steps"):
        PlotCurves("runs", every=1)


# Curves ---------------------------------------------------------------------------------------------------------------


@needs_matplotlib
def test_curves_have_the_history(tmp_path, monkeypatch):
    """A panel for each metric, with the points of the history; training and validation share one."""
    add = small_runs.at("on_epoch_end", lambda trainer, metrics: metrics.update(lr=0.5 / trainer.state.epoch))
    validation = {"a": small_runs.batches(1), "b": small_runs.batches(2)}
    (figure,) = figures(monkeypatch, add, PlotCurves(tmp_path), epochs=2, validation=validation)
    panels = {axes.get_title(loc="left"): axes for axes in figure.axes if axes.axison}
    assert list(panels) == ["loss", "lr"]
    labels = [line.get_label() for line in panels["loss"].lines]
    assert labels == ["training", "validation, a", "validation, b"]
    assert [line.get_label() for line in panels["lr"].lines] == ["training"]
    (line,) = panels["lr"].lines
    assert (list(line.get_xdata()), list(line.get_ydata())) == ([1, 2], [0.5, 0.25])
    assert len({line.get_color() for line in panels["loss"].lines}) == 3


@needs_matplotlib
def test_a_metric_of_some_epochs_has_points_there(tmp_path, monkeypatch):
    """Where a metric is missing in an epoch, its curve has no point."""

    def sometimes(trainer, metrics):
        if trainer.state.epoch == 2:
            metrics["val_rare"] = 7.0

    (figure,) = figures(monkeypatch, small_runs.at("on_epoch_end", sometimes), PlotCurves(tmp_path), epochs=3)
    (line,) = figure.axes[1].lines
    assert (line.get_label(), list(line.get_xdata()), list(line.get_ydata())) == ("validation", [2], [7.0])


@needs_matplotlib
def test_without_an_epoch_there_is_no_picture(tmp_path):
    """A run that ends before its first epoch draws nothing."""
    small_runs.trainer(PlotCurves(tmp_path)).fit(small_runs.batches(), steps=2)
    assert list(tmp_path.glob("*.png")) == []


@needs_matplotlib
def test_a_picture_within_an_epoch_says_the_step(tmp_path, monkeypatch):
    """A run that ends in the middle of its first epoch has seen no whole one, so the title counts updates."""
    stop = small_runs.at("on_batch_end", lambda trainer, outputs: trainer.request_stop("enough"))
    (figure,) = figures(monkeypatch, SampleImages(tmp_path, samples([0, 1], [0, 2])), stop)
    assert figure.get_suptitle() == "step 1: 1 of 2 right; the worst first"


# Classes --------------------------------------------------------------------------------------------------------------


@needs_matplotlib
def test_the_confusion_matrix_counts(tmp_path, monkeypatch):
    """The numbers in the cells are counts, the title says how many are right, and classes have their names."""
    loader = samples([0, 1, 2, 0, 0, 1], [0, 1, 2, 1, 1, 1])
    (figure,) = figures(monkeypatch, ConfusionMatrix(tmp_path, loader, classes=["ant", "bee", "cow"]))
    axes = figure.axes[0]
    cells = {tuple(map(int, text.get_position()[::-1])): text.get_text() for text in axes.texts}
    assert cells == {(0, 0): "1", (1, 0): "2", (1, 1): "2", (2, 2): "1"}
    assert axes.get_title(loc="left") == "epoch 1: 4 of 6 right (66.7%)"
    assert [label.get_text() for label in axes.get_xticklabels()] == ["ant", "bee", "cow"]
    rates = [label.get_text() for label in axes.child_axes[0].get_yticklabels()]
    assert rates == ["100%", "50%", "100%"]


@needs_matplotlib
def test_many_classes_have_no_numbers(tmp_path):
    """With more classes than numbers can be read for, colours are left."""
    from minitorch.trainer.callbacks.confusion_matrix import _draw_counts

    figure = _draw_counts(np.ones((31, 31), np.int64), [str(i) for i in range(31)], "")
    assert not texts(figure.axes[0])


def test_confusion_is_by_true_class_then_answer():
    """Row i, column j: how often i was taken for j."""
    counts = confusion(np.array([1, 1, 0]), np.array([0, 0, 1], np.uint8), 3)
    assert counts.tolist() == [[0, 2, 0], [1, 0, 0], [0, 0, 0]]
    assert confusion(np.array([5]), np.array([100], np.uint8), 101)[100, 5] == 1  # beyond what the type of t holds


def test_a_class_without_an_output_is_an_error():
    """Labels that the model cannot give are reported with both ranges."""
    with pytest.raises(DataError, match=r"classes in t go from 0 to 3, but the model has outputs for 0 to 2; give the"):
        confusion(np.array([0, 1]), np.array([0, 3]), 3)


@needs_matplotlib
@pytest.mark.parametrize(
    ("loader", "message"),
    [
        ([np.zeros((2, 9), np.float32)], r"got a batch with ndarray; it takes \(x, t\) with t the classes"),
        ([(np.zeros((2, 9), np.float32), np.zeros((2, 3)))], r"got a batch with t of shape \(2, 3\) and dtype float64"),
    ],
)
@pytest.mark.parametrize("cls", [ConfusionMatrix, SampleImages])
def test_batches_without_classes_are_an_error(tmp_path, cls, loader, message):
    """What cannot be compared with classes is named."""
    with pytest.raises(DataError, match=f"^{cls.__name__}: {message}"):
        small_runs.trainer(cls(tmp_path, loader), cls=Answers).fit(small_runs.batches(), epochs=1)


@needs_matplotlib
def test_outputs_that_are_no_scores_are_an_error(tmp_path):
    """A model whose output is not (n, K) is told so."""

    class Flat(Answers):
        def predict_step(self, batch):
            return batch[0][:, 0]

    loader = samples([0, 1], [0, 1])
    with pytest.raises(
        ShapeError, match=r"^ConfusionMatrix: predict_step gives \(2,\); scores of K classes have shape"
    ):
        small_runs.trainer(ConfusionMatrix(tmp_path, loader), cls=Flat).fit(small_runs.batches(), epochs=1)


# Images ---------------------------------------------------------------------------------------------------------------


@needs_matplotlib
def test_the_worst_images_come_first(tmp_path, monkeypatch):
    """Mistakes by margin, then what was right by the least; captions say what it is and what it was taken for."""
    loader = samples([0, 1, 2, 0, 0], [0, 2, 2, 1, 0])
    (figure,) = figures(monkeypatch, SampleImages(tmp_path, loader, rows=2, columns=2, classes=["ant", "bee", "cow"]))
    captions = [axes.get_title() for axes in figure.axes]
    assert captions == ["bee\ntaken for ant", "cow\ntaken for bee", "ant", "cow"]
    assert figure.get_suptitle() == "epoch 1: 3 of 5 right; the worst first"
    shown = [np.asarray(axes.images[0].get_array()) for axes in figure.axes]
    assert [image.shape for image in shown] == [(3, 3)] * 4
    assert shown[0].max() == 1.0
    assert shown[0][0, 0] == 1.0


@needs_matplotlib
def test_the_first_images_come_as_they_are(tmp_path, monkeypatch):
    """With pick="first" the order is that of the loader; places without an image stay empty."""
    loader = samples([0, 1, 2], [0, 2, 2])
    (figure,) = figures(monkeypatch, SampleImages(tmp_path, loader, pick="first", rows=1, columns=4))
    assert [axes.get_title() for axes in figure.axes] == ["0", "2\ntaken for 1", "2", ""]
    assert len(figure.axes[3].images) == 0


@pytest.mark.parametrize(
    ("shape", "given", "shown"),
    [
        ((2, 9), None, (2, 3, 3)),
        ((2, 12), (3, 2, 2), (2, 2, 2, 3)),
        ((2, 6), (2, 3), (2, 2, 3)),
        ((2, 4, 5), None, (2, 4, 5)),
        ((2, 1, 4, 5), None, (2, 4, 5)),
        ((2, 3, 4, 5), None, (2, 4, 5, 3)),
        ((2, 20), (1, 4, 5), (2, 4, 5)),
    ],
)
def test_samples_become_images(shape, given, shown):
    """Flat, grey and coloured samples have their shape as images, and keep their values in place."""
    x = np.arange(np.prod(shape)).reshape(shape)
    images = as_images(x, given)
    assert images.shape == shown
    assert images[1].min() == x[1].min()
    assert sorted(images[1].ravel()) == sorted(x[1].ravel())


@pytest.mark.parametrize(("shape", "given"), [((2, 5), None), ((2, 6), (2, 2)), ((2, 2, 4, 4), None)])
def test_samples_that_are_no_images_are_an_error(shape, given):
    """The message has the shape, and what to give."""
    with pytest.raises(
        ShapeError, match=r"^SampleImages: samples of shape .* are no images; give shape=\(H, W\), \(1,"
    ):
        as_images(np.zeros(shape), given)


@needs_matplotlib
@pytest.mark.parametrize("setting", [{"rows": 0}, {"columns": 1.5}, {"pick": "best"}])
def test_settings_are_checked(setting):
    """What makes no picture is refused when the callback is made."""
    (name,) = setting
    with pytest.raises(ConfigError, match=f"^SampleImages: {name} is "):
        SampleImages("runs", [], **setting)
