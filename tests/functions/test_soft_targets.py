"""Softmax cross entropy and accuracy with soft targets: PyTorch's numbers, one-hot rows, derivatives, errors."""

import numpy as np
import pytest

import fake_cupy
import minitorch.functions as F
from minitorch import Variable
from minitorch.errors import ConfigError, DataError, ShapeError
from minitorch.utils import directional_check

SCORES = np.array([[1.0, -2.0, 0.5], [0.0, 3.0, -1.0], [2.0, 2.0, -2.0], [-1.5, 0.5, 1.0]])
SHARES = np.array([[0.7, 0.2, 0.1], [0.0, 1.0, 0.0], [0.5, 0.25, 0.25], [0.1, 0.0, 0.9]])
WEIGHTS = np.array([1.0, 2.0, 3.0])

# of PyTorch 2.13 in float64: torch.nn.functional.cross_entropy(scores, shares, **kwargs) and its gradient, with the
# same keywords but `weight` for class_weights
GOLDEN = [
    ({}, 0.9241632959296788,
     [[-0.0240627759628, -0.0424852781076, 0.0665480540705], [0.0116531556445, -0.0159401120309, 0.00428695638638],
      [-0.00113433935554, 0.0613656606445, -0.0602313212889], [-0.0128472939922, 0.0897970264456, -0.0769497324535]]),
    ({"label_smoothing": 0.2}, 1.1208299625963456,
     [[-0.00572944262951, -0.0491519447743, 0.0548813874038], [-0.00501351102217, 0.0173932213025, -0.0123797102803],
      [0.00719899397779, 0.0571989939778, -0.0643979879556], [-0.0245139606588, 0.073130359779, -0.0486163991201]]),
    ({"class_weights": WEIGHTS}, 2.0335274101540532,
     [[0.036312113652, -0.0894793893506, 0.0531672756986], [0.023306311289, -0.0318802240617, 0.00857391277276],
      [0.0917649061278, 0.0917649061278, -0.183529812256], [0.00902757682191, 0.251431674048, -0.26045925087]]),
    ({"class_weights": WEIGHTS, "label_smoothing": 0.2}, 2.4398205798284476,
     [[0.0727579138698, -0.101910956057, 0.0291530421871], [0.00663964462232, 0.0347864426049, -0.0414260872272],
      [0.106291522493, 0.0896248558267, -0.19591637832], [-0.00458352280601, 0.203730816483, -0.199147293677]]),
]  # fmt: skip


@pytest.mark.parametrize(("kwargs", "loss", "gradient"), GOLDEN)
def test_golden(kwargs, loss, gradient, device):
    """With weights and smoothing, loss and gradient are PyTorch's."""
    if "class_weights" in kwargs:
        kwargs = kwargs | {"class_weights": device.put(WEIGHTS)}
    x = Variable(device.put(SCORES))
    y = F.softmax_cross_entropy(x, device.put(SHARES), **kwargs)
    y.backward()
    assert float(device.get(y.data)) == pytest.approx(loss, rel=1e-12)
    np.testing.assert_allclose(device.get(x.grad.data), gradient, atol=1e-11)


@pytest.mark.parametrize("smoothing", [0.0, 0.3])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_one_hot_rows_are_class_numbers(smoothing, dtype):
    """Loss and gradient are those of the class numbers."""
    t, grads, losses = np.array([0, 2, 1, 2]), [], []
    for target in (t, np.eye(3, dtype=dtype)[t]):
        x = Variable(SCORES.astype(dtype))
        loss = F.softmax_cross_entropy(x, target, label_smoothing=smoothing)
        loss.backward()
        assert loss.dtype == dtype
        losses.append(float(loss))
        grads.append(x.grad.data)
    assert losses[0] == pytest.approx(losses[1], rel=1e-6)
    np.testing.assert_allclose(grads[0], grads[1], rtol=1e-5, atol=1e-7)
    assert float(F.accuracy(SCORES, np.eye(3)[t])) == float(F.accuracy(SCORES, t))


def test_derivatives():
    """First and second derivatives are those that differences give, for the scores; the targets are constants."""
    directional_check(lambda x: F.softmax_cross_entropy(x, SHARES, label_smoothing=0.1), [SCORES])
    t = Variable(SHARES)
    F.softmax_cross_entropy(Variable(SCORES), t).backward()
    assert t.grad is None


def test_a_class_that_cannot_be():
    """A score of -inf, of a class whose share is 0, leaves loss and gradient finite."""
    x = Variable(np.array([[0.0, -np.inf, 1.0]]))
    loss = F.softmax_cross_entropy(x, np.array([[0.5, 0.0, 0.5]]))
    loss.backward()
    assert np.isfinite(float(loss))
    assert np.isfinite(x.grad.data).all()


def test_accuracy_goes_by_the_largest_share():
    """What counts as right is the class with the largest share."""
    assert float(F.accuracy(SCORES, SHARES)) == 1.0
    assert float(F.accuracy(SCORES, SHARES[:, ::-1].copy())) == 0.25


def test_on_a_device_nobody_waits():
    """Loss, gradient and accuracy are computed without a transfer."""
    with fake_cupy.installed() as cupy:
        x, t = Variable(cupy.array(SCORES)), cupy.array(SHARES)
        with fake_cupy.no_transfers():
            F.softmax_cross_entropy(x, t, label_smoothing=0.1).backward()
            F.accuracy(x, t)


@pytest.mark.parametrize("f", [F.softmax_cross_entropy, F.accuracy], ids=lambda f: f.__name__)
@pytest.mark.parametrize(
    ("t", "error", "message"),
    [
        (SHARES[:, :2], ShapeError, r"got float64\(4, 3\) and soft targets float64\(4, 2\); wanted scores and shares"),
        (SHARES * 2, DataError, r"the soft targets \[1\.4 0\.4 0\.2\] are no shares; those of a row are at least 0"),
        (SHARES - [[0.3, 0, -0.3]], DataError, r"the soft targets \[-0\.3 +1\. +0\.3\] are no shares"),
        (SHARES * np.nan, DataError, r"the soft targets \[nan nan nan\] are no shares"),
    ],
)  # fmt: skip
def test_wrong_targets(f, t, error, message):
    """Each mistake is named, with what was given and what is wanted."""
    with pytest.raises(error, match=rf"^{f.__name__}: {message}"):
        f(SCORES, t)


def test_settings_that_do_not_go_with_soft_targets():
    """There is no class number to ignore."""
    with pytest.raises(ConfigError, match=r"ignore_index is -1, but soft targets have no class numbers; leave"):
        F.softmax_cross_entropy(SCORES, SHARES, ignore_index=-1)
    with pytest.raises(ConfigError, match=r"label_smoothing is 2; it must be from 0 to 1"):
        F.softmax_cross_entropy(SCORES, SHARES, label_smoothing=2)
    with pytest.raises(ShapeError, match=r"class_weights \(2,\) for 3 classes; give one weight for each class"):
        F.softmax_cross_entropy(SCORES, SHARES, class_weights=np.ones(2))
    with pytest.raises(DataError, match="the batch is empty"):
        F.softmax_cross_entropy(SCORES[:0], SHARES[:0])
