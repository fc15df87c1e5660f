"""Gradients of gradients: `create_graph=True`."""

import numpy as np

import minitorch.functions as F
from minitorch import Variable


def test_derivatives_of_tanh(device):
    """The first three derivatives of tanh are those of the formulas."""
    x = Variable(device.put(np.linspace(-2, 2, 9)))
    t = np.tanh(np.linspace(-2, 2, 9))
    s = 1 - t * t
    y = F.tanh(x)
    y.backward(create_graph=True)
    for expected in (s, -2 * t * s, s * (6 * t * t - 2)):
        gx = x.grad
        np.testing.assert_allclose(device.get(gx.data), expected, atol=1e-12)
        x.cleargrad()
        gx.backward(create_graph=True)


def test_newtons_method():
    """x**4 - 2 x**2 from x = 2 reaches its minimum at 1 with second derivatives, as in the book."""
    x = Variable(np.array(2.0))
    for _ in range(10):
        y = x**4 - 2 * x**2
        x.cleargrad()
        y.backward(create_graph=True)
        gx = x.grad
        x.cleargrad()
        gx.backward()
        x.data -= gx.data / x.grad.data
    np.testing.assert_allclose(x.data, 1.0)


def test_double_backpropagation():
    """The gradient of gx**3 + y, where gx = 2x and y = x**2, is 24 x**2 + 2 x: 100 at x = 2, as in the book."""
    x = Variable(np.array(2.0))
    y = x**2
    y.backward(create_graph=True)
    gx = x.grad
    x.cleargrad()
    (gx**3 + y).backward()
    assert x.grad.data == 100.0


def test_hessian_vector_product():
    """Differentiating <v, grad f> gives H v without H."""
    A = np.array([[2.0, 1.0], [1.0, 3.0]])
    x, v = Variable(np.array([1.0, 2.0])), np.array([4.0, 5.0])
    f = F.matmul(x, F.matmul(A, x)) * 0.5
    f.backward(create_graph=True)
    gx = x.grad
    x.cleargrad()
    F.matmul(v, gx).backward()
    np.testing.assert_allclose(x.grad.data, A @ v)


def test_recorded_gradients_add_up():
    """Two recorded walks add up to a gradient that can itself be differentiated."""
    x = Variable(np.array(3.0))
    (x**2).backward(create_graph=True)
    (x**3).backward(create_graph=True)
    gx = x.grad
    assert gx.data == 2 * 3 + 3 * 9
    x.cleargrad()
    gx.backward()
    assert x.grad.data == 2 + 6 * 3


def test_an_ordinary_gradient_is_a_constant():
    """Without create_graph the gradient has no history."""
    x = Variable(np.array(3.0))
    (x**2).backward()
    assert not x.grad.requires_grad
