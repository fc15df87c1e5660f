"""`Fused`: an operation with kernels of its own is the composition that defines it, to any order."""

import weakref

import numpy as np
import pytest

import minitorch.functions as F
from minitorch import Fused, Variable
from minitorch.errors import GraphError, ShapeError
from minitorch.ops.elementwise import exp
from minitorch.ops.softmax import softmax_cross_entropy
from minitorch.utils import directional_check


def scaled_gaussian(x, s, *, power=2):
    """The definition: s exp(-x**power)."""
    return s * exp(-(x**power))


def kernel(x, s, *, power=2):
    e = np.exp(-(x**power))
    return s * e, (e, x ** (power - 1))


def wrong_kernel(x, s, *, power=2):
    y, saved = kernel(x, s, power=power)
    return y * 1.5, saved


calls = []


def backward_kernel(g, y, saved, wanted, x, s, *, power=2):
    calls.append(wanted)
    e, slope = saved
    gx = -power * g * y * slope if wanted[0] else None
    gs = (g * e).sum().reshape(s.shape) if wanted[1] else None
    return gx, gs


gaussian = Fused(reference=scaled_gaussian, forward=kernel, backward=backward_kernel, argnums=(0, 1), name="gaussian")
X, S = np.array([0.5, -0.2, 1.0]), np.array([2.0])


@pytest.mark.parametrize("power", [2, 3])
def test_forward_and_backward_are_those_of_the_reference(power):
    """The kernels give the numbers of the definition."""
    results = []
    for f in (gaussian, scaled_gaussian):
        x, s = Variable(X), Variable(S)
        y = f(x, s, power=power)
        y.backward()
        results.append([y.data, x.grad.data, s.grad.data])
    for one, other in zip(*results, strict=True):
        np.testing.assert_allclose(one, other)


def test_higher_derivatives_go_through_the_reference():
    """Derivatives to third order are right, though the kernels know only the first."""
    directional_check(gaussian, [X, S], order=3)
    directional_check(lambda x, s: gaussian(x * 1.0, s * 2.0), [X, S], order=2)
    directional_check(lambda x: gaussian(x, S), [X], order=3)


def test_the_kernel_is_used_and_told_what_is_wanted():
    """A first-order walk calls the backward kernel once, with the arguments that want a gradient."""
    calls.clear()
    gaussian(Variable(X), Variable(S)).backward()
    gaussian(Variable(X), S).backward()
    gaussian(X, Variable(S)).backward()
    assert calls == [(True, True), (True, False), (False, True)]
    gaussian(Variable(X), Variable(S)).backward(create_graph=True)
    assert len(calls) == 3


def test_plain_arrays_give_a_plain_array():
    """Called on arrays it returns an array."""
    assert isinstance(gaussian(X, S), np.ndarray)


def test_saved_arrays_are_freed():
    """What the forward saved is let go of by the walk, and by dropping the output."""
    for walk in (True, False):
        y = gaussian(Variable(X), Variable(S))
        saved = weakref.ref(y.node.params["saved"][0])
        if walk:
            y.backward()
        else:
            del y
        assert saved() is None


def test_an_argument_may_appear_twice():
    """One Variable in two places gets both gradients, in both kinds of walk."""
    for how in ({}, {"create_graph": True}):
        x = Variable(np.array([0.5]))
        y = gaussian(x, x)
        y.backward(**how)
        np.testing.assert_allclose(x.grad.data, np.exp(-0.25) * (1 - 2 * 0.25))


def test_an_argument_the_reference_ignores():
    """What the definition does not depend on has the gradient zero, and does not hold up the walk."""
    ignores = Fused(
        reference=lambda a, b: a * 2.0,
        forward=lambda a, b: (a * 2.0, None),
        backward=lambda g, y, saved, wanted, a, b: (g * 2.0, np.zeros_like(b)),
        argnums=(0, 1),
        name="ignores",
    )
    for how in ({}, {"create_graph": True}):
        a, b = Variable(np.ones(2)), Variable(np.ones(2))
        ignores(a, b * 3.0).backward(**how)
        np.testing.assert_array_equal(a.grad.data, [2, 2])
        np.testing.assert_array_equal(b.grad.data, [0, 0])


def test_constants_are_not_differentiated():
    """Labels have no gradient, also where they are Variables; of constants alone nothing is recorded."""
    x, t = Variable(np.zeros((2, 3))), Variable(np.array([0, 1]))
    loss = softmax_cross_entropy(x, t.data)
    assert softmax_cross_entropy(x.data, t.data).shape == ()
    loss.backward()
    F.softmax_cross_entropy(x, t).backward()
    assert t.grad is None
    assert not F.softmax_cross_entropy(x.data, t.data).requires_grad


def test_errors_name_the_operation():
    """A forward that fails, and a graph that is gone, are named like those of any primitive."""
    with pytest.raises(
        ShapeError, match=r"^gaussian: operands could not be broadcast.*; got float64\(3,\), float64\(2,"
    ):
        gaussian(Variable(X), np.ones(2))
    y = gaussian(Variable(X), S)
    y.backward()
    with pytest.raises(GraphError, match=r"at the operation gaussian"):
        y.backward()


def test_a_wrong_kernel_is_found():
    """The check by differences tells a kernel that is not its reference."""
    wrong = Fused(reference=scaled_gaussian, forward=wrong_kernel, backward=backward_kernel, argnums=(0, 1))
    assert wrong.name == "scaled_gaussian"
    with pytest.raises(AssertionError, match=r"^order 1: backpropagation gives "):
        directional_check(wrong, [X, S], order=1)
