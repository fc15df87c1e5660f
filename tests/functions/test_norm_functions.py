"""Layer normalisation and group normalisation."""

import numpy as np
import pytest

import minitorch.functions as F
from minitorch import Variable
from minitorch.errors import ConfigError, ShapeError
from minitorch.utils import directional_check

X = np.array([[1.0, 2.0, 4.0, -1.0], [0.5, 0.5, 0.0, 3.0]])
GAMMA = np.array([1.0, 2.0, 0.5, -1.0])
BETA = np.array([0.0, 1.0, -1.0, 0.5])


def test_layer_norm_golden(device):
    """The numbers of PyTorch 2.13 in float64: torch.nn.functional.layer_norm(x, (4,), gamma, beta, 1e-5)."""
    y = F.layer_norm(device.put(X), device.put(GAMMA), device.put(BETA))
    expected = [
        [-0.277349671, 1.554699343, -0.306625821, 1.886748357],
        [-0.426399882, 0.147200236, -1.426399882, -1.205599529],
    ]
    np.testing.assert_allclose(device.get(y.data), expected, atol=1e-9)


def test_group_norm_golden(device):
    """The numbers of PyTorch 2.13 in float64: .group_norm(torch.arange(8.).reshape(1, 4, 2)**2, 2, gamma, beta)."""
    x = np.arange(8.0).reshape(1, 4, 2) ** 2
    y = F.group_norm(device.put(x), 2, device.put(GAMMA), device.put(BETA))
    expected = [
        [
            [-0.999999592, -0.714285423],
            [1.285714169, 4.14285586],
            [-1.628091676, -1.263393283],
            [0.135301608, -0.918271526],
        ]
    ]
    np.testing.assert_allclose(device.get(y.data), expected, atol=1e-9)


@pytest.mark.parametrize("shape", [(5, 7), (2, 3, 8), (6,)])
def test_layer_norm_like_torch(shape):
    """On random numbers, in float32, output and all gradients agree with PyTorch's."""
    torch = pytest.importorskip("torch")
    rng = np.random.default_rng(0)
    arrays = [
        a.astype(np.float32)
        for a in (rng.normal(2, 3, shape), rng.normal(size=shape[-1:]), rng.normal(size=shape[-1:]))
    ]
    check_like_torch(torch, F.layer_norm, lambda x, g, b: torch.nn.functional.layer_norm(x, x.shape[-1:], g, b), arrays)


@pytest.mark.parametrize(("shape", "groups"), [((2, 6, 3, 3), 3), ((4, 6), 2), ((2, 4, 5), 4), ((2, 4, 5), 1)])
def test_group_norm_like_torch(shape, groups):
    """On random numbers, in float32, output and all gradients agree with PyTorch's."""
    torch = pytest.importorskip("torch")
    rng = np.random.default_rng(0)
    arrays = [
        a.astype(np.float32) for a in (rng.normal(2, 3, shape), rng.normal(size=shape[1]), rng.normal(size=shape[1]))
    ]
    check_like_torch(
        torch,
        lambda x, g, b: F.group_norm(x, groups, g, b),
        lambda x, g, b: torch.nn.functional.group_norm(x, groups, g, b),
        arrays,
    )


def check_like_torch(torch, f, f_torch, arrays):
    """Outputs and gradients, weighted by random numbers, are equal."""
    xs, xs_torch = [Variable(a) for a in arrays], [torch.tensor(a, requires_grad=True) for a in arrays]
    y, y_torch = f(*xs), f_torch(*xs_torch)
    w = np.random.default_rng(1).normal(size=y.shape).astype(np.float32)
    (y * w).sum().backward()
    (y_torch * torch.tensor(w)).sum().backward()
    np.testing.assert_allclose(y.data, y_torch.detach().numpy(), rtol=1e-5, atol=1e-5)
    for x, x_torch in zip(xs, xs_torch, strict=True):
        np.testing.assert_allclose(x.grad.data, x_torch.grad.numpy(), rtol=1e-4, atol=1e-5)


