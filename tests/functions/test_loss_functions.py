"""Losses beyond the plain ones: variants of softmax cross entropy, yes or no, absolute and Huber."""

import numpy as np
import pytest

import minitorch.functions as F
from minitorch import Variable
from minitorch.errors import ConfigError, DataError, DTypeError, ShapeError
from minitorch.utils import directional_check

SCORES = np.array([[2.0, -1.0, 0.5], [0.0, 3.0, -2.0], [1.0, 1.0, 1.0], [-1.0, 0.5, 2.5]])
LABELS = np.array([0, 2, 1, 2])
WEIGHTS = np.array([1.0, 2.0, 0.5])

# of PyTorch 2.13 in float64: torch.nn.functional.cross_entropy(scores, labels, **kwargs) and its gradient, with the
# same keywords but `weight` for class_weights
SOFTMAX_GOLDEN = [
    ({}, 1.637021757,
     [[-0.053600741, 0.009778143, 0.043822598], [0.011780854, 0.236624781, -0.248405635],
      [0.083333333, -0.166666667, 0.083333333], [0.006477164, 0.029028634, -0.035505797]]),
    ({"class_weights": WEIGHTS}, 1.260654399,
     [[-0.053600741, 0.009778143, 0.043822598], [0.005890427, 0.11831239, -0.124202817],
      [0.166666667, -0.333333333, 0.166666667], [0.003238582, 0.014514317, -0.017752899]]),
    ({"label_smoothing": 0.1}, 1.662021757,
     [[-0.036934075, 0.00144481, 0.035489265], [0.003447521, 0.228291447, -0.231738968],
      [0.075, -0.15, 0.075], [-0.00185617, 0.0206953, -0.018839131]]),
    ({"ignore_index": 1}, 1.81649158,
     [[-0.071467655, 0.013037524, 0.058430131], [0.015707806, 0.315499708, -0.331207513],
      [0.0, 0.0, 0.0], [0.008636218, 0.038704845, -0.047341063]]),
    ({"class_weights": WEIGHTS, "label_smoothing": 0.1, "ignore_index": 1}, 1.635812885,
     [[-0.067321507, -0.013451109, 0.080772616], [-0.003315032, 0.234841418, -0.231526386],
      [0.0, 0.0, 0.0], [-0.009325881, -0.000434215, 0.009760096]]),
]  # fmt: skip


@pytest.mark.parametrize(("kwargs", "loss", "gradient"), SOFTMAX_GOLDEN)
def test_softmax_cross_entropy_golden(kwargs, loss, gradient, device):
    """With weights, smoothing and ignored rows, loss and gradient are PyTorch's."""
    if "class_weights" in kwargs:
        kwargs = kwargs | {"class_weights": device.put(WEIGHTS)}
    x = Variable(device.put(SCORES))
    y = F.softmax_cross_entropy(x, device.put(LABELS), **kwargs)
    y.backward()
    assert device.get(y.data) == pytest.approx(loss, abs=1e-8)
    np.testing.assert_allclose(device.get(x.grad.data), gradient, atol=1e-8)


@pytest.mark.parametrize("smoothing", [0.0, 0.2, 1.0])
@pytest.mark.parametrize("ignored", [None, -100, 3])
@pytest.mark.parametrize("weighted", [False, True])
def test_softmax_cross_entropy_like_torch(smoothing, ignored, weighted):
    """On random scores, in float32, loss and gradient agree with PyTorch's."""
    torch = pytest.importorskip("torch")
    rng = np.random.default_rng(0)
    x, t = rng.normal(0, 3, (50, 7)).astype(np.float32), rng.integers(0, 7, 50)
    weights = rng.uniform(0.1, 2, 7).astype(np.float32) if weighted else None
    if ignored is not None:
        t[::4] = ignored
    ours, theirs = Variable(x), torch.tensor(x, requires_grad=True)
    y = F.softmax_cross_entropy(ours, t, ignored, smoothing, weights)
    y_torch = torch.nn.functional.cross_entropy(
        theirs,
        torch.tensor(t),
        weight=None if weights is None else torch.tensor(weights),
        ignore_index=-100 if ignored is None else ignored,
        label_smoothing=smoothing,
    )
    y.backward()
    y_torch.backward()
    assert y.item() == pytest.approx(y_torch.item(), rel=1e-5)
    np.testing.assert_allclose(ours.grad.data, theirs.grad.numpy(), rtol=1e-5, atol=1e-6)


def test_softmax_cross_entropy_variants_agree_with_the_plain_one():
    """Weights of 1, and an index to ignore that does not occur, change nothing."""
    plain = F.softmax_cross_entropy(SCORES, LABELS).item()
    assert F.softmax_cross_entropy(SCORES, LABELS, class_weights=np.ones(3)).item() == pytest.approx(plain, rel=1e-12)
    assert F.softmax_cross_entropy(SCORES, LABELS, ignore_index=7).item() == pytest.approx(plain, rel=1e-12)


