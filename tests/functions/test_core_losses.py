"""The losses and metrics of the first example: mean squared error, softmax cross entropy, accuracy."""

import numpy as np
import pytest

import fake_cupy
import minitorch.functions as F
from minitorch import Variable
from minitorch.errors import DataError, DTypeError, ShapeError

X = np.random.default_rng(0).standard_normal((4, 3)).astype(np.float32)
T = np.array([0, 2, 1, 2])


@pytest.mark.parametrize("dtype", [np.int64, np.int32, np.uint8])
@pytest.mark.parametrize("as_variable", [False, True])
def test_softmax_cross_entropy(dtype, as_variable, device):
    """The mean of -log softmax at the labels, whatever integers they are; the gradient is (softmax - one-hot) / N."""
    x, t = Variable(device.put(X)), device.put(T.astype(dtype))
    loss = F.softmax_cross_entropy(x, Variable(t) if as_variable else t)
    loss.backward()
    p = np.exp(X) / np.exp(X).sum(axis=1, keepdims=True)
    np.testing.assert_allclose(device.get(loss.data), -np.log(p[np.arange(4), T]).mean(), rtol=1e-6)
    np.testing.assert_allclose(device.get(x.grad.data), (p - np.eye(3)[T]) / 4, rtol=1e-5, atol=1e-7)
    assert (loss.shape, loss.dtype, x.grad.dtype) == ((), np.float32, np.float32)


def test_accuracy(device):
    """The share of rows whose largest score is at the label, as a float32 without gradient."""
    x = Variable(device.put(np.eye(3, dtype=np.float32)[[0, 2, 0, 2]]))
    value = F.accuracy(x, device.put(T))
    assert (float(value), value.dtype, value.requires_grad) == (0.75, np.float32, False)


def test_nothing_waits_for_the_device():
    """On a device, loss, gradient and accuracy are computed without a transfer or a wait."""
    with fake_cupy.installed() as cupy:
        x, t = Variable(cupy.asarray(X)), cupy.asarray(T)
        with fake_cupy.no_transfers():
            F.softmax_cross_entropy(x, t).backward()
            F.mean_squared_error(x, x.data * 2).backward()
            F.accuracy(x, t)


@pytest.mark.parametrize("f", [F.softmax_cross_entropy, F.accuracy], ids=lambda f: f.__name__)
@pytest.mark.parametrize(
    ("x", "t", "error", "message"),
    [
        (X, np.eye(3, dtype=int)[T], ShapeError, r"got float32\(4, 3\) and labels int64\(4, 3\); wanted scores "
         r"\(N, C\) and one class number for each row, \(N,\); for one-hot rows use t.argmax\(axis=1\)$"),
        (X, T[:, None], ShapeError, r"got float32\(4, 3\) and labels int64\(4, 1\); .*; for a column use t\[:, 0\]$"),
        (X, T[:3], ShapeError, r"got float32\(4, 3\) and labels int64\(3,\); wanted .* row, \(N,\)$"),
        (X[0], T[:1], ShapeError, r"got float32\(3,\) and labels int64\(1,\); wanted"),
        (X, T.astype(float), DTypeError, r"labels have dtype float64; class numbers are integers: use t.astype"),
        (X, np.array([0, 3, 1, 2]), DataError, r"label 3 is out of range for 3 classes; class numbers go from 0 to 2$"),
        (X, np.array([0, -1, 1, 2]), DataError, r"label -1 is out of range for 3 classes"),
        (X[:0], T[:0], DataError, r"the batch is empty; a mean over no samples is not defined$"),
    ],
)  # fmt: skip
def test_wrong_labels(f, x, t, error, message):
    """Each mistake with labels is named with what was given and what is wanted."""
    with pytest.raises(error, match=rf"^{f.__name__}: {message}"):
        f(Variable(x), t)


@pytest.mark.parametrize("shape", [(4, 3), (4,), (4, 1), ()], ids=str)
def test_mean_squared_error(shape, device):
    """DeZero's definition: the sum of squares over the length of the first axis."""
    rng = np.random.default_rng(0)
    a, b = np.asarray(rng.standard_normal(shape)), np.asarray(rng.standard_normal(shape))
    x0, x1 = Variable(device.put(a)), Variable(device.put(b))
    loss = F.mean_squared_error(x0, x1)
    loss.backward()
    n = len(a) if shape else 1
    np.testing.assert_allclose(device.get(loss.data), ((a - b) ** 2).sum() / n)
    np.testing.assert_allclose(device.get(x0.grad.data), 2 * (a - b) / n)
    np.testing.assert_allclose(device.get(x1.grad.data), 2 * (b - a) / n)


def test_mean_squared_error_that_would_broadcast():
    """(N, 1) and (N,) would make (N, N) of both: the usual silent mistake is an error."""
    with pytest.raises(
        ShapeError,
        match=r"^mean_squared_error: shapes \(4, 1\) and \(4,\) would broadcast to \(4, 4\); reshape one to ",
    ):
        F.mean_squared_error(np.ones((4, 1)), np.ones(4))
    assert float(F.mean_squared_error(Variable(np.ones((4, 2))), np.zeros(2))) == 2.0


@pytest.mark.parametrize("name", ["mean_squared_error", "mean_absolute_error", "huber"])
def test_shapes_that_differ(name):
    """The error is that of the loss, and names both shapes."""
    with pytest.raises(
        ShapeError, match=rf"^{name}: shapes \(4, 3\) and \(4, 2\) differ; reshape one to the shape of "
    ):
        getattr(F, name)(np.ones((4, 3)), np.ones((4, 2)))


def test_targets_of_integers_and_numbers_keep_float32(device):
    """Integers and numbers beside float32 predictions give a float32 loss, in either order."""
    x = Variable(device.put(np.ones(3, np.float32)))
    for t in (device.put(np.array([1, 2, 3])), device.put(np.array([True, False, True])), 2, 2.0, np.float64(2)):
        assert [F.mean_squared_error(x, t).dtype, F.mean_squared_error(t, x).dtype] == [np.float32, np.float32]
    assert float(F.mean_squared_error(x, device.put(np.array([1, 2, 3])))) == pytest.approx(5 / 3)