def test_layer_norm_over_several_axes():
    """With a gamma of several axes the mean is over all of them."""
    x = np.random.default_rng(0).normal(size=(3, 2, 4))
    y = F.layer_norm(x, np.ones((2, 4)), np.zeros((2, 4))).data
    np.testing.assert_allclose(y.reshape(3, 8), F.layer_norm(x.reshape(3, 8), np.ones(8), np.zeros(8)).data)


def test_group_norm_between_layer_and_instance():
    """One group is layer normalisation over all but the batch; as many groups as channels normalise each channel."""
    x = np.random.default_rng(0).normal(size=(3, 4, 5))
    whole = F.group_norm(x, 1, np.ones(4), np.zeros(4)).data
    np.testing.assert_allclose(whole, F.layer_norm(x, np.ones((4, 5)), np.zeros((4, 5))).data, rtol=1e-12)
    each = F.group_norm(x, 4, np.ones(4), np.zeros(4)).data
    np.testing.assert_allclose(each, F.layer_norm(x, np.ones(5), np.zeros(5)).data, rtol=1e-12)


def test_equal_features():
    """Features without variance become beta, and their gradient is finite."""
    x = Variable(np.full((2, 4), 3.0, np.float32))
    y = F.layer_norm(x, GAMMA.astype(np.float32), BETA.astype(np.float32))
    y.sum().backward()
    np.testing.assert_array_equal(y.data, np.broadcast_to(BETA, (2, 4)))
    assert np.isfinite(x.grad.data).all()


def test_large_mean():
    """The variance does not drown in a large mean."""
    x = X.astype(np.float32) + 1e5
    y = F.layer_norm(x, np.ones(4, np.float32), np.zeros(4, np.float32)).data
    np.testing.assert_allclose(y, F.layer_norm(X, np.ones(4), np.zeros(4)).data, atol=2e-2)


def test_dtypes_may_differ():
    """Each gradient has the dtype of what it is for."""
    xs = [Variable(X), Variable(GAMMA.astype(np.float32)), Variable(BETA.astype(np.float32))]
    F.layer_norm(*xs).sum().backward()
    assert [x.grad.dtype for x in xs] == [np.float64, np.float32, np.float32]


@pytest.mark.parametrize(
    "f",
    [
        F.layer_norm,
        lambda x, g, b: F.layer_norm(x.reshape(1, 2, 4), g.reshape(2, 2).reshape(4), b),
        lambda x, g, b: F.layer_norm(x.reshape(2, 2, 2), g.reshape(2, 2), b.reshape(2, 2)),
        lambda x, g, b: F.group_norm(x, 2, g, b),
        lambda x, g, b: F.group_norm(x.reshape(1, 4, 2), 2, g, b),
    ],
)
def test_derivatives(f, device):
    """Each has the first and second derivatives that differences give, for all arguments."""
    directional_check(f, [device.put(a) for a in (X, GAMMA, BETA)])


def test_shapes_that_do_not_fit():
    """Gamma, beta and groups must fit the input; the message has all shapes."""
    with pytest.raises(ShapeError, match=r"layer_norm: gamma \(3,\) and beta \(4,\) do not fit x \(2, 4\)"):
        F.layer_norm(X, np.ones(3), BETA)
    with pytest.raises(ShapeError, match=r"layer_norm: gamma \(4,\) and beta \(3,\) do not fit x \(2, 4\)"):
        F.layer_norm(X, GAMMA, np.ones(3))
    with pytest.raises(ShapeError, match=r"layer_norm: gamma \(\) and beta \(\) do not fit x \(2, 4\)"):
        F.layer_norm(X, np.ones(()), np.ones(()))
    with pytest.raises(
        ShapeError, match=r"group_norm: gamma \(2,\) and beta \(4,\) do not fit x \(2, 4\); x is \(N, C"
    ):
        F.group_norm(X, 2, np.ones(2), BETA)
    with pytest.raises(ConfigError, match="group_norm: groups is 3; it must divide the number of channels, 4"):
        F.group_norm(X, 3, GAMMA, BETA)
    with pytest.raises(ConfigError, match="group_norm: groups is 0"):
        F.group_norm(X, 0, GAMMA, BETA)
