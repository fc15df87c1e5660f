"""`Function`: operations of your own, as users of DeZero write them."""

import numpy as np
import pytest

import minitorch
import minitorch.functions as F
from minitorch import Function, Variable, no_grad
from minitorch.errors import DTypeError, GraphError, ShapeError
from minitorch.utils import directional_check, gradient_check


class Sin(Function):
    """As in the book: arrays forward, Variables backward."""

    def forward(self, x):
        return minitorch.cuda.get_array_module(x).sin(x)

    def backward(self, gy):
        (x,) = self.inputs
        return gy * F.cos(x)


class Product(Function):
    """Two inputs of one shape."""

    def forward(self, a, b):
        return a * b

    def backward(self, gy):
        a, b = self.inputs
        return gy * b, gy * a


class Split(Function):
    """Two outputs: the square and the cube."""

    def forward(self, x):
        return x**2, x**3

    def backward(self, g_square, g_cube):
        (x,) = self.inputs
        return 2 * x * g_square + 3 * x**2 * g_cube


class HandsOn(Function):
    """Adds, and returns the very gradient that it was given, twice."""

    def forward(self, a, b):
        return a + b

    def backward(self, gy):
        return gy, gy


def returning(forward=lambda x: x * 1, backward=lambda g: g):
    """A Function of one input made of two functions."""

    class Custom(Function):
        def forward(self, *xs):
            return forward(*xs)

        def backward(self, *gs):
            return backward(*gs)

    return Custom()


def test_a_function_computes_and_differentiates(device):
    """Forward gets arrays, backward Variables; the result is a Variable with a gradient."""
    x = Variable(device.put(np.linspace(-1, 1, 5)))
    y = Sin()(x)
    y.backward()
    np.testing.assert_allclose(device.get(y.data), np.sin(np.linspace(-1, 1, 5)))
    np.testing.assert_allclose(device.get(x.grad.data), np.cos(np.linspace(-1, 1, 5)))


def test_derivatives_to_third_order(device):
    """Backward is itself differentiated, since it computes with Variables."""
    directional_check(lambda x: Sin()(x), [device.put([0.3, -0.7])], order=3)
    directional_check(lambda a, b: Product()(a, b), [device.put([0.3, -0.7]), device.put([1.0, 2.0])], order=2)
    directional_check(lambda x: F.add(*Split()(x)), [device.put([0.3, -0.7])], order=2)
    directional_check(lambda x: Sin()(x * 2.0) * x, [device.put([0.3, -0.7])], order=2)


def test_two_outputs(device):
    """Each output passes its gradient on, whether one, the other or both are used, once or twice."""
    for use, slope in (
        (lambda a, b: a, 4.0),
        (lambda a, b: b, 12.0),
        (lambda a, b: a + b, 16.0),
        (lambda a, b: a * 2 + a + b, 24.0),
    ):
        x = Variable(device.put(np.array([2.0])))
        use(*Split()(x)).backward()
        np.testing.assert_array_equal(device.get(x.grad.data), [slope])


def test_retained_gradients_of_outputs():
    """With retain_grad the outputs of a Function keep their gradients like any other Variable."""
    x = Variable(np.array([2.0]))
    a, b = Split()(x)
    (a * 2 + b * 5).backward(retain_grad=True)
    assert (a.grad.data, b.grad.data, x.grad.data) == ([2.0], [5.0], [68.0])


def test_a_function_is_freed_like_a_primitive():
    """A second walk through a Function is an error, unless the graph was kept."""
    x = Variable(np.array([2.0]))
    y = Sin()(x)
    y.backward(retain_grad=True)
    y.backward()
    with pytest.raises(GraphError, match=r"freed by an earlier backward \(at the operation output\)"):
        y.backward()


def test_gradients_handed_on_are_copied(device):
    """A backward may return what it was given: the gradients of leaves still share nothing."""
    a, b = Variable(device.put([1.0, 1.0])), Variable(device.put([1.0, 1.0]))
    y = HandsOn()(a, b)
    y.grad = Variable(device.put([5.0, 5.0]))
    start = y.grad
    y.backward()
    a.grad.data += 100
    assert device.get(b.grad.data).tolist() == [5, 5]
    assert device.get(start.data).tolist() == [5, 5]


def test_inputs_and_outputs_are_remembered():
    """`inputs` are the Variables given, `outputs` weak references to those returned."""
    f = Split()
    x = Variable(np.ones(2))
    a, b = f(x)
    assert f.inputs[0] is x
    assert all(ref() is v for ref, v in zip(f.outputs, (a, b), strict=True))


def test_an_instance_may_be_called_again():
    """The gradient of f(f(x)) is right though both calls are of one instance; each call has its own inputs."""
    f = Sin()
    x = Variable(np.array([0.3, -0.7]))
    y = f(f(x))
    y.backward()
    np.testing.assert_allclose(x.grad.data, np.cos(np.sin(x.data)) * np.cos(x.data))
    assert f.inputs[0] is x
    assert gradient_check(lambda v: f(v * 2) * f(v), np.array([0.3, -0.7]))


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_numbers_are_weak(dtype, device):
    """A number among the inputs becomes an array of the dtype, and on the device, of the arrays."""
    x = Variable(device.put(np.ones(2, dtype)))
    for args in ((x, 2.0), (2, x), (x, np.float64(2.0)), (x, True)):
        f = Product()
        y = f(*args)
        assert y.dtype == dtype
        assert [v.dtype for v in f.inputs] == [dtype, dtype]
        assert isinstance(y.data, device.xp.ndarray)
    assert Product()(2.0, 3.0).dtype == np.float32


