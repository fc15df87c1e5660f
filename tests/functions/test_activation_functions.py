"""Activations: leaky relu, elu, softplus, silu, gelu."""

import math

import numpy as np
import pytest

import minitorch.functions as F
from minitorch import Variable, using_config
from minitorch.errors import ConfigError
from minitorch.ops.activation import erf

X = np.array([-3.0, -1.0, -0.1, 0.0, 0.5, 2.0])

# of PyTorch 2.13 in float64: torch.nn.functional.leaky_relu(x, 0.2), .elu(x, 0.5), .softplus(x), .silu(x), .gelu(x) and
# .gelu(x, approximate="tanh") for x = torch.tensor([-3, -1, -0.1, 0, 0.5, 2], dtype=torch.float64)
GOLDEN = {
    "leaky_relu": (F.leaky_relu, [-0.6, -0.2, -0.02, 0.0, 0.5, 2.0]),
    "elu": (lambda x: F.elu(x, 0.5), [-0.475106466, -0.316060279, -0.047581291, 0.0, 0.5, 2.0]),
    "softplus": (F.softplus, [0.048587352, 0.313261688, 0.64439666, 0.693147181, 0.974076984, 2.126928011]),
    "silu": (F.silu, [-0.14227762, -0.268941421, -0.047502081, 0.0, 0.311229666, 1.761594156]),
    "gelu": (F.gelu, [-0.004049694, -0.158655254, -0.046017216, 0.0, 0.345731231, 1.954499736]),
    "gelu tanh": (
        lambda x: F.gelu(x, approximate="tanh"),
        [-0.003637392, -0.158808009, -0.046017249, 0.0, 0.34571401, 1.954597694],
    ),
}
each_activation = pytest.mark.parametrize("name", GOLDEN)


@each_activation
def test_golden_values(name, device):
    """Each activation gives the numbers that PyTorch gives."""
    f, expected = GOLDEN[name]
    np.testing.assert_allclose(device.get(f(device.put(X)).data), expected, atol=1e-9)


@each_activation
def test_like_torch(name):
    """Each activation and its derivative agree with PyTorch's on random numbers."""
    torch = pytest.importorskip("torch")
    T = torch.nn.functional
    theirs = {
        "leaky_relu": lambda x: T.leaky_relu(x, 0.2),
        "elu": lambda x: T.elu(x, 0.5),
        "softplus": T.softplus,
        "silu": T.silu,
        "gelu": T.gelu,
        "gelu tanh": lambda x: T.gelu(x, approximate="tanh"),
    }[name]
    x = np.random.default_rng(0).normal(0, 3, (40, 50)).astype(np.float32)
    ours, x_torch = Variable(x), torch.tensor(x, requires_grad=True)
    y, y_torch = GOLDEN[name][0](ours), theirs(x_torch)
    y.sum().backward()
    y_torch.sum().backward()
    np.testing.assert_allclose(y.data, y_torch.detach().numpy(), rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(ours.grad.data, x_torch.grad.numpy(), rtol=1e-5, atol=1e-5)


def test_derivatives_at_0():
    """Where an activation has a corner or none, its derivative at 0 is what its docstring says."""
    expected = {"leaky_relu": 0.2, "elu": 0.5, "softplus": 0.5, "silu": 0.5, "gelu": 0.5, "gelu tanh": 0.5}
    for name, (f, _) in GOLDEN.items():
        x = Variable(np.zeros(1))
        f(x).backward()
        assert x.grad.data == pytest.approx(expected[name]), name


def test_far_from_0():
    """Far out nothing overflows: on the right each is the identity, on the left it has reached its limit."""
    x = Variable(np.array([-1000.0, 1000.0], np.float32))
    for name, (f, _) in GOLDEN.items():
        left = {"leaky_relu": -200.0, "elu": -0.5}.get(name, 0.0)
        x.cleargrad()
        y = f(x)
        y.backward()
        np.testing.assert_allclose(y.data, [left, 1000.0], rtol=1e-6, atol=1e-6, err_msg=name)
        np.testing.assert_allclose(x.grad.data, [0.2 if name == "leaky_relu" else 0.0, 1.0], atol=1e-6, err_msg=name)


def test_nan_stays_nan():
    """An undefined number is not made a number."""
    for name, (f, _) in GOLDEN.items():
        assert np.isnan(f(np.array([np.nan])).data).all(), name


def test_leaky_relu_with_any_slope():
    """A slope above 1 or below 0 is a slope like others: the left side is never clipped."""
    np.testing.assert_array_equal(F.leaky_relu(np.array([-2.0, 3.0]), 1.5).data, [-3.0, 3.0])
    np.testing.assert_array_equal(F.leaky_relu(np.array([-2.0, 3.0]), -1.0).data, [2.0, 3.0])


@pytest.mark.parametrize(("dtype", "ulps"), [(np.float64, 16), (np.float32, 8)])
def test_erf_is_right_to_rounding(dtype, ulps):
    """The error function is within a few units in the last place of the C library's, from the smallest to 1."""
    x = np.concatenate([np.linspace(-7, 7, 20001), np.logspace(-30, 0, 500)]).astype(dtype)
    expected = np.array([math.erf(v) for v in x])
    y = erf(x)
    assert y.dtype == dtype
    assert np.max(np.abs(y - expected) / np.spacing(np.abs(expected).astype(dtype)).astype(float)) < ulps
    assert np.abs(y).max() == 1


@using_config("use_onednn", False)
def test_gelu_of_several_blocks_is_the_same():
    """Large arrays, which are computed in blocks, give the numbers of small ones, whatever their layout."""
    x = np.random.default_rng(0).normal(0, 2, (300, 301)).astype(np.float32)
    for f in (F.gelu, F.silu, lambda x: F.gelu(x, approximate="tanh")):
        whole, by_row = Variable(x), [Variable(row.copy()) for row in x]
        y = f(whole)
        y.sum().backward()
        ys = [f(row) for row in by_row]
        for row in ys:
            row.sum().backward()
        # NumPy's vector loops may round the last few elements of an array in another way
        np.testing.assert_allclose(y.data, [row.data for row in ys], rtol=1e-6)
        np.testing.assert_allclose(whole.grad.data, [row.grad.data for row in by_row], rtol=1e-6, atol=1e-6)
        np.testing.assert_allclose(f(x.T).data, y.data.T, rtol=1e-6)


def test_gelu_of_half_precision():
    """float16 comes out as float16, right to its rounding, far out too."""
    y = F.gelu(np.array([-60000.0, -1.0, 0.5, 60000.0], np.float16))
    assert y.dtype == np.float16
    np.testing.assert_allclose(y.data, [0.0, -0.158655254, 0.345731231, 60000.0], rtol=2e-3)


def test_gelu_form_is_named():
    """An unknown form of gelu is refused, with the forms there are."""
    with pytest.raises(ConfigError, match="gelu: approximate is 'erf'; it is 'none' or 'tanh'"):
        F.gelu(X, approximate="erf")
