"""Zero, infinity, NaN, ties, empty and 0-d arrays: what each function and its derivative give there."""

import attrs
import numpy as np
import pytest

import minitorch.functions as F
from minitorch import Variable
from minitorch.errors import ShapeError

inf, nan = np.inf, np.nan


@attrs.frozen
class Case:
    """What a function of one Variable gives, and the gradient of its sum.

    Attributes:
        name: for the test's id.
        f: the function.
        x: its argument.
        y: what it gives.
        dx: the gradient.
        warns: whether NumPy warns, as it does for 1 / 0.
        dtype: of the argument.
    """

    name: str
    f: object
    x: list
    y: object
    dx: list
    warns: bool = False
    dtype: type = np.float64


def approximate_gelu(x):
    """`gelu` by its approximation."""
    return F.gelu(x, approximate="tanh")


CASES = [
    Case("exp", F.exp, [-inf, -1000, 0, inf, nan], [0, 0, 1, inf, nan], [0, 0, 1, inf, nan]),
    Case("exp overflow", F.exp, [1000], [inf], [inf], warns=True),
    Case("log", F.log, [0, 1, inf, -1, nan], [-inf, 0, inf, nan, nan], [inf, 1, 0, -1, nan], warns=True),
    Case("sqrt", F.sqrt, [0, 4, inf, -1, nan], [0, 2, inf, nan, nan], [inf, 0.25, 0, nan, nan], warns=True),
    Case("abs", F.abs, [-inf, -2, -0.0, 0, 2, inf, nan], [inf, 2, 0, 0, 2, inf, nan], [-1, -1, 0, 0, 1, 1, nan]),
    Case("neg", F.neg, [-inf, 0, inf, nan], [inf, 0, -inf, nan], [-1, -1, -1, -1]),
    Case("sin", F.sin, [0, inf, nan], [0, nan, nan], [1, nan, nan], warns=True),
    Case("cos", F.cos, [0, inf, nan], [1, nan, nan], [0, nan, nan], warns=True),
    Case("tanh", F.tanh, [-inf, -1000, 0, 1000, inf, nan], [-1, -1, 0, 1, 1, nan], [0, 0, 1, 0, 0, nan]),
    Case("sigmoid", F.sigmoid, [-inf, -1000, 0, 1000, inf, nan], [0, 0, 0.5, 1, 1, nan], [0, 0, 0.25, 0, 0, nan]),
    Case("sigmoid of float32", F.sigmoid, [-1000, 1000], [0, 1], [0, 0], dtype=np.float32),
    Case("relu", F.relu, [-inf, -1, -0.0, 0, 1, inf, nan], [0, 0, 0, 0, 1, inf, nan], [0, 0, 0, 0, 1, 1, 0]),
    Case("leaky_relu", F.leaky_relu, [-inf, -1, 0, 1, inf], [-inf, -0.2, 0, 1, inf], [0.2, 0.2, 0.2, 1, 1]),
    Case("elu", F.elu, [-inf, -1000, 0, 1, inf, nan], [-1, -1, 0, 1, inf, nan], [0, 0, 1, 1, 1, nan]),
    Case("softplus", F.softplus, [-inf, -1000, 1000, inf, nan], [0, 0, 1000, inf, nan], [0, 0, 1, 1, nan]),
    Case("silu far out", F.silu, [-1000, 0, 1000], [0, 0, 1000], [0, 0.5, 1]),
    Case("silu of infinities", F.silu, [-inf, inf, nan], [nan, inf, nan], [nan, nan, nan], warns=True),  # as PyTorch's
    Case("gelu far out", F.gelu, [-1000, 0, 1000], [0, 0, 1000], [0, 0.5, 1]),
    Case("gelu of infinities", F.gelu, [-inf, inf, nan], [nan, inf, nan], [nan, nan, nan], warns=True),
    Case("gelu at the end", F.gelu, [-3e38, 3e38], [0, 3e38], [0, 1], dtype=np.float32),
    Case(
        "gelu, approximate, at the end",
        approximate_gelu,
        [-20, 3e38],
        [0, 3e38],
        [0, nan],
        dtype=np.float32,
        warns=True,
    ),
    Case("huber of infinities", lambda x: F.huber(x, 0.0), [inf, 0.5, -inf], inf, [1 / 3, 1 / 6, -1 / 3]),
    Case("mean_absolute_error", lambda x: F.mean_absolute_error(x, 0.0), [inf, -1, 0], inf, [1 / 3, -1 / 3, 0]),
    Case("clip", lambda x: F.clip(x, -1, 1), [-inf, -1, 0, 1, inf, nan], [-1, -1, 0, 1, 1, nan], [0, 1, 1, 1, 0, 0]),
    Case("x**0", lambda x: x**0, [0, -2, inf, -inf, nan], [1] * 5, [0] * 5),
    Case("x**1", lambda x: x**1, [0, -2, inf, -inf, nan], [0, -2, inf, -inf, nan], [1] * 5),
    Case("x**2", lambda x: x**2, [0, -2, inf, -inf, nan], [0, 4, inf, inf, nan], [0, -4, inf, -inf, nan]),
    Case("x**-1", lambda x: x**-1, [0, 2, inf], [inf, 0.5, 0], [-inf, -0.25, 0], warns=True),
    Case("x**0.5", lambda x: x**0.5, [0, 4, inf], [0, 2, inf], [inf, 0.25, 0], warns=True),
    Case("2**x", lambda x: 2**x, [-inf, 0, 1, inf], [0, 1, 2, inf], [0, np.log(2), 2 * np.log(2), inf]),
    Case("0**x", lambda x: 0.0**x, [0, 1, 2, inf], [1, 0, 0, 0], [0, 0, 0, 0]),
    Case("1/x", lambda x: 1 / x, [0, -2, inf, -inf], [inf, -0.5, 0, 0], [-inf, -0.25, 0, 0], warns=True),
    Case("x/0", lambda x: x / 0.0, [1, 0, -1], [inf, nan, -inf], [inf, inf, inf], warns=True),
    Case("x/x far out", lambda x: x / x, [1e30], [1], [0], dtype=np.float32),
    Case("maximum, tied", lambda x: F.maximum(x, 0.0), [-1, 0, 1, inf, nan], [0, 0, 1, inf, nan], [0, 0.5, 1, 1, 0]),
    Case("minimum, tied", lambda x: F.minimum(0.0, x), [-1, 0, 1, -inf, nan], [-1, 0, 0, -inf, nan], [1, 0.5, 0, 1, 0]),
    Case("maximum with itself", lambda x: F.maximum(x, x), [-1, 0, inf], [-1, 0, inf], [1, 1, 1]),
    Case("max of ties", F.max, [3, 1, 3, 3, 2], 3, [1 / 3, 0, 1 / 3, 1 / 3, 0]),
    Case("min of ties", F.min, [1, 1, 2], 1, [0.5, 0.5, 0]),
    Case("max of infinities", F.max, [inf, 0, inf], inf, [0.5, 0, 0.5]),
    Case("max with a NaN", F.max, [0, nan], nan, [nan, nan], warns=True),
    Case("max by row", lambda x: F.max(x, axis=1), [[1, 1], [0, 2]], [1, 2], [[0.5, 0.5], [0, 1]]),
    Case("sum", F.sum, [inf, 1], inf, [1, 1]),
    Case("sum to NaN", F.sum, [inf, -inf], nan, [1, 1], warns=True),
    Case("mean", F.mean, [inf, 1], inf, [0.5, 0.5]),
    Case("logsumexp far out", F.logsumexp, [1e38, 1e38, -1e38], 1e38, [0.5, 0.5, 0], dtype=np.float32),
    Case("logsumexp at the end", F.logsumexp, [3e38, 3e38], 3e38, [0.5, 0.5], dtype=np.float32),
    Case("logsumexp with -inf", F.logsumexp, [0, -inf], 0, [1, 0]),
    Case("logsumexp of -inf", F.logsumexp, [-inf, -inf], -inf, [nan, nan], warns=True),
    Case("logsumexp with inf", F.logsumexp, [0, inf], inf, [nan, nan], warns=True),
    Case("softmax far out", lambda x: F.softmax(x, 0)[0], [1000, 1000, -1000], 0.5, [0.25, -0.25, 0]),
    Case("softmax of 0-d", lambda x: F.softmax(x, None), 3, 1, 0),
    Case("softmax with -inf", lambda x: F.softmax(x, 0)[0], [0, -inf], 1, [0, 0]),
    Case("log_softmax far out", lambda x: F.log_softmax(x, 0), [1000, 0], [0, -1000], [-1, 1]),
    Case(
        "softmax_cross_entropy far out",
        lambda x: F.softmax_cross_entropy(x, F.argmax(x * 0.0, 1)),  # labels 0, on the device of x
        [[-1e4, 1e4], [1e4, -1e4]],
        1e4,
        [[-0.5, 0.5], [0, 0]],
    ),
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_special_values(case, device):
    """Function and gradient have the values of mathematics, or those of NumPy; only where NumPy warns there is one."""
    x = Variable(device.put(np.array(case.x, case.dtype)))
    with np.errstate(**{"all": "ignore"} if case.warns else {}):
        y = case.f(x)
        y.backward()
    np.testing.assert_allclose(device.get(y.data), np.array(case.y, case.dtype), rtol=1e-6)
    np.testing.assert_allclose(device.get(x.grad.data), np.array(case.dx, case.dtype), rtol=1e-6)


@pytest.mark.parametrize("case", [case for case in CASES if case.warns], ids=lambda case: case.name)
def test_numpy_warns(case):
    """What is marked as warning does warn on the host, so that a mistake is heard."""
    x = Variable(np.array(case.x, case.dtype))
    with pytest.warns(RuntimeWarning):
        case.f(x).backward()


def test_power_of_two_variables_at_zero(device):
    """0**0 is 1, and there, and at 0**2, both derivatives are 0 and finite."""
    a, b = (Variable(device.put(np.array(v))) for v in ([0.0, 0.0, 2.0], [0.0, 2.0, 0.0]))
    y = a**b
    y.backward()
    np.testing.assert_array_equal(device.get(y.data), [1, 0, 1])
    np.testing.assert_array_equal(device.get(a.grad.data), [0, 0, 0])
    np.testing.assert_allclose(device.get(b.grad.data), [0, 0, np.log(2)])


def test_ties_between_variables_share_the_gradient(device):
    """Where two Variables are equal, `maximum` and `minimum` give each one half of the gradient."""
    for f in (F.maximum, F.minimum):
        a, b = Variable(device.put([1.0, 2.0])), Variable(device.put([1.0, 2.0]))
        f(a, b).backward()
        np.testing.assert_array_equal(device.get(a.grad.data), [0.5, 0.5])
        np.testing.assert_array_equal(device.get(b.grad.data), [0.5, 0.5])


def test_where_lets_no_nan_through(device):
    """A NaN on the side that was not taken is in neither the output nor the gradient of the other side."""
    a, b = Variable(device.put([1.0, nan])), Variable(device.put([nan, 2.0]))
    y = F.where(device.put([True, False]), a, b)
    y.backward()
    np.testing.assert_array_equal(device.get(y.data), [1, 2])
    np.testing.assert_array_equal(device.get(a.grad.data), [1, 0])
    np.testing.assert_array_equal(device.get(b.grad.data), [0, 1])


UNARY = [F.exp, F.log, F.sqrt, F.abs, F.neg, F.sin, F.cos, F.tanh, F.sigmoid, F.relu, F.clip, F.dropout]
BINARY = [F.add, F.sub, F.mul, F.div, F.pow, F.maximum, F.minimum]


@pytest.mark.parametrize("shape", [(), (0,), (0, 3), (1, 1)], ids=str)
@pytest.mark.parametrize("f", UNARY + BINARY, ids=lambda f: f.__name__)
def test_shapes_without_a_second_element(f, shape, device):
    """0-d and empty inputs give arrays (never NumPy's scalars) of that shape, and so do their gradients."""
    xs = [Variable(device.xp.ones(shape)) for _ in range(2 if f in BINARY else 1)]
    y = f(*xs)
    y.backward(retain_grad=True)
    for v in (y, y.grad, *xs, *[x.grad for x in xs]):
        assert v.shape == shape
        assert isinstance(v.data, device.xp.ndarray)


@pytest.mark.parametrize(
    ("f", "shapes", "expected"),
    [
        (F.sum, [(0, 3)], 0.0),
        (lambda x: F.sum(x, axis=0), [(0, 3)], [0.0, 0.0, 0.0]),
        (lambda x: F.mean(x, axis=1), [(0, 3)], np.zeros(0)),
        (lambda x: F.max(x, axis=1), [(0, 3)], np.zeros(0)),
        (lambda x: F.softmax(x), [(0, 3)], np.zeros((0, 3))),
        (lambda x: F.log_softmax(x), [(0, 3)], np.zeros((0, 3))),
        (lambda x: F.logsumexp(x, axis=1), [(0, 3)], np.zeros(0)),
        (lambda x: x.reshape(3, 0), [(0, 3)], np.zeros((3, 0))),
        (lambda x: x.T, [(0, 3)], np.zeros((3, 0))),
        (lambda x: x[:0], [(2, 3)], np.zeros((0, 3))),
        (lambda x: F.broadcast_to(x, (0, 3)), [(3,)], np.zeros((0, 3))),
        (lambda x: F.sum_to(x, (3,)), [(0, 3)], [0.0, 0.0, 0.0]),
        (lambda x, z: F.concat([x, z]), [(0, 3), (1, 3)], [[1.0, 1.0, 1.0]]),
        (F.matmul, [(2, 0), (0, 3)], np.zeros((2, 3))),
        (F.matmul, [(0, 2), (2, 3)], np.zeros((0, 3))),
        (F.linear, [(0, 2), (2, 3), (3,)], np.zeros((0, 3))),
        (F.add, [(0, 3), (3,)], np.zeros((0, 3))),
        (F.mean_squared_error, [(2, 0), (2, 0)], 0.0),
    ],
)
def test_empty_arrays(f, shapes, expected, device):
    """Empty arrays are computed with as NumPy does, and gradients have the shapes of their inputs."""
    xs = [Variable(device.xp.ones(shape)) for shape in shapes]
    y = f(*xs)
    y.backward()
    np.testing.assert_array_equal(device.get(y.data), expected)
    assert [x.grad.shape for x in xs] == shapes


def test_no_largest_of_nothing():
    """The extreme of no elements is an error that names the operation and the shape."""
    with pytest.raises(ShapeError, match=r"^max: zero-size array .* no identity; got float64\(0, 3\)$"):
        F.max(Variable(np.ones((0, 3))), axis=0)


def test_integers_are_steps():
    """A cast to integers passes no gradient on, one to another floating dtype does."""
    x = Variable(np.array([1.5, 2.5]))
    x.astype(np.int64).sum().backward()
    np.testing.assert_array_equal(x.grad.data, [0, 0])
    x.cleargrad()
    x.astype(np.float32).sum().backward()
    np.testing.assert_array_equal(x.grad.data, [1, 1])
    assert x.grad.dtype == np.float64


def test_integer_inputs_get_floating_gradients():
    """A Variable of integers has floating gradients, so that nothing is lost."""
    x = Variable(np.array([1, 2, 3]))
    (x * 0.5).sum().backward()
    np.testing.assert_array_equal(x.grad.data, [0.5, 0.5, 0.5])
    x = Variable(np.array([1, 2, 3]))
    (x * x).backward()
    np.testing.assert_array_equal(x.grad.data, [2, 4, 6])
    assert x.grad.dtype == np.float64
