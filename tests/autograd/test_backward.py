"""The backward walk: what it adds up, where it starts, what it leaves out, and what happens after an error."""

import threading

import numpy as np
import pytest

import minitorch
import minitorch.functions as F
from minitorch import Config, Variable, no_grad, using_config
from minitorch.errors import GraphError, ShapeError


def counted(rule_calls):
    """A product of two whose rules write down which of them was called."""

    @minitorch.primitive
    def product(a, b):
        return a * b

    def rule_a(g, y, a, b):
        rule_calls.append("a")
        return g * b

    def rule_b(g, y, a, b):
        rule_calls.append("b")
        return g * a

    product.defvjp(rule_a, rule_b)
    return product


def test_gradient_of_a_composition(device):
    """The chain rule: d/dx exp(x**2)**2 = 4 x exp(x**2)**2."""
    x = Variable(device.put(np.array([0.5, -0.3])))
    y = F.exp(x**2) ** 2
    y.backward()
    np.testing.assert_allclose(device.get(x.grad.data), 4 * device.get(x.data) * device.get(y.data))


def test_a_variable_used_many_times(device):
    """All uses add up, also within one operation."""
    x = Variable(device.put(np.array([2.0, 3.0])))
    y = x * x + x + x * 1.0 - x / x + F.concat([x, x, x])[2:4]
    y.backward()
    np.testing.assert_allclose(device.get(x.grad.data), 2 * device.get(x.data) + 3)


def test_diamonds_are_walked_once():
    """In a ladder of 60 diamonds, which has 2**60 paths, each rule is called once."""
    calls = []
    product = counted(calls)
    x = Variable(np.array(1.0))
    y = x
    for _ in range(60):
        y = product(y, 1.0) + product(y, 1.0)
        y = y * 0.5
    y.backward()
    assert x.grad.data == 1.0
    assert len(calls) == 120


def test_a_node_waits_for_its_longest_path():
    """A Variable used at once and again far down gets both gradients before it is passed."""
    x = Variable(np.array(2.0))
    a = x * 3.0
    b = a
    for _ in range(10):
        b = b * 1.0 + 0.0
    (a + b).backward()
    assert x.grad.data == 6.0


def test_walks_add_up_until_cleargrad():
    """A second backward adds to `grad`; cleargrad starts anew."""
    x = Variable(np.ones(3))
    (x * 2).backward()
    (x * 3).backward()
    np.testing.assert_array_equal(x.grad.data, [5, 5, 5])
    x.cleargrad()
    assert x.grad is None
    (x * 2).backward()
    np.testing.assert_array_equal(x.grad.data, [2, 2, 2])


def test_interior_gradients_are_dropped():
    """Without retain_grad only leaves have a gradient after a walk; the output has none either."""
    x = Variable(np.ones(3))
    y = x * 2
    z = y * 3
    z.backward()
    assert (y.grad, z.grad) == (None, None)
    assert x.grad is not None


@pytest.mark.parametrize("shape", [(), (2,)], ids=str)
@pytest.mark.parametrize("create_graph", [False, True])
def test_retain_grad_keeps_interior_gradients(shape, create_graph, device):
    """With retain_grad all Variables on the way have theirs, each an array of its own."""
    x = Variable(device.xp.ones(shape))
    a, b = x * 2, x * 5
    y = a + b
    y.backward(retain_grad=True, create_graph=create_graph)
    for v, expected in ((y, 1), (a, 1), (b, 1), (x, 7)):
        np.testing.assert_array_equal(device.get(v.grad.data), np.full(shape, expected))
    y.grad.data[...] = 100
    a.grad.data[...] = 200
    np.testing.assert_array_equal(device.get(b.grad.data), np.ones(shape))


def test_backward_of_a_leaf():
    """The gradient of a leaf for itself is one, or what was set."""
    x = Variable(np.full(2, 3.0))
    x.backward()
    np.testing.assert_array_equal(x.grad.data, [1, 1])
    x.backward()
    np.testing.assert_array_equal(x.grad.data, [1, 1])
    x.grad = Variable(np.array([2.0, 5.0]))
    x.backward()
    np.testing.assert_array_equal(x.grad.data, [2, 5])


@pytest.mark.parametrize("create_graph", [False, True])
def test_the_walk_starts_from_grad(create_graph, device):
    """A gradient set on the output is what the walk starts from, brought to the dtype of the output."""
    x = Variable(device.put(np.ones(3, np.float32)))
    y = F.exp(x)
    y.grad = Variable(device.put([0.0, 2.0, -1.0]))
    y.backward(create_graph=create_graph)
    np.testing.assert_allclose(device.get(x.grad.data), np.exp(1) * np.array([0, 2, -1]), rtol=1e-6)
    assert x.grad.dtype == np.float32
    assert y.grad is None


def test_a_zero_to_start_from_counts():
    """A gradient of 0 that was set is not taken for none."""
    x = Variable(np.array(3.0))
    y = x * x
    y.grad = Variable(np.array(0.0))
    y.backward(create_graph=True)
    assert x.grad.data == 0.0


def test_the_start_can_be_differentiated():
    """Under create_graph the gradient that was set is part of the graph: d/dv <v, 2x> = 2x."""
    x, v = Variable(np.array([1.0, 2.0])), Variable(np.array([1.0, 1.0]))
    y = x * x
    y.grad = v
    y.backward(create_graph=True)
    x.grad.sum().backward()
    np.testing.assert_array_equal(v.grad.data, [2, 4])


