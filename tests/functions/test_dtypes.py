"""float32 stays float32 in every function, whatever arrays of integers and numbers are beside it."""

import numpy as np
import pytest

import minitorch.functions as F
from minitorch import Variable
from minitorch.cuda import get_array_module

LABELS, YES_OR_NO = np.array([0, 1, 1]), np.eye(3, 4, dtype=np.int64)
MEAN, VAR = np.zeros(4, np.float32), np.ones(4, np.float32)


def beside(x, constant):
    """A copy of `constant` on the device of the Variable or array `x`."""
    return get_array_module(x).array(constant)


# for each function the shapes of its arrays of floats, and a call; where there are several arrays of floats, any of
# them may hold integers
ONE = """abs average cos cumsum elu exp flatten gelu leaky_relu log logsumexp log_softmax max mean min neg relu sigmoid
    sigmoid_simple silu sin softmax softmax_simple softplus sqrt squeeze sum tanh transpose var"""
TWO = """add div huber maximum mean_absolute_error mean_squared_error mean_squared_error_simple minimum mul
    pow sub"""
CALLS = {
    **{name: [(3, 4)] for name in ONE.split()},
    **{name: [(3, 4), (3, 4)] for name in TWO.split()},
    "attention": [(2, 3, 4), (2, 5, 4), (2, 5, 4)],
    "average_pooling": ([(2, 3, 4, 4)], lambda x: F.average_pooling(x, 2)),
    "batch_norm": ([(3, 4), (4,), (4,)], lambda x, *args: F.batch_norm(x, *args, beside(x, MEAN), beside(x, VAR))),
    "binary_cross_entropy": ([(3, 4)], lambda p: F.binary_cross_entropy(p / 8, beside(p, YES_OR_NO))),
    "broadcast_to": ([(3, 4)], lambda x: F.broadcast_to(x, (2, 3, 4))),
    "clip": ([(3, 4)], lambda x: F.clip(x, 1, 2)),
    "col2im": ([(2 * 9, 3 * 4)], lambda x: F.col2im(x, (2, 3, 4, 4), 2)),
    "concat": ([(3, 4), (3, 4)], lambda *xs: F.concat(xs)),
    "conv2d": [(2, 3, 5, 5), (4, 3, 2, 2), (4,)],
    "conv2d_simple": [(2, 3, 5, 5), (4, 3, 2, 2), (4,)],
    "deconv2d": [(2, 3, 5, 5), (3, 4, 2, 2), (4,)],
    "dropout": [(3, 4)],
    "einsum": ([(3, 4), (4, 2)], lambda x, y: F.einsum("ij,jk", x, y)),
    "embed_id": ([(3, 4)], lambda W: F.embed_id(beside(W, LABELS), W)),
    "expand_dims": ([(3, 4)], lambda x: F.expand_dims(x, -1)),
    "get_item": ([(3, 4)], lambda x: F.get_item(x, beside(x, LABELS))),
    "global_average_pooling": [(2, 3, 4, 4)],
    "group_norm": ([(2, 4, 3), (4,), (4,)], lambda x, gamma, beta: F.group_norm(x, 2, gamma, beta)),
    "im2col": ([(2, 3, 4, 4)], lambda x: F.im2col(x, 2)),
    "layer_norm": [(3, 4), (4,), (4,)],
    "linear": [(3, 4), (4, 2), (2,)],
    "linear_simple": [(3, 4), (4, 2), (2,)],
    "matmul": [(3, 4), (4, 2)],
    "pad": ([(3, 4)], lambda x: F.pad(x, 1, 7)),
    "pooling": ([(2, 3, 4, 4)], lambda x: F.pooling(x, 2)),
    "pooling_simple": ([(2, 3, 4, 4)], lambda x: F.pooling_simple(x, 2)),
    "reshape": ([(3, 4)], lambda x: F.reshape(x, (4, 3))),
    "self_attention": ([(2, 3, 12)], lambda x: F.self_attention(x, 2)),
    "sigmoid_cross_entropy": ([(3, 4)], lambda x: F.sigmoid_cross_entropy(x, beside(x, YES_OR_NO))),
    "softmax_cross_entropy": ([(3, 4)], lambda x: F.softmax_cross_entropy(x, beside(x, LABELS))),
    "softmax_cross_entropy_simple": ([(3, 4)], lambda x: F.softmax_cross_entropy_simple(x, beside(x, LABELS))),
    "split": ([(3, 4)], lambda x: F.split(x, 2, axis=1)[0]),
    "stack": ([(3, 4), (3, 4)], lambda *xs: F.stack(xs)),
    "sum_to": ([(3, 4)], lambda x: F.sum_to(x, (1, 4))),
    "where": ([(3, 4), (3, 4)], lambda x, y: F.where(beside(x, LABELS)[:, None] > 0, x, y)),
}  # fmt: skip
INTEGERS = {"accuracy", "argmax", "argmin"}  # which give integers or a share, and no gradient