def test_softmax_cross_entropy_without_the_ignored_rows():
    """Rows marked by a number that is no class count no more than if they were left out."""
    labels = np.array([-100, 2, -100, 1])
    for kwargs in ({}, {"label_smoothing": 0.1}, {"class_weights": WEIGHTS}):
        y = F.softmax_cross_entropy(SCORES, labels, ignore_index=-100, **kwargs)
        assert y.item() == pytest.approx(F.softmax_cross_entropy(SCORES[1::2], labels[1::2], **kwargs).item())


def test_softmax_cross_entropy_ignores_what_stands_in_an_ignored_row():
    """Not even infinite or excluded scores of an ignored row reach loss or gradient."""
    x = SCORES.copy()
    x[2] = [-np.inf, 0.0, 1e300]
    at = Variable(x)
    y = F.softmax_cross_entropy(at, LABELS, ignore_index=1)
    y.backward()
    assert y.item() == pytest.approx(SOFTMAX_GOLDEN[3][1])
    np.testing.assert_allclose(at.grad.data, SOFTMAX_GOLDEN[3][2], atol=1e-8)


def test_softmax_cross_entropy_of_an_excluded_class():
    """A score of minus infinity excludes a class: its probability and its gradient are 0."""
    x = Variable(np.array([[0.0, -np.inf, 0.0]]))
    y = F.softmax_cross_entropy(x, np.array([0]), class_weights=np.array([1.0, 1.0, 2.0]))
    y.backward()
    assert y.item() == pytest.approx(np.log(2))
    np.testing.assert_allclose(x.grad.data, [[-0.5, 0.0, 0.5]])


@pytest.mark.parametrize("dtype", [np.int8, np.uint8, np.int32, np.int64])
def test_integer_labels_of_any_kind(dtype):
    """The integer type of labels changes neither the loss nor its dtype."""
    x = SCORES.astype(np.float32)
    for kwargs in ({}, {"ignore_index": 1}, {"label_smoothing": 0.1}, {"class_weights": WEIGHTS}):
        y = F.softmax_cross_entropy(x, LABELS.astype(dtype), **kwargs)
        assert y.dtype == np.float32
        assert y.item() == pytest.approx(F.softmax_cross_entropy(x, LABELS, **kwargs).item(), rel=1e-6)
    for f in (F.sigmoid_cross_entropy, lambda x, t: F.binary_cross_entropy(F.sigmoid(x), t)):
        yes = (LABELS == 2).astype(dtype)
        y = f(x[:, 0], yes)
        assert y.dtype == np.float32
        assert y.item() == pytest.approx(f(x[:, 0], yes.astype(np.float32)).item(), rel=1e-6)


def test_softmax_cross_entropy_errors():
    """Wrong settings are refused by name, and so is a batch without a label."""
    with pytest.raises(ConfigError, match=r"label_smoothing is 1\.5; it must be from 0 to 1"):
        F.softmax_cross_entropy(SCORES, LABELS, label_smoothing=1.5)
    with pytest.raises(ShapeError, match=r"class_weights \(2,\) for 3 classes; give one weight for each class"):
        F.softmax_cross_entropy(SCORES, LABELS, class_weights=np.ones(2))
    with pytest.raises(DataError, match="every label is ignore_index, 2; a mean over no samples is not defined"):
        F.softmax_cross_entropy(SCORES[:1], np.array([2]), ignore_index=2)
    with pytest.raises(DataError, match="label 3 is out of range for 3 classes"):
        F.softmax_cross_entropy(SCORES, np.array([0, -1, 3, 1]), ignore_index=-1)
    with pytest.raises(DTypeError, match=r"labels have dtype float64; .* use t\.astype\(np\.int64\)"):
        F.softmax_cross_entropy(SCORES, LABELS * 1.0, ignore_index=-1)


def test_class_weights_are_an_array():
    """A list is refused by the name of the argument."""
    with pytest.raises(DTypeError) as info:
        F.softmax_cross_entropy(SCORES, LABELS, class_weights=[1.0, 2.0, 3.0])
    assert str(info.value) == (
        "softmax_cross_entropy: class_weights is list; give an array, such as np.array([1.0, 2.0], np.float32)"
    )


@pytest.mark.parametrize("wrong", [-1.0, np.nan, np.inf])
def test_class_weights_are_finite_and_not_negative(wrong):
    """What would make the mean of the loss meaningless is refused."""
    with pytest.raises(DataError) as info:
        F.softmax_cross_entropy(SCORES, LABELS, class_weights=np.array([1.0, wrong, 2.0]))
    assert str(info.value) == f"softmax_cross_entropy: class_weights holds {wrong}; weights are finite and at least 0"


