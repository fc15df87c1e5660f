"""The weak spots of DeZero 0.0.13, one test each: what goes wrong there, and what is promised here."""

import subprocess
import sys

import numpy as np
import pytest

import minitorch.functions as F
import minitorch.layers as L
from minitorch import DataLoader, Function, Model, Variable, test_mode
from minitorch.datasets import ArrayDataset
from minitorch.models import MLP
from minitorch.optimizers import SGD, ClipGrad, FreezeParam, WeightDecay
from minitorch.utils import directional_check
from minitorch.variable import Parameter


class Pair(Model):
    """Two Parameters of two ones."""

    def __init__(self):
        super().__init__()
        self.a, self.b = Parameter(np.ones(2)), Parameter(np.ones(2))


def numbers(*shape, seed=0):
    return np.random.default_rng(seed).standard_normal(shape)


# ---- gradients


def test_gradients_of_a_sum_do_not_alias():
    """DeZero: `a + b` gives both the same array as gradient, and ClipGrad, which works in place, scales it twice."""
    model = Pair()
    optimizer = SGD(1.0).setup(model)
    optimizer.add_hook(ClipGrad(1.0))
    (model.a + model.b).backward()  # the norm of both together is 2
    optimizer.update()
    np.testing.assert_allclose(model.a.data, 0.5, rtol=1e-5)
    np.testing.assert_allclose(model.b.data, 0.5, rtol=1e-5)


def test_gradients_can_be_written():
    """DeZero: the gradient of `sum` is a read-only view, on which WeightDecay fails."""
    model = Pair()
    optimizer = SGD(1.0).setup(model)
    optimizer.add_hook(WeightDecay(0.5))
    (model.a.sum() + model.b.sum()).backward()
    optimizer.update()
    np.testing.assert_array_equal(model.a.data, -0.5)


def test_a_leaf_has_a_backward():
    """DeZero: `backward` of a Variable that nothing computed fails, for lack of a creator."""
    x = Variable(np.ones(2))
    x.backward()
    np.testing.assert_array_equal(x.grad.data, 1.0)


def test_an_output_may_stay_unused():
    """DeZero: an output that nobody kept is gone when `backward` asks for its gradient."""

    class Both(Function):
        def forward(self, x):
            return x + 1, x * 3

        def backward(self, g_sum, g_product):
            return g_sum + 3 * g_product

    x = Variable(np.ones(2))
    y = Both()(x)[1]
    y.backward()
    np.testing.assert_array_equal(x.grad.data, 3.0)


def test_max_over_a_negative_axis():
    """DeZero: the gradient of `max` over the last axis, as -1, has a wrong shape."""
    x = np.arange(6.0).reshape(2, 3)
    for f in (F.max, F.min):
        directional_check(lambda x, f=f: f(x, axis=-1), [x], order=1)
        directional_check(lambda x, f=f: f(x, axis=(-2, -1)), [x], order=1)


def test_ties_of_max_share_the_gradient():
    """DeZero: each of several maxima gets the whole gradient, so it is multiplied by their number."""
    x = Variable(np.array([[2.0, 1.0, 2.0]]))
    F.max(x, axis=1).backward()
    assert x.grad.data.tolist() == [[0.5, 0.0, 0.5]]


def test_batch_norm_is_differentiable_in_test_mode():
    """DeZero: in test mode `backward` multiplies with an inverse deviation that only training computes."""
    mean, var = numbers(3), np.abs(numbers(3)) + 0.5

    def f(x, gamma, beta):
        return F.batch_norm(x, gamma, beta, mean, var)

    with test_mode():
        directional_check(f, [numbers(4, 3), numbers(3), numbers(3)], order=2)


def test_batch_norm_has_a_second_derivative():
    """DeZero: the backward takes 1/deviation for a constant, so the second derivative is wrong."""

    def f(x, gamma, beta):
        return F.batch_norm(x, gamma, beta, np.zeros(3), np.ones(3))

    directional_check(f, [numbers(4, 3), numbers(3), numbers(3)], order=2)


@pytest.mark.parametrize("stride", [1, 2])
def test_convolutions_have_second_derivatives(stride):
    """DeZero: the gradient of `conv2d` for its weights has no derivative: its own backward is a TypeError."""
    x = numbers(2, 3, 6, 5)
    directional_check(lambda x, W, b: F.conv2d(x, W, b, stride, 1), [x, numbers(4, 3, 3, 2), numbers(4)], order=2)
    directional_check(lambda x, W, b: F.deconv2d(x, W, b, stride, 1), [x, numbers(3, 4, 3, 2), numbers(4)], order=2)


def test_average_pooling_with_a_kernel_that_is_no_square():
    """DeZero: its backward takes the height of the kernel for the width, and fails."""
    directional_check(lambda x: F.average_pooling(x, (2, 3), (1, 2), (1, 0)), [numbers(2, 2, 5, 7)], order=2)


# ---- operators


def test_a_number_to_the_power_of_a_variable():
    """DeZero: `2 ** x` is a TypeError, and the exponent never has a gradient."""
    directional_check(lambda x: 2**x, [numbers(3)], order=2)
    directional_check(lambda x, c: (x * x + 1) ** c, [numbers(3), numbers(3, seed=1)], order=2)


