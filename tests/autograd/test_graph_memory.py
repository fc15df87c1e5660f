"""The memory of a graph: what a walk frees and keeps, and that gradients share none."""

import gc
import weakref

import numpy as np
import pytest

import minitorch
import minitorch.functions as F
from minitorch import Parameter, Variable
from minitorch.errors import GraphError


def test_the_graph_is_freed():
    """A second walk is an error that says what to do."""
    x = Variable(np.ones(3))
    y = F.tanh(x * 2)
    y.backward()
    with pytest.raises(
        GraphError,
        match=r"^backward: the graph was freed by an earlier backward \(at the operation tanh\); to walk it twice pass "
        r"retain_grad=True or create_graph=True the first time, or compute the output again$",
    ):
        y.backward()
    with pytest.raises(GraphError, match=r"freed by an earlier backward \(at the operation tanh\)"):
        (y * 2).backward()


@pytest.mark.parametrize("how", ["retain_grad", "create_graph"])
def test_a_kept_graph_is_walked_again(how):
    """With retain_grad or create_graph the graph stays, and a second walk adds the same again."""
    x = Variable(np.ones(3))
    y = F.tanh(x * 2) ** 2
    y.backward(**{how: True})
    once = x.grad.data.copy()
    y.backward()
    np.testing.assert_allclose(x.grad.data, 2 * once)


def test_arrays_die_in_backward(device):
    """What only the graph held is gone right after the walk, without the cycle collector; so are saved arrays."""
    gc.disable()
    try:
        x = Variable(device.put(np.ones((2, 3))))
        hidden = F.exp(x)
        loss = F.softmax_cross_entropy(F.tanh(hidden * 2), device.put([0, 1]))
        saved = loss.node.params["saved"]
        refs = [weakref.ref(hidden.data), weakref.ref(saved)]
        del hidden, saved
        assert all(ref() is not None for ref in refs)
        loss.backward()
        assert [ref() for ref in refs] == [None, None]
    finally:
        gc.enable()


def test_an_unused_graph_dies_with_its_output():
    """Dropping the output drops the graph at once, without the cycle collector."""
    gc.disable()
    try:
        x = Variable(np.ones(3))
        hidden = F.exp(x)
        y = hidden * hidden
        ref = weakref.ref(hidden.data)
        del hidden
        assert ref() is not None
        del y
        assert ref() is None
    finally:
        gc.enable()


def test_a_training_step_leaves_no_garbage(device):
    """Nothing is left to the cycle collector after a whole step: forward, backward, hooks, update."""
    model = minitorch.models.Sequential(minitorch.layers.Linear(4), F.relu, F.dropout, minitorch.layers.Linear(3))
    if device.name != "cpu":
        model.to_gpu()
    optimizer = minitorch.optimizers.Adam().setup(model)
    optimizer.add_hook(minitorch.optimizers.WeightDecay(1e-4)).add_hook(minitorch.optimizers.ClipGrad(1.0))
    x, t = device.put(np.ones((5, 2), np.float32)), device.put([0, 1, 2, 0, 1])

    def step():
        loss = F.softmax_cross_entropy(model(x), t)
        model.cleargrads()
        loss.backward()
        optimizer.update()

    step()
    gc.collect()
    gc.disable()
    try:
        step()
        assert gc.collect() == 0
    finally:
        gc.enable()


def test_gradients_of_gradients_leave_no_garbage_once_they_are_cleared():
    """A leaf and a gradient with a history hold each other; `cleargrad` parts them, and all is freed."""
    F.tanh(Variable(np.ones(3)))  # the first use loads a module
    gc.collect()
    gc.disable()
    try:
        x = Variable(np.ones(3))
        F.tanh(x).backward(create_graph=True)
        gx = x.grad
        x.cleargrad()
        gx.backward(create_graph=True)
        x.cleargrad()
        del x, gx
        assert gc.collect() == 0
    finally:
        gc.enable()


@pytest.mark.parametrize("walk", [True, False])
def test_deep_graphs(walk):
    """20,000 operations in a row are walked and dropped without a deep recursion."""
    x = Variable(np.ones(1))
    y = x
    for _ in range(20_000):
        y = y + x
    if walk:
        y.backward()
        assert x.grad.data == 20_001
    ref = weakref.ref(y.node)
    del y
    assert ref() is None


def test_leaf_gradients_share_nothing(device):
    """A gradient may be changed in place: no other gradient, output or input changes with it."""
    a, b = Variable(device.put(np.ones(3))), Variable(device.put(np.ones(3)))
    y = a + b
    start = Variable(device.put(np.full(3, 7.0)))
    y.grad = start
    y.backward()
    a.grad.data += 100
    assert device.get(b.grad.data).tolist() == [7, 7, 7]
    assert device.get(start.data).tolist() == [7, 7, 7]
    assert device.get(y.data).tolist() == [2, 2, 2]


@pytest.mark.parametrize(
    "f",
    [
        lambda x: x.sum(),
        lambda x: x.mean(axis=0),
        lambda x: x.reshape(6),
        lambda x: x.T,
        lambda x: F.broadcast_to(x, (4, 2, 3)),
        lambda x: F.sum_to(x, (1, 3)),
        lambda x: x[:],
        lambda x: F.concat([x, x]),
        lambda x: x + 0.0,
        lambda x: x * 1.0 + x,
    ],
)
@pytest.mark.parametrize("create_graph", [False, True])
def test_views_are_not_handed_out(f, create_graph, device):
    """After operations whose gradients are views, the gradient of a leaf is a writable array of its own."""
    p = Parameter(device.put(np.ones((2, 3))))
    y = f(p)
    y.grad = Variable(device.xp.ones(y.shape))
    start = y.grad
    y.backward(create_graph=create_graph)
    expected = device.get(p.grad.data) + 0.5
    minitorch.optimizers.WeightDecay(0.5)([p])
    np.testing.assert_array_equal(device.get(p.grad.data), expected)
    np.testing.assert_array_equal(device.get(start.data), np.ones(y.shape))