@pytest.mark.parametrize(
    ("labels", "kwargs"), [([1, 1], {}), ([1, 2], {"ignore_index": 2}), ([1, 1], {"label_smoothing": 0.1})]
)
def test_a_batch_whose_rows_count_for_nothing(labels, kwargs):
    """Where all labels are of classes with weight 0, there is an error and no nan."""
    weights = np.array([1.0, 0.0, 2.0])
    with pytest.raises(DataError) as info:
        F.softmax_cross_entropy(SCORES[:2], np.array(labels), class_weights=weights, **kwargs)
    assert str(info.value) == (
        "softmax_cross_entropy: the classes of all labels have weight 0; a mean over no samples is not defined"
    )
    F.softmax_cross_entropy(SCORES[:2], np.array([1, 0]), class_weights=weights)  # one counts


def test_sigmoid_cross_entropy_golden(device):
    """Loss and gradient are PyTorch's, over the batch size, and finite for huge scores."""
    # torch.nn.functional.binary_cross_entropy_with_logits(x, t, reduction="sum") / 2 in float64
    x = Variable(device.put(np.array([[-800.0, 0.0], [3.0, 800.0]])))
    y = F.sigmoid_cross_entropy(x, device.put(np.array([[0, 1], [0, 0]])))
    y.backward()
    assert device.get(y.data) == pytest.approx(401.870867266)
    np.testing.assert_allclose(device.get(x.grad.data), [[0.0, -0.25], [0.476287063, 0.5]], atol=1e-9)


def test_sigmoid_cross_entropy_is_exact_where_it_is_small():
    """A loss near 0 keeps its digits, on both sides."""
    for x, t in ((40.0, 1), (-40.0, 0)):
        assert F.sigmoid_cross_entropy(np.array([x]), np.array([t])).item() == pytest.approx(
            np.exp(-40), rel=1e-12, abs=0
        )


def test_binary_cross_entropy_golden(device):
    """Near and at 0 and 1 loss and gradient are PyTorch's, over the batch size: finite, and 0 where p is right."""
    # torch.nn.functional.binary_cross_entropy(p, t, reduction="sum") / 3 in float64
    p = Variable(device.put(np.array([[0.0, 1.0], [0.25, 0.5], [0.0, 1.0]])))
    y = F.binary_cross_entropy(p, device.put(np.array([[0, 1], [1, 0], [1, 0]])))
    y.backward()
    assert device.get(y.data) == pytest.approx(67.359813847)
    expected = [[0.0, 0.0], [-1.333333333, 0.666666667], [-3.33333335e11, 3.33333335e11]]
    np.testing.assert_allclose(device.get(p.grad.data), expected, rtol=1e-7)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_binary_cross_entropy_near_0_and_1(dtype):
    """Next to 0 and 1 it is the logarithm (DeZero clipped p to 0.999), and so is its gradient."""
    small = np.array([1e-7], dtype)
    assert F.binary_cross_entropy(1 - small, np.array([0])).item() == pytest.approx(
        -np.log(1 - (1 - small))[0], rel=1e-6
    )
    assert F.binary_cross_entropy(small, np.array([0])).item() == pytest.approx(1e-7, rel=1e-6, abs=0)
    assert F.binary_cross_entropy(small, np.array([1])).item() == pytest.approx(-np.log(small)[0], rel=1e-6)
    p = Variable(small)
    F.binary_cross_entropy(p, np.array([1])).backward()
    assert p.grad.data[0] == pytest.approx(-1e7, rel=1e-5)


def test_cross_entropies_for_yes_or_no_agree():
    """From scores or from probabilities: the same loss and the same gradient."""
    rng = np.random.default_rng(0)
    x, t = rng.normal(0, 2, (5, 3)), rng.uniform(0, 1, (5, 3))
    one, other = Variable(x), Variable(x)
    a, b = F.sigmoid_cross_entropy(one, t), F.binary_cross_entropy(F.sigmoid(other), t)
    a.backward()
    b.backward()
    assert a.item() == pytest.approx(b.item(), rel=1e-12)
    np.testing.assert_allclose(one.grad.data, other.grad.data, rtol=1e-10)


