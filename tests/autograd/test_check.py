"""Gradient checks: they pass what is right and find what is wrong."""

import numpy as np
import pytest

import minitorch
import minitorch.functions as F
from minitorch import Variable
from minitorch.errors import GraphError
from minitorch.utils import array_allclose, array_equal, directional_check, gradient_check, numerical_grad


def with_rule(forward, *rules):
    """A primitive made of a function and its rules."""
    op = minitorch.primitive(forward)
    op.defvjp(*rules)
    return op


def as_array(a):
    return a.data if isinstance(a, Variable) else a


right = with_rule(lambda a: a**3, lambda g, y, a: 3 * g * a**2)
wrong = with_rule(lambda a: a**3, lambda g, y, a: 3.01 * g * a**2)
not_differentiable_twice = with_rule(lambda a: a**3, lambda g, y, a: 3 * g * as_array(a) ** 2)


def test_numerical_grad(device):
    """Differences give the gradient of the sum of the outputs, as an array of the device, in float64."""
    for x in (Variable(device.put(np.array([[1.0, -2.0]], np.float32))), device.put([[1.0, -2.0]])):
        g = numerical_grad(lambda v: v**3, x)
        np.testing.assert_allclose(device.get(g), [[3, 12]], rtol=1e-6)
        assert g.dtype == np.float64


def test_numerical_grad_passes_arguments_on():
    """Further arguments reach the function."""
    np.testing.assert_allclose(numerical_grad(F.clip, np.array([0.5, 2.0]), 0.0, x_max=1.0), [1, 0], atol=1e-8)
    np.testing.assert_allclose(numerical_grad(F.exp, np.array(0.0)), 1.0)


def test_gradient_check_passes_what_is_right(device, capsys):
    """True for a right gradient, and nothing is written."""
    x = Variable(device.put(np.random.default_rng(0).standard_normal((2, 3))))
    assert gradient_check(right, x)
    assert gradient_check(F.mean_squared_error, x, device.put(np.zeros((2, 3))))
    assert gradient_check(F.clip, x, x_min=-1.0, x_max=1.0)
    assert gradient_check(lambda v: v.sum(), device.put(np.ones(3, np.float32)))
    assert capsys.readouterr().err == ""
    assert x.grad is None


def test_gradient_check_finds_what_is_wrong(device, capsys):
    """False for a gradient wrong by a third of a percent, after writing both gradients."""
    assert not gradient_check(wrong, device.put([1.0, 2.0]))
    written = capsys.readouterr().err
    assert "by differences:\n[ 3.0" in written
    assert "by backpropagation:\n[ 3.01" in written
    assert gradient_check(wrong, device.put([1.0, 2.0]), rtol=1e-2)


def test_gradient_check_of_what_does_not_depend_on_x():
    """A function that ignores its argument has the gradient zero; one of constants alone is an error."""
    w = Variable(np.ones(2))
    assert gradient_check(lambda x: w * 1.0, np.ones(2))
    with pytest.raises(GraphError, match=r"^backward: this Variable is a constant"):
        gradient_check(lambda x: Variable(x.data, requires_grad=False), np.ones(2))


def test_directional_check_looks_at_every_order(device):
    """A gradient that is wrong, or that does not stay differentiable, is found at its order."""
    x = device.put([0.5, -1.5])
    directional_check(right, [x], order=3)
    with pytest.raises(
        AssertionError, match=r"^order 1: backpropagation gives .* along a random direction, differences"
    ):
        directional_check(wrong, [x], order=1)
    directional_check(not_differentiable_twice, [x], order=1)
    with pytest.raises(AssertionError, match=r"^order 2: "):
        directional_check(not_differentiable_twice, [x], order=2)


def test_directional_check_tells_arguments_apart():
    """Gradients given to the wrong argument are found."""
    swapped = with_rule(lambda a, b: a * b * b, lambda g, y, a, b: 2 * g * a * b, lambda g, y, a, b: g * b * b)
    with pytest.raises(AssertionError, match=r"^order 1: "):
        directional_check(swapped, [np.array([1.0, 2.0]), np.array([3.0, 5.0])])


def test_comparison_of_arrays(device):
    """array_equal and array_allclose compare arrays and Variables wherever they live."""
    a, b = Variable(device.put([1.0, 2.0])), np.array([1.0, 2.0])
    assert array_equal(a, b)
    assert not array_equal(a, b[:1])
    assert array_allclose(a, b + 1e-7)
    assert not array_allclose(a, b + 1e-3)
