"""Metrics on every device: values known from elsewhere, batches of any sizes, state, and wrong inputs."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import fake_cupy
from minitorch import Variable
from minitorch.errors import ConfigError, DataError, DTypeError, ShapeError, StateError
from minitorch.metrics import F1, Accuracy, ConfusionMatrix, MeanAbsoluteError, TopK


def scores_of(guessed, classes=3):
    """Scores whose largest are at these classes."""
    return np.eye(classes, dtype=np.float32)[guessed]


# The examples of scikit-learn's documentation, with the values that it gives.
GUESSED, WANTED = np.array([0, 2, 1, 0, 0, 1]), np.array([0, 1, 2, 0, 1, 2])
SCORES = np.array([[0.5, 0.2, 0.2], [0.3, 0.4, 0.2], [0.2, 0.4, 0.3], [0.7, 0.2, 0.1]], np.float32)
GOLDEN = {
    "f1 macro": (F1("macro"), scores_of(GUESSED), WANTED, 4 / 15),
    "f1 micro": (F1("micro"), scores_of(GUESSED), WANTED, 1 / 3),
    "f1 of classes that occur": (F1("macro"), scores_of(GUESSED, 7), WANTED, 4 / 15),
    "f1 binary": (F1("binary"), scores_of([0, 1, 1, 0, 1], 2), np.array([0, 1, 0, 1, 1]), 2 / 3),
    "f1 of logits": (F1("binary"), np.float32([-1, 2, 0.5, -3, 1]), np.array([0, 1, 0, 1, 1]), 2 / 3),
    "f1 of a column": (F1("binary"), np.float32([[-1], [2], [0.5], [-3], [1]]), np.array([0, 1, 0, 1, 1]), 2 / 3),
    "accuracy": (Accuracy(), scores_of(GUESSED), WANTED, 1 / 3),
    "top 1": (TopK(1), SCORES, np.array([0, 1, 2, 2]), 0.5),
    "top 2": (TopK(2), SCORES, np.array([0, 1, 2, 2]), 0.75),
    "top 3": (TopK(3), SCORES, np.array([0, 1, 2, 2]), 1.0),
    "mae": (MeanAbsoluteError(), np.float32([2.5, 0.0, 2, 8]), np.float32([3, -0.5, 2, 7]), 0.5),
    "mae of rows": (
        MeanAbsoluteError(), np.float32([[0, 2], [-1, 2], [8, -5]]), np.float32([[0.5, 1], [-1, 1], [7, -6]]), 0.75,
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", GOLDEN)
def test_known_values(device, case):
    """A metric has the value that scikit-learn documents, or that is computed by hand."""
    metric, y, t, expected = GOLDEN[case]
    y, t = device.xp.asarray(y), device.xp.asarray(t)
    assert float(metric(y, t)) == pytest.approx(expected, rel=1e-12)
    assert float(metric(Variable(y), t)) == pytest.approx(expected, rel=1e-12)


def test_the_confusion_matrix(device):
    """Rows are the classes of the samples, columns the guesses; the example is scikit-learn's."""
    y, t = device.xp.asarray(scores_of([0, 0, 2, 2, 0, 2])), device.xp.asarray(np.array([2, 0, 2, 2, 0, 1]))
    matrix = ConfusionMatrix()
    matrix.update(y, t)
    assert matrix.compute().tolist() == [[2, 0, 0], [0, 0, 1], [1, 0, 2]]
    assert matrix.compute().dtype == np.int64


@pytest.mark.parametrize("case", GOLDEN)
@pytest.mark.parametrize("sizes", [[1, 3], [3, 1], [1, 1, 1, 1]])
def test_the_value_does_not_depend_on_the_batches(device, case, sizes):
    """Updated by parts of any sizes, it is that of the whole; `reset` begins anew."""
    metric, y, t, _ = GOLDEN[case]
    y, t = y[:4], t[:4]
    expected = float(metric(y, t))
    ends = np.cumsum(sizes)[:-1]
    for _ in range(2):
        metric.reset()
        for part in zip(np.split(y, ends), np.split(t, ends), strict=True):
            metric.update(*map(device.xp.asarray, part))
        assert metric.compute() == pytest.approx(expected, rel=1e-12)
    metric.reset()


def test_equal_scores_are_ranked_in_their_order():
    """A model that gives all classes one score has found the first k, not all and not none."""
    y = np.zeros((5, 5), np.float32)
    t = np.arange(5)
    assert [float(TopK(k)(y, t)) for k in (1, 2, 5)] == [0.2, 0.4, 1.0]