def test_gradients_get_the_dtype_of_their_inputs(device):
    """A backward that computes in float64 gives float32 inputs float32 gradients."""
    for how in ({}, {"create_graph": True}):
        x = Variable(device.put(np.ones(2, np.float32)))
        wide = device.xp.ones(2)
        returning(backward=lambda g, wide=wide: g * wide)(x).backward(**how)
        assert x.grad.dtype == np.float32


def test_constants_and_no_grad():
    """Nothing is recorded for constants, nor under no_grad."""
    assert not Sin()(np.ones(2)).requires_grad
    assert not Sin()(Variable(np.ones(2), requires_grad=False)).requires_grad
    with no_grad():
        assert not Sin()(Variable(np.ones(2))).requires_grad


def test_a_constant_input_gets_no_gradient():
    """The gradient returned for a constant is dropped."""
    x, c = Variable(np.ones(2)), np.ones(2)
    f = Product()
    f(x, c).backward()
    assert f.inputs[1].grad is None
    np.testing.assert_array_equal(x.grad.data, [1, 1])


def test_none_is_a_gradient_of_zero():
    """None for an input that the output does not depend on counts as zero."""
    x = Variable(np.ones(2))
    y = returning(backward=lambda g: None)(x * 2)
    (y + x).backward()
    np.testing.assert_array_equal(x.grad.data, [1, 1])


def test_first_order_backward_records_nothing():
    """In an ordinary backward the Variables that backward gets have no history."""
    seen = []

    class Looking(Sin):
        def backward(self, gy):
            gx = super().backward(gy)
            seen.append(gx.requires_grad)
            return gx

    Looking()(Variable(np.ones(2))).backward()
    Looking()(Variable(np.ones(2))).backward(create_graph=True)
    assert seen == [False, True]


def test_unchaining_behind_a_function():
    """Cutting the graph behind an output of a Function leaves the Function, and makes its inputs leaves."""
    x = Variable(np.array([2.0]))
    a = x * 1.0
    square, cube = Split()(a)
    square.unchain_backward()
    (square + cube).backward()
    assert x.grad is None
    assert a.grad.data == [4.0 + 12.0]


def test_wrong_number_of_gradients():
    """One gradient for each input, or an error that counts them."""
    y = returning(forward=lambda a, b: a + b, backward=lambda g: g)(Variable(np.ones(2)), Variable(np.ones(2)))
    with pytest.raises(
        GraphError, match=r"^Custom.backward returned 1 gradients for 2 inputs; return one for each input, None where "
    ):
        y.backward()


def test_wrong_shape_of_a_gradient():
    """A gradient has the shape of its input, or an error names both."""
    y = returning(forward=lambda a: a.sum(), backward=lambda g: g)(Variable(np.ones((2, 3))))
    with pytest.raises(
        ShapeError,
        match=r"^Custom.backward returned float64\(\) as the gradient of input 0, which is float64\(2, 3\); the shapes "
        r"must be equal: use sum_to where the forward broadcast$",
    ):
        y.backward()


@pytest.mark.parametrize("wrong", [[1.0, 2.0], None, "array", Variable(np.ones(2))], ids=lambda v: type(v).__name__)
def test_forward_must_return_arrays(wrong):
    """A forward that returns anything but arrays is named, with the type it returned."""
    with pytest.raises(
        DTypeError, match=rf"^Custom.forward returned {type(wrong).__name__}; return an array, or a tuple of arrays$"
    ):
        returning(forward=lambda x: wrong)(Variable(np.ones(2)))


def test_scalars_of_numpy_are_arrays():
    """NumPy makes scalars of 0-d results; they become arrays again."""
    y = returning(forward=lambda x: x.sum(), backward=lambda g: F.broadcast_to(g, (3,)))(Variable(np.ones(3)))
    assert isinstance(y.data, np.ndarray)
    y.backward()


@pytest.mark.parametrize("wrong", [[1.0], "x", None])
def test_inputs_must_be_arrays(wrong):
    """Lists, strings and None are refused by name."""
    with pytest.raises(
        DTypeError, match=rf"^Sin: input 0 is {type(wrong).__name__}; give a Variable, an array or a number$"
    ):
        Sin()(wrong)


def test_what_is_not_written_is_named():
    """A Function without forward or backward says so when it is needed."""

    class Empty(Function):
        pass

    class Half(Function):
        def forward(self, x):
            return x * 1

    with pytest.raises(NotImplementedError, match=r"^Empty.forward is not written: it takes arrays and returns an arr"):
        Empty()(np.ones(2))
    with pytest.raises(NotImplementedError, match=r"^Half.backward is not written: it takes one gradient for each out"):
        Half()(Variable(np.ones(2))).backward()


def test_gradient_check_finds_a_wrong_backward(capsys):
    """The check that users run on their own operation passes a right one and fails a wrong one."""
    x = np.array([0.3, -0.7])
    assert gradient_check(lambda v: Sin()(v), x)
    assert not gradient_check(returning(forward=np.sin, backward=lambda g: g), x)
    assert "by backpropagation" in capsys.readouterr().err