@pytest.mark.parametrize("name", ["sigmoid_cross_entropy", "binary_cross_entropy", "huber", "mean_absolute_error"])
def test_like_torch(name):
    """On random numbers, in float32, loss and gradient agree with PyTorch's, up to what the sum is divided by."""
    torch = pytest.importorskip("torch")
    T = torch.nn.functional
    theirs = {
        "sigmoid_cross_entropy": lambda x, t: T.binary_cross_entropy_with_logits(x, t, reduction="sum") / 20,
        "binary_cross_entropy": lambda x, t: T.binary_cross_entropy(x, t, reduction="sum") / 20,
        "huber": T.huber_loss,
        "mean_absolute_error": T.l1_loss,
    }[name]
    rng = np.random.default_rng(0)
    x = rng.uniform(0, 1, (20, 3)) if name == "binary_cross_entropy" else rng.normal(0, 3, (20, 3))
    t = rng.integers(0, 2, (20, 3)).astype(np.float32)
    ours, x_torch = Variable(x.astype(np.float32)), torch.tensor(x.astype(np.float32), requires_grad=True)
    y, y_torch = getattr(F, name)(ours, t), theirs(x_torch, torch.tensor(t))
    y.backward()
    y_torch.backward()
    assert y.item() == pytest.approx(y_torch.item(), rel=1e-5)
    np.testing.assert_allclose(ours.grad.data, x_torch.grad.numpy(), rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize("f", [F.sigmoid_cross_entropy, F.binary_cross_entropy])
def test_targets_that_do_not_fit(f):
    """Targets have the shape of the scores but for axes of size 1, and are from 0 to 1; the batch is not empty."""
    p = np.full((2, 3, 1), 0.5)
    one = np.log(2) if f is F.binary_cross_entropy else np.log(1 + np.exp(0.5))
    assert f(p, np.zeros((2, 3), int)).item() == pytest.approx(3 * one)
    for t in (np.zeros((3, 2)), np.zeros(2), np.zeros(6)):
        with pytest.raises(
            ShapeError, match=r"_cross_entropy: got float64\(2, 3, 1\) and targets float64.* same shape"
        ):
            f(p, t)
    with pytest.raises(ShapeError, match=r"wanted a batch \(N, \.\.\.\)"):
        f(np.array(0.5), np.array(1))
    with pytest.raises(DataError, match="_cross_entropy: target -1 is not from 0 to 1"):
        f(p, np.full((2, 3), -1))
    with pytest.raises(DataError, match="_cross_entropy: the batch is empty"):
        f(p[:0], np.zeros((0, 3)))


def test_scores_given_as_probabilities():
    """Scores where probabilities belong are noticed, and the remedy is named."""
    with pytest.raises(DataError, match=r"p 1\.5 is not from 0 to 1, where .*; for scores use sigmoid_cross_entropy"):
        F.binary_cross_entropy(np.array([0.3, 1.5]), np.array([0, 1]))


def test_huber_golden(device):
    """Squared below delta, linear above: torch.nn.functional.huber_loss([0, 0.5, 3, -4], 0, delta=1.5)."""
    x = Variable(device.put(np.array([0.0, 0.5, 3.0, -4.0])))
    y = F.huber(x, device.put(np.zeros(4)), delta=1.5)
    y.backward()
    assert device.get(y.data) == pytest.approx(2.09375)
    np.testing.assert_allclose(device.get(x.grad.data), [0.0, 0.125, 0.375, -0.375])


def test_mean_absolute_error(device):
    """The mean over all elements, whose derivative is 0 where both are equal."""
    x = Variable(device.put(np.array([[1.0, 2.0], [3.0, -4.0]])))
    y = F.mean_absolute_error(x, device.put(np.array([[1.0, 0.0], [4.0, 0.0]])))
    y.backward()
    assert device.get(y.data) == pytest.approx(7 / 4)
    np.testing.assert_allclose(device.get(x.grad.data), [[0.0, 0.25], [-0.25, -0.25]])


@pytest.mark.parametrize("f", [F.mean_absolute_error, F.huber])
def test_shapes_that_would_broadcast_to_more(f):
    """(N, 1) and (N,) would make (N, N): that is a mistake."""
    with pytest.raises(ShapeError, match=r"shapes \(3, 1\) and \(3,\) would broadcast to \(3, 3\)"):
        f(np.zeros((3, 1)), np.zeros(3))


def test_huber_needs_a_delta():
    """Delta is above 0."""
    with pytest.raises(ConfigError, match="huber: delta is 0; it must be above 0"):
        F.huber(np.zeros(2), np.zeros(2), delta=0)


@pytest.mark.parametrize(
    "f",
    [
        lambda x: F.softmax_cross_entropy(x, LABELS, class_weights=WEIGHTS),
        lambda x: F.softmax_cross_entropy(x, LABELS, label_smoothing=0.3, ignore_index=0),
        lambda x: F.sigmoid_cross_entropy(x, SCORES > 0),
        lambda x: F.binary_cross_entropy(F.sigmoid(x), SCORES > 0),
        lambda x: F.huber(x, np.full((4, 3), 0.1)),
    ],
)
def test_derivatives(f):
    """Each loss has the first and second derivatives that differences give."""
    directional_check(f, [SCORES])