def test_scores_that_are_no_numbers_find_nothing():
    """NaN is not among the best."""
    y = np.full((2, 3), math.nan, np.float32)
    assert float(TopK(2)(y, np.array([0, 1]))) == 0.0


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3)), min_size=1, max_size=30))
def test_averages_agree_with_the_confusion_matrix(pairs):
    """F1 and accuracy are what follows from the counts."""
    guessed, wanted = np.array(pairs).T
    y = scores_of(guessed, 4)
    counts = ConfusionMatrix()(y, wanted).value()
    right, found, there = counts.diagonal(), counts.sum(axis=0), counts.sum(axis=1)
    per_class = [2 * r / (f + n) for r, f, n in zip(right, found, there, strict=True) if f + n]
    assert float(F1("macro")(y, wanted)) == pytest.approx(np.mean(per_class))
    assert float(F1("micro")(y, wanted)) == pytest.approx(float(Accuracy()(y, wanted)))
    assert float(Accuracy()(y, wanted)) == pytest.approx(right.sum() / len(pairs))


def test_the_state_goes_round():
    """Saved between two batches and given to another instance, the value is that of all batches."""
    metric, y, t, expected = GOLDEN["f1 macro"]
    metric.update(y[:2], t[:2])
    other = F1("macro")
    other.load_state_dict(metric.state_dict())
    metric.reset()
    assert metric.state_dict() == {"sums": None}
    other.update(y[2:], t[2:])
    assert other.compute() == pytest.approx(expected)
    with pytest.raises(StateError, match="no_such_key"):
        other.load_state_dict({"no_such_key": 1})


def test_nothing_waits_for_a_device_until_the_value_is_asked_for():
    """Updates read nothing back, and the value is one read."""
    with fake_cupy.installed() as cupy:
        for metric, y, t, _ in GOLDEN.values():
            y, t = cupy.asarray(y), cupy.asarray(t)
            metric.reset()
            with fake_cupy.counting() as traffic:
                metric.update(y, t)
                metric.update(y, t)
            assert (traffic.to_host, traffic.synchronisations) == (0, 0)
            with fake_cupy.counting() as traffic:
                metric.compute()
            assert traffic.to_host == 1
            metric.reset()


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: TopK(0), ConfigError, r"TopK: k is 0; it must be an int of at least 1"),
        (lambda: TopK(True), ConfigError, r"TopK: k is True"),
        (lambda: TopK(4)(SCORES, WANTED[:4]), ConfigError, r"TopK: k is 4, but there are 3 classes; take a smaller k"),
        (lambda: F1("mean"), ConfigError, r"F1: average is 'mean'; it must be one of 'macro', 'micro', 'binary'"),
        (lambda: F1("binary")(SCORES, WANTED[:4]), ShapeError, r'"binary" is for two classes: take "macro" or "micro"'),
        (lambda: Accuracy()(SCORES, WANTED), ShapeError, r"Accuracy: y has shape \(4, 3\), t \(6,\)"),
        (lambda: Accuracy()(SCORES, np.zeros(4)), DTypeError, r"Accuracy: t has dtype float64; class numbers are int"),
        (lambda: Accuracy()([[1.0]], WANTED), DTypeError, r"Accuracy: y is list; give an array or a Variable"),
        (lambda: Accuracy().compute(), ConfigError, r"Accuracy\.compute: there is no batch yet; call update\(y, t\)"),
        (lambda: ConfusionMatrix()(SCORES, np.array([0, 1, 2, 3])), DataError, r"go from 0 to 2, t from 0 to 3"),
        (lambda: MeanAbsoluteError()(SCORES, WANTED), ShapeError, r"y has shape \(4, 3\), t \(6,\); they must be"),
    ],
)  # fmt: skip
def test_wrong_inputs(call, error, message):
    """Each is told what to do."""
    with pytest.raises(error, match=message):
        call()


@pytest.mark.parametrize("metric", [Accuracy(), TopK(2), F1("macro"), ConfusionMatrix()], ids=repr)
def test_of_soft_targets_the_largest_share_counts(metric, device):
    """Targets that MixUp made are taken for the class that has most of them."""
    rng = np.random.default_rng(0)
    y, t = rng.standard_normal((20, 4)), rng.dirichlet(np.ones(4), 20)
    soft = metric(device.put(y), device.put(t)).value()
    np.testing.assert_array_equal(soft, metric(device.put(y), device.put(t.argmax(axis=1))).value())
