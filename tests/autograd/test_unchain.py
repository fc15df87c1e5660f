"""Cutting the graph: `unchain`, `unchain_backward`, and truncated backpropagation through time."""

import gc
import weakref

import numpy as np
import pytest

import minitorch.functions as F
from minitorch import Parameter, Variable


def test_unchain_makes_a_leaf():
    """Gradients stop at an unchained Variable, also in what was computed from it before."""
    x = Variable(np.array(2.0))
    y = x * 3
    z = y * 5
    y.unchain()
    z.backward()
    assert x.grad is None
    assert y.grad.data == 5.0


def test_unchain_backward_cuts_behind():
    """What the output was computed from becomes leaves; the output itself keeps its last operation."""
    x = Variable(np.array(2.0))
    a = x * 3
    b = a * 5
    y = a * b
    y.unchain_backward()
    y.backward()
    assert x.grad is None
    assert (a.grad.data, b.grad.data) == (30.0, 6.0)


def test_unchaining_leaves_and_constants_does_nothing():
    """There is nothing to cut behind a leaf or a constant."""
    for v in (Variable(np.ones(2)), Variable(np.ones(2), requires_grad=False)):
        before = v.requires_grad
        v.unchain()
        v.unchain_backward()
        assert v.requires_grad == before


@pytest.mark.parametrize("every", [1, 2, 3])
def test_truncated_backpropagation_through_time(every):
    """The loop of the book's step 59: one loss grows over the sequence; each window gives its own gradient."""
    w = Parameter(np.array(0.5))
    h, loss, expected, found = Variable(np.array(1.0)), 0, [], []
    value, slope = 1.0, 0.0  # of h, and its derivative for w within the window
    total = 0.0
    for i in range(1, 7):
        h = w * h
        loss += F.mean_squared_error(h, 0.0)
        slope, value = value + w.data * slope, w.data * value
        total += 2 * value * slope
        if i % every == 0:
            w.cleargrad()
            loss.backward()
            loss.unchain_backward()
            found.append(float(w.grad.data))
            expected.append(total)
            slope = total = 0.0
    np.testing.assert_allclose(found, expected)


def test_truncation_lets_go_of_the_past():
    """Arrays of windows that are over are freed while the same loss goes on."""
    w = Parameter(np.array(0.5))
    h, loss, refs = Variable(np.array(1.0)), 0, []
    gc.disable()
    try:
        for _ in range(4):
            h = F.tanh(w * h)
            refs.append(weakref.ref(h.node))
            loss += h * h
            loss.backward()
            loss.unchain_backward()
        assert [ref() is None for ref in refs] == [True, True, True, False]
    finally:
        gc.enable()