def test_a_start_of_another_shape_is_refused():
    """`grad` must have the shape of its Variable, also where the array was changed after it; nothing is broadcast."""
    y = Variable(np.ones(3)) * 2
    y.grad = Variable(np.ones(3))
    y.grad.data = np.ones(1)
    with pytest.raises(ShapeError, match=r"^backward: grad has shape \(1,\), its Variable \(3,\); they must be equal$"):
        y.backward()


def test_constants_get_no_gradient():
    """No rule is called for an array, a number, or a Variable with requires_grad=False."""
    for constant in (np.ones(3), 2.0, Variable(np.ones(3), requires_grad=False)):
        calls = []
        product = counted(calls)
        x = Variable(np.ones(3))
        product(product(x, constant), constant).backward()
        product(constant, product(constant, x)).backward()
        assert calls == ["a", "a", "b", "b"]


def test_constants_of_constants():
    """What is computed from constants only is a constant, which has no backward and keeps no graph."""
    c = Variable(np.ones(3), requires_grad=False)
    y = F.exp(c) + 1
    assert not y.requires_grad
    assert y.node is None
    with pytest.raises(
        GraphError,
        match=r"^backward: this Variable is a constant \(made with requires_grad=False, from constants only, or under "
        r"no_grad\), so there is nothing to differentiate; compute it from a Variable outside no_grad$",
    ):
        y.backward()


def test_no_grad_as_block_and_decorator():
    """Under no_grad nothing is recorded, also in functions that it decorates; afterwards everything is again."""
    x = Variable(np.ones(3))

    @no_grad()
    def double(v):
        return v * 2

    with no_grad():
        inside = [x * 2, F.exp(x), F.softmax_cross_entropy(x.reshape(1, 3), np.array([0])), x[0], x.sum()]
    assert [y.requires_grad for y in inside] == [False] * 5
    assert [double(x).requires_grad, double(x).requires_grad] == [False, False]
    assert (x * 2).requires_grad


def test_no_grad_in_the_middle():
    """What was computed under no_grad is a constant further on."""
    x = Variable(np.array(3.0))
    with no_grad():
        frozen = x * 2
    (frozen * x).backward()
    assert x.grad.data == 6.0


def test_a_recorded_backward_records_also_under_no_grad():
    """`create_graph=True` asks for a record, and gets it."""
    x = Variable(np.zeros((1, 2)))
    y = F.softmax_cross_entropy(x, np.array([0]))
    with no_grad():
        y.backward(create_graph=True)
    np.testing.assert_allclose(x.grad.data, [[-0.5, 0.5]])
    assert x.grad.requires_grad
    assert Config.enable_backprop


def test_flags_are_per_thread():
    """no_grad in one thread changes nothing in another."""
    x = Variable(np.ones(3))
    inside, done = threading.Event(), threading.Event()
    seen = {}

    def other():
        with no_grad():
            inside.set()
            done.wait(60)
            seen["other"] = (x * 2).requires_grad
        seen["after"] = (x * 2).requires_grad

    thread = threading.Thread(target=other)
    thread.start()
    assert inside.wait(60)
    seen["here"] = (x * 2).requires_grad
    done.set()
    thread.join()
    assert seen == {"other": False, "here": True, "after": True}


def test_an_error_in_a_rule_leaves_things_usable():
    """An exception in a rule comes out as it is; flags, leaves and new graphs are as before."""

    @minitorch.primitive
    def broken(a):
        return a * 1

    def rule(g, y, a):
        raise ZeroDivisionError("planted")

    broken.defvjp(rule)
    x = Variable(np.ones(2))
    for how in ({}, {"create_graph": True}):
        with pytest.raises(ZeroDivisionError, match="planted"):
            (broken(x) * 2).backward(**how)
    assert Config.enable_backprop
    (x * 3).backward()
    np.testing.assert_array_equal(x.grad.data, [3, 3])


def test_errors_of_a_forward_name_operation_and_operands():
    """An operation that fails says its name, what it was given, and what to do about it."""
    with pytest.raises(
        ShapeError,
        match=r"^add: operands could not be broadcast together with shapes \(2,\) \(3,\) ?; got float64\(2,\), "
        r"float32\(3,\); aligned from the right, sizes must be equal or 1: use reshape or expand_dims$",
    ):
        Variable(np.ones(2)) + np.ones(3, np.float32)


def test_flags_can_be_set_by_name():
    """using_config switches recording like no_grad does."""
    with using_config("enable_backprop", False):
        assert not (Variable(np.ones(2)) * 2).requires_grad


@pytest.mark.parametrize("shape", [(), (1,), (3,)], ids=str)
def test_sums_of_gradients_change_no_array_of_others(shape, device):
    """What arrives at a leaf is added up in an array of its own: not in data, nor in other gradients."""
    x, b = (Variable(device.put(np.full(shape, value))) for value in (3.0, 5.0))
    products = x * b
    y = products + x + x * 2.0 + x + b
    y.backward(retain_grad=True)
    np.testing.assert_array_equal(device.get(x.grad.data), np.full(shape, 9.0))
    np.testing.assert_array_equal(device.get(b.grad.data), np.full(shape, 4.0))
    for variable, data, grad in ((x, 3.0, 9.0), (b, 5.0, 4.0), (products, 15.0, 1.0), (y, 32.0, 1.0)):
        np.testing.assert_array_equal(device.get(variable.data), np.full(shape, data))
        np.testing.assert_array_equal(device.get(variable.grad.data), np.full(shape, grad))
    x.grad.data[...] = 0.0
    np.testing.assert_array_equal(device.get(products.grad.data), np.full(shape, 1.0))