def test_the_matrix_product_has_its_operator():
    """DeZero: `x @ y` is a TypeError (and the method is spelled `matmaul`)."""
    directional_check(lambda x, y: x @ y, [numbers(2, 3), numbers(3, 4)], order=2)
    assert (Variable(np.eye(2)).matmul(np.ones((2, 1)))).shape == (2, 1)


def test_variables_are_compared():
    """DeZero: `x > y` is a TypeError, and `x == y` asks whether the two are one object."""
    x, y = Variable(np.array([1.0, 2.0])), Variable(np.array([1.0, 1.0]))
    assert [(x > y).data.tolist(), (x == y).data.tolist()] == [[False, True], [True, False]]
    assert (x >= 2).data.tolist() == [False, True]


# ---- functions and layers


def test_dropout_of_nothing_and_of_everything():
    """DeZero: a ratio of 1 divides by 0, and a ratio of 0 drops what happens to draw a 0."""
    x = Variable(np.ones((50, 50), np.float32))
    np.testing.assert_array_equal(F.dropout(x, 0.0).data, 1.0)
    y = F.dropout(x, 1.0)
    y.backward()
    np.testing.assert_array_equal(y.data, 0.0)
    np.testing.assert_array_equal(x.grad.data, 0.0)


def test_binary_cross_entropy_next_to_0_and_1():
    """DeZero: p is clipped to [1e-15, 0.999], so that a confident wrong answer costs little and has no gradient."""
    p = Variable(np.array([0.99999, 1e-5, 1.0, 0.0]))
    t = np.array([0, 1, 1, 0])
    loss = F.binary_cross_entropy(p, t)
    loss.backward()
    assert loss.item() == pytest.approx(-2 * np.log(1e-5) / 4)
    np.testing.assert_allclose(p.grad.data[:2], [1e5 / 4, -1e5 / 4], rtol=1e-4)
    assert np.isfinite(F.binary_cross_entropy(np.array([0.0, 1.0]), np.array([1, 0])).item())


def test_freeze_param_freezes():
    """DeZero: FreezeParam takes away gradients of Parameters that the optimizer is about to update, which fails."""
    model = MLP((3, 2))
    x = numbers(4, 5).astype(np.float32)
    before = model(x)
    optimizer = SGD(0.1).setup(model)
    optimizer.add_hook(FreezeParam(model.l0))
    weights = [layer.W.data.copy() for layer in (model.l0, model.l1)]
    F.sum(before).backward()
    optimizer.update()
    assert [np.array_equal(w, layer.W.data) for w, layer in zip(weights, (model.l0, model.l1), strict=True)] == [
        True,
        False,
    ]


def test_an_rnn_of_different_sizes():
    """DeZero: the weights of the state have the size of the input, so the two must be equal if it is given."""
    layer = L.RNN(5, in_size=3)
    for _ in range(2):
        assert layer(np.ones((2, 3), np.float32)).shape == (2, 5)


def test_the_order_of_parameters_is_that_of_their_definition():
    """DeZero: they are kept in a set of names, whose order is another in each process."""
    code = (
        "from minitorch.models import MLP\n"
        "import numpy as np\n"
        "model = MLP((3, 4, 2)); model(np.ones((1, 2), np.float32))\n"
        "print([path for path, _ in model.named_params()])"
    )
    for seed in ("1", "2"):
        done = subprocess.run(
            [sys.executable, "-c", code], env={"PYTHONHASHSEED": seed}, capture_output=True, text=True, check=True
        )
        assert done.stdout.strip() == "['l0.W', 'l0.b', 'l1.W', 'l1.b', 'l2.W', 'l2.b']"


def test_a_loader_that_is_broken_off_begins_again():
    """DeZero: after a `break` the next pass goes on in the middle, and yields what was left."""
    loader = DataLoader(ArrayDataset(np.arange(6.0)), 2, shuffle=False)
    for _ in loader:
        break
    assert [x.tolist() for (x,) in loader] == [[0, 1], [2, 3], [4, 5]]


def test_saving_weights_leaves_the_model_where_it_is(tmp_path, device):
    """DeZero: `save_weights` moves the model to the CPU, and it stays there."""
    layer = L.Linear(2, in_size=3)
    layer.W.data, layer.b.data = device.put(layer.W.data), device.put(layer.b.data)
    layer.save_weights(tmp_path / "weights.safetensors")
    assert all(isinstance(param.data, device.xp.ndarray) for param in layer.params())


def test_nobodys_generator_is_seeded():
    """DeZero: `get_spiral` seeds NumPy's generator, which makes repeatable whatever is drawn after it."""
    from minitorch.datasets import get_spiral

    np.random.seed(5)  # noqa: NPY002  # the generator that is not to be touched
    expected = np.random.rand()  # noqa: NPY002
    np.random.seed(5)  # noqa: NPY002
    get_spiral()
    assert np.random.rand() == expected  # noqa: NPY002


def test_softmax_cross_entropy_has_a_second_derivative():
    """DeZero: differentiating its gradient is a TypeError."""
    directional_check(lambda x: F.softmax_cross_entropy(x, np.array([0, 3, 1])), [numbers(3, 4)], order=2)
