"""What the kernels compute is what the functions are by definition, to second order, on every device."""

import numpy as np
import pytest

import minitorch.functions as F
from minitorch import Variable, as_numpy
from minitorch.autograd.backward import gradients

LABELS = np.array([2, 0, 1, 1])
IMAGES = (2, 3, 6, 5)

# for each case the function, the shapes of its arrays, and its other arguments
CASES = {
    "linear": ("linear", [(4, 3), (3, 5), (5,)], {}),
    "linear, no b": ("linear", [(4, 3), (3, 5)], {}),
    "sigmoid": ("sigmoid", [(4, 3)], {}),
    "softmax": ("softmax", [(4, 3)], {}),
    "softmax, axis": ("softmax", [(4, 3)], {"axis": 0}),
    "mean_squared_error": ("mean_squared_error", [(4, 3), (4, 3)], {}),
    "softmax_cross_entropy": ("softmax_cross_entropy", [(4, 3)], {"t": LABELS}),
    "conv2d": ("conv2d", [IMAGES, (4, 3, 3, 2), (4,)], {"stride": (2, 1), "pad": (1, 2)}),
    "conv2d, no b": ("conv2d", [IMAGES, (4, 3, 2, 2)], {}),
    "pooling": ("pooling", [IMAGES], {"kernel_size": (3, 2), "stride": 2}),
}


def derivatives(f, arrays, arguments, put):
    """What `f` gives, the gradients for all arrays, and the gradients of the sum of their squares."""
    xs = [Variable(a) for a in arrays]
    y = f(*xs, **arguments)
    g = Variable(put(np.random.default_rng(1).standard_normal(y.shape)))
    firsts = gradients(y, xs, g, create_graph=True)
    squares = F.sum(F.stack([F.sum(first**2) for first in firsts]))
    return [y, *firsts, *gradients(squares, [*xs, g], put(1.0), create_graph=False)]


@pytest.mark.parametrize("name", CASES)
def test_kernels_compute_what_is_defined(name, device):
    """Value, gradients, and their gradients, are those of the formula in `functions/definitions.py`."""
    function, shapes, arguments = CASES[name]
    rng = np.random.default_rng(0)
    arrays = [device.put(rng.standard_normal(shape)) for shape in shapes]
    arguments = {key: device.put(a) if isinstance(a, np.ndarray) else a for key, a in arguments.items()}
    kernel, definition = getattr(F, function), getattr(F, f"{function}_simple")
    found, expected = (derivatives(f, arrays, arguments, device.put) for f in (kernel, definition))
    for a, b in zip(found, expected, strict=True):
        np.testing.assert_allclose(as_numpy(0 if a is None else a), as_numpy(0 if b is None else b), 1e-9, 1e-11)


def test_every_definition_has_a_case():
    """Whoever adds a definition adds a line to CASES."""
    assert {f"{function}_simple" for function, *_ in CASES.values()} == {
        name for name in F.__all__ if name.endswith("_simple")
    }
