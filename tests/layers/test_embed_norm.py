"""`EmbedID`, `LayerNorm` and `GroupNorm`."""

import numpy as np
import pytest

import minitorch.functions as F
import minitorch.layers as L
from minitorch import random
from minitorch.errors import ConfigError, DataError, ShapeError, StateError


def test_embed_looks_rows_up(device):
    """Each number gives its row of W, whose gradient counts how often it was taken."""
    layer = L.EmbedID(5, 3)
    W = layer.W.data.copy()
    if device.name != "cpu":
        layer.to_gpu()
    y = layer(device.put(np.array([[1, 4], [1, 0]])))
    y.sum().backward()
    np.testing.assert_array_equal(device.get(y.data), W[[[1, 4], [1, 0]]])
    np.testing.assert_array_equal(device.get(layer.W.grad.data)[:, 0], [1, 2, 0, 0, 1])


def test_embed_first_weights():
    """W is standard normal in float32 (DeZero's was float64), or scaled; the seed decides it."""
    W = L.EmbedID(1000, 50).W.data
    assert W.dtype == np.float32
    assert W.std() == pytest.approx(1, abs=0.02)
    random.seed(0)
    np.testing.assert_array_equal(L.EmbedID(1000, 50, scale=0.5).W.data, W / 2)
    assert L.EmbedID(2, 3, dtype=np.float64).W.dtype == np.float64


def test_embed_errors():
    """Sizes are positive integers, numbers are in range; the message says in which layer."""
    with pytest.raises(ConfigError, match="EmbedID: in_size is 0; a size is a positive integer"):
        L.EmbedID(0, 3)
    with pytest.raises(ConfigError, match=r"EmbedID: out_size is 1\.5"):
        L.EmbedID(2, 1.5)
    with pytest.raises(DataError, match="number 2 is out of range for 2 rows") as error:
        L.EmbedID(2, 3)(np.array([2]))
    assert any("EmbedID(2 -> 3)" in note for note in error.value.__notes__)


LAYERS = [
    (lambda size=None, **kwargs: L.LayerNorm(size, **kwargs), (3, 4), 4),
    (lambda size=None, **kwargs: L.GroupNorm(2, size, **kwargs), (3, 4, 5), 4),
]
each_norm = pytest.mark.parametrize(("make", "shape", "size"), LAYERS, ids=["LayerNorm", "GroupNorm"])


@each_norm
def test_norm_at_first(make, shape, size, device):
    """A new layer gives mean 0 and variance 1, sized by its first input, on whatever device."""
    layer = make()
    if device.name != "cpu":
        layer.to_gpu()
    x = np.random.default_rng(0).normal(5, 3, shape).astype(np.float32)
    y = device.get(layer(device.put(x)).data)
    assert y.dtype == np.float32
    groups = y.reshape(3, 1 if len(shape) == 2 else 2, -1)
    np.testing.assert_allclose(groups.mean(-1), 0, atol=1e-6)
    np.testing.assert_allclose(groups.std(-1), 1, atol=1e-4)
    assert [(path, p.shape) for path, p in layer.named_params()] == [("gamma", (size,)), ("beta", (size,))]


@each_norm
def test_norm_uses_its_parameters(make, shape, size):
    """Gamma and beta are those of the functions, and get gradients."""
    layer = make(size, eps=0.5)
    layer.gamma.data[:] = np.arange(size)
    layer.beta.data[:] = 7
    x = np.random.default_rng(0).normal(size=shape).astype(np.float32)
    y = layer(x)
    y.sum().backward()
    plain = F.layer_norm if len(shape) == 2 else lambda x, g, b, eps: F.group_norm(x, 2, g, b, eps)
    np.testing.assert_array_equal(y.data, plain(x, layer.gamma.data, layer.beta.data, 0.5).data)
    np.testing.assert_allclose(layer.beta.grad.data, x.size / size)


@each_norm
def test_norm_is_loaded_before_its_first_call(make, shape, size):
    """Weights of a trained layer go into one that is not sized yet, and its first call keeps them."""
    trained, fresh = make(size), make()
    trained.gamma.data[:] = 3
    with pytest.raises(StateError, match="no weights yet in gamma, beta"):
        fresh.state_dict()
    fresh.load_state_dict(trained.state_dict())
    x = np.random.default_rng(0).normal(size=shape).astype(np.float32)
    np.testing.assert_array_equal(fresh(x).data, trained(x).data)


@each_norm
def test_norm_errors(make, shape, size):
    """Sizes are positive integers and must fit the input."""
    with pytest.raises(ConfigError, match="Norm: the size is 0; a size is a positive integer"):
        make(0)
    with pytest.raises(ShapeError, match=r"do not fit x"):
        make(size + 2)(np.ones(shape, np.float32))


def test_norm_inputs_without_features():
    """There must be an axis to normalise."""
    with pytest.raises(ShapeError, match="LayerNorm: the input has no axes"):
        L.LayerNorm()(np.ones((), np.float32))
    with pytest.raises(ShapeError, match=r"GroupNorm: the input has shape \(3,\); wanted \(N, C, \.\.\.\)"):
        L.GroupNorm(2)(np.ones(3, np.float32))
    with pytest.raises(ConfigError, match="group_norm: groups is 3; it must divide the number of channels, 4"):
        L.GroupNorm(3)(np.ones((2, 4), np.float32))
