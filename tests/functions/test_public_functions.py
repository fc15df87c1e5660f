"""`minitorch.functions`: what every function of the core takes and returns, against NumPy."""

import numpy as np
import pytest

import fake_cupy
import minitorch.functions as F
from minitorch import Variable
from minitorch.errors import ConfigError, ShapeError

A = np.array([[0.5, 1.5, 2.5], [3.0, 0.25, 1.0]])
B = np.array([[1.0, 2.0, 0.5], [2.0, 1.0, 3.0]])

ONE = {
    "abs": (F.abs, np.abs),
    "cos": (F.cos, np.cos),
    "exp": (F.exp, np.exp),
    "log": (F.log, np.log),
    "neg": (F.neg, np.negative),
    "sin": (F.sin, np.sin),
    "sqrt": (F.sqrt, np.sqrt),
    "tanh": (F.tanh, np.tanh),
    "sigmoid": (F.sigmoid, lambda a: 1 / (1 + np.exp(-a))),
    "relu": (F.relu, lambda a: np.maximum(a, 0)),
    "clip": (lambda x: F.clip(x, 0.5, 2.0), lambda a: np.clip(a, 0.5, 2.0)),
    "clip, one end": (lambda x: F.clip(x, x_max=2.0), lambda a: np.minimum(a, 2.0)),
    "reshape": (lambda x: F.reshape(x, (3, 2)), lambda a: a.reshape(3, 2)),
    "transpose": (F.transpose, np.transpose),
    "transpose, axes": (lambda x: F.transpose(x, (1, 0)), np.transpose),
    "get_item": (lambda x: F.get_item(x, (slice(None), 1)), lambda a: a[:, 1]),
    "sum": (lambda x: F.sum(x, axis=1, keepdims=True), lambda a: a.sum(axis=1, keepdims=True)),
    "mean": (F.mean, np.mean),
    "max": (lambda x: F.max(x, axis=0), lambda a: a.max(axis=0)),
    "min": (lambda x: F.min(x, axis=(0, 1)), np.min),
    "argmax": (lambda x: F.argmax(x, axis=1), lambda a: a.argmax(axis=1)),
    "sum_to": (lambda x: F.sum_to(x, (1, 3)), lambda a: a.sum(axis=0, keepdims=True)),
    "broadcast_to": (lambda x: F.broadcast_to(x, (4, 2, 3)), lambda a: np.broadcast_to(a, (4, 2, 3))),
    "softmax": (F.softmax, lambda a: np.exp(a) / np.exp(a).sum(axis=1, keepdims=True)),
    "log_softmax": (F.log_softmax, lambda a: a - np.log(np.exp(a).sum(axis=1, keepdims=True))),
    "logsumexp": (F.logsumexp, lambda a: np.log(np.exp(a).sum())),
}
TWO = {
    "add": (F.add, np.add),
    "sub": (F.sub, np.subtract),
    "mul": (F.mul, np.multiply),
    "div": (F.div, np.divide),
    "pow": (F.pow, np.power),
    "maximum": (F.maximum, np.maximum),
    "minimum": (F.minimum, np.minimum),
    "matmul": (lambda x, y: F.matmul(x, F.transpose(y)), lambda a, b: a @ b.T),
    "linear": (lambda x, y: F.linear(x, F.transpose(y)), lambda a, b: a @ b.T),
    "concat": (lambda x, y: F.concat([x, y], axis=1), lambda a, b: np.concatenate([a, b], axis=1)),
    "where": (lambda x, y: F.where(as_array(x) > as_array(y), x, y), np.maximum),
}
with_numbers = pytest.mark.parametrize("name", ["add", "sub", "mul", "div", "pow", "maximum", "minimum"])


def as_array(x):
    return x.data if isinstance(x, Variable) else x


@pytest.mark.parametrize("name", ONE)
def test_functions_of_one(name, device):
    """Variables and plain arrays give a Variable with NumPy's numbers, float64 of float64."""
    f, expected = ONE[name]
    for x in (Variable(device.put(A)), device.put(A)):
        y = f(x)
        assert isinstance(y, Variable)
        np.testing.assert_allclose(device.get(y.data), expected(A))
        assert y.dtype == expected(A).dtype


@pytest.mark.parametrize("name", TWO)
def test_functions_of_two(name, device):
    """Any mixture of Variables and arrays gives a Variable with NumPy's numbers."""
    f, expected = TWO[name]
    a, b = device.put(A), device.put(B)
    for x, y in ((Variable(a), Variable(b)), (Variable(a), b), (a, Variable(b)), (a, b)):
        z = f(x, y)
        assert isinstance(z, Variable)
        np.testing.assert_allclose(device.get(z.data), expected(A, B))


@with_numbers
@pytest.mark.parametrize("number", [2, 2.0, np.float64(2.0)], ids=repr)
@pytest.mark.parametrize("dtype", [np.float16, np.float32])
def test_numbers_are_weak_and_on_every_device(name, number, dtype, device):
    """A number as first or second argument changes no dtype, and needs no copy to the device."""
    f, expected = TWO[name]
    a = A.astype(dtype)
    x = Variable(device.put(a))
    with fake_cupy.no_transfers():
        left, right = f(number, x), f(x, number)
    for y, numbers in ((left, (dtype(2), a)), (right, (a, dtype(2)))):
        assert y.dtype == dtype
        np.testing.assert_allclose(device.get(y.data), expected(*numbers), rtol=2e-3)


@with_numbers
def test_functions_of_numbers(name):
    """Two numbers give a 0-d Variable."""
    f, expected = TWO[name]
    y = f(3.0, 2.0)
    assert isinstance(y, Variable)
    assert (y.shape, float(y)) == ((), expected(3.0, 2.0))


def test_clip_with_ends_swapped():
    """A lower end above the upper one is an error that names both."""
    with pytest.raises(ConfigError, match=r"^clip: x_min 2 is greater than x_max 1; swap them$"):
        F.clip(np.ones(3), 2, 1)


def test_nothing_to_join():
    """Joining no arrays, or arrays that do not fit, is an error of `concat`."""
    with pytest.raises(ShapeError, match=r"^concat: there is nothing to join; give at least one array$"):
        F.concat([])
    with pytest.raises(
        ShapeError, match=r"^concat: all the input array dimensions .*; got float64\(1, 2\), float64\(1, 3"
    ):
        F.concat([np.ones((1, 2)), np.ones((1, 3))])


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (
            ((4, 3), (2, 5), None),
            r"^linear: x \(4, 3\) does not fit W \(2, 5\); the last axis of x must equal the first ",
        ),
        (((4, 3), (3,), None), r"^linear: x \(4, 3\) does not fit W \(3,\)"),
        (((), (3, 2), None), r"^linear: x \(\) does not fit W \(3, 2\)"),
        (((4, 3), (3, 2), (3,)), r"^linear: b \(3,\) does not fit W \(3, 2\); b must have shape \(2,\)$"),
    ],
)
def test_linear_of_shapes_that_do_not_fit(args, message):
    """The error names the argument that does not fit, and the rule."""
    with pytest.raises(ShapeError, match=message):
        F.linear(*[None if shape is None else np.ones(shape) for shape in args])


@pytest.mark.parametrize("number", [2.0, np.float64(2.0), np.float32(2.0)], ids=repr)
def test_numbers_are_weak_in_where(number, device):
    """A number as one of the choices leaves the dtype of the other."""
    x = Variable(device.put(A.astype(np.float16)))
    condition = x.data > 1
    for y in (F.where(condition, x, number), F.where(condition, number, x)):
        assert y.dtype == np.float16