def call(name):
    """The function and the shapes of its arrays of floats."""
    entry = CALLS[name]
    return (entry[1], entry[0]) if isinstance(entry, tuple) else (getattr(F, name), entry)


def numbers(shape):
    """Small positive integers in float32; none where a derivative or a logarithm would not be defined."""
    return np.resize(np.float32([1, 2, 3, 2, 1, 4]), shape)


def with_gradients(f, args):
    """The output and the gradients of the Variables among `args`."""
    y = f(*args)
    y.backward()
    return [y.data, *[x.grad.data for x in args if isinstance(x, Variable)]]


def test_every_function_is_called():
    """Whoever adds a function adds a line to CALLS."""
    assert sorted([*CALLS, *INTEGERS]) == sorted(F.__all__)


@pytest.mark.parametrize("name", CALLS)
def test_float32_stays_float32(name, device):
    """The output and all gradients of float32 are float32."""
    f, shapes = call(name)
    args = [Variable(device.put(numbers(shape))) for shape in shapes]
    assert {a.dtype for a in with_gradients(f, args)} == {np.dtype(np.float32)}


@pytest.mark.parametrize("dtype", [np.int64, np.int32, np.uint8])
@pytest.mark.parametrize(
    ("name", "at"), [(name, i) for name in CALLS if len(call(name)[1]) > 1 for i in range(len(call(name)[1]))]
)
def test_integers_beside_float32_count_as_float32(name, at, dtype, device):
    """An array of integers in any place gives the numbers, and the dtypes, of the same array in float32."""
    f, shapes = call(name)
    arrays = [device.put(numbers(shape)) for shape in shapes]

    def mixed(array):
        return [array if i == at else Variable(a) for i, a in enumerate(arrays)]

    expected = with_gradients(f, mixed(arrays[at]))
    found = with_gradients(f, mixed(arrays[at].astype(dtype)))
    assert {a.dtype for a in found} == {np.dtype(np.float32)}
    for a, b in zip(found, expected, strict=True):
        np.testing.assert_allclose(device.get(a), device.get(b), rtol=1e-5, atol=5e-6)


def test_integers_among_themselves_are_numpys(device):
    """Without a float there is nothing to stay with: a quotient of integers is float64."""
    one, two = Variable(device.put(np.array([1, 2]))), Variable(device.put(np.array([3, 4])))
    assert (one + two).dtype == np.int64
    assert (one / two).dtype == np.float64
    assert F.exp(one).dtype == np.float64


def test_float64_beside_float32_stays_float64(device):
    """Floats keep NumPy's rules: only integers are weak."""
    x = Variable(device.put(np.ones(2, np.float32)))
    assert (x + device.put(np.ones(2))).dtype == np.float64
    assert (x + device.put(np.ones(2)) * device.put(np.ones(2, np.int64))).dtype == np.float64


def test_an_integer_variable_gets_a_gradient_of_its_partners_type(device):
    """An integer Variable beside float32 is differentiated in float32."""
    x, n = Variable(device.put(np.ones(2, np.float32))), Variable(device.put(np.array([2, 3])))
    y = x * n
    y.backward()
    assert (y.dtype, x.grad.dtype, n.grad.dtype) == (np.float32,) * 3
    assert device.get(n.grad.data).tolist() == [1.0, 1.0]
