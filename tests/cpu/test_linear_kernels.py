"""The fully connected layer on the host: its definition in float64, however it is cut, and bits that stay."""

from typing import Any

import numpy as np
import pytest

from minitorch import Variable, no_grad, using_config
from minitorch.cpu import linear as on_host
from minitorch.cpu import threads
from minitorch.ops.linear import ACTIVATIONS, linear, linear_reference

Array = np.ndarray[Any, Any]
SHAPES = {
    "small": (3, 4, 5),
    "cut by columns": (100, 784, 1000),
    "cut by rows": (2 * on_host.ROWS + 100, 300, 200),
    "several pieces in a task": (17 * on_host.ROWS, 20, 30),
}


def arrays(shape: str) -> list[Array]:
    m, i, o = SHAPES[shape]
    draw = np.random.default_rng(0)
    return [draw.normal(0, s, n) for n, s in (((m, i), 1.0), ((i, o), i**-0.5), (o, 1.0), ((m, o), m**-0.5))]


def computed(f: Any, given: list[Array], act: str | None) -> list[Array]:
    """What `f` gives, and the gradients of x, W and b."""
    *leaves, g = [Variable(a) for a in given]
    y = f(*leaves, act=act)
    y.grad = g
    y.backward()
    return [y.data, *[leaf.grad.data for leaf in leaves]]


@pytest.mark.parametrize("act", [None, *ACTIVATIONS])
@pytest.mark.parametrize("shape", SHAPES)
def test_is_its_definition(shape: str, act: str | None) -> None:
    """Value and gradients in float32 are those of the reference in float64, to rounding."""
    given = arrays(shape)
    expected = computed(linear_reference, given, act)
    with using_config("use_onednn", False):
        actual = computed(linear, [a.astype(np.float32) for a in given], act)
    for a, e in zip(actual, expected, strict=True):
        assert a.dtype == np.float32
        np.testing.assert_allclose(a, e, rtol=1e-4, atol=2e-5)


@pytest.mark.parametrize("fast", [False, True])
@pytest.mark.parametrize("act", [None, *ACTIVATIONS])
@pytest.mark.parametrize("shape", SHAPES)
def test_bits_do_not_depend_on_the_number_of_threads(shape: str, act: str | None, fast: bool) -> None:
    """One, two or three threads give the same bits, forward and backward, with oneDNN where it is there and without."""
    given = [a.astype(np.float32) for a in arrays(shape)]
    bits = []
    for n in (1, 2, 3):
        threads.set_num_threads(n)
        with using_config("use_onednn", fast):
            bits.append([a.tobytes() for a in computed(linear, given, act)])
    assert bits[0] == bits[1] == bits[2]


@pytest.mark.parametrize("shape", SHAPES)
def test_nothing_is_kept_under_no_grad(shape: str) -> None:
    """The value is the same to the bit, and gelu keeps no derivative."""
    x, W, b, _ = [a.astype(np.float32) for a in arrays(shape)]
    recorded = linear(Variable(x), W, b, act="gelu").data
    with no_grad():
        y, (_, kept) = linear.forward(x, W, b, act="gelu")
    np.testing.assert_array_equal(y, recorded)
    assert np.shares_memory(kept, y)


@pytest.mark.parametrize("shape", SHAPES)
def test_only_what_is_wanted(shape: str) -> None:
    """A gradient that nobody wants is not computed, and the others are the same."""
    x, W, b, g = [a.astype(np.float32) for a in arrays(shape)]
    y, kept = linear.forward(x, W, b, act="sigmoid")
    whole = linear.backward(g, y, kept, (True,) * 3, x, W, b, act="sigmoid")
    for i in range(3):
        wanted = tuple(j == i for j in range(3))
        some = linear.backward(g, y, kept, wanted, x, W, b, act="sigmoid")
        assert [d is not None for d in some] == list(wanted)
        np.testing.assert_array_equal(some[i], whole[i])
