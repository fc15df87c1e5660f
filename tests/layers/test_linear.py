"""`Linear`: its sizes, its first weights, its errors."""

import numpy as np
import pytest

import minitorch
import minitorch.functions as F
import minitorch.layers as L
from minitorch import Variable
from minitorch.errors import ConfigError, DTypeError, ShapeError


def test_it_is_the_affine_map(device):
    """X @ W + b over the last axis, for any number of axes before it."""
    layer = L.Linear(3, in_size=2)
    layer.b.data += 1
    W, b = layer.W.data.copy(), layer.b.data.copy()
    if device.name != "cpu":
        layer.to_gpu()
    for shape in ((2,), (5, 2), (4, 5, 2), (0, 2)):
        x = np.random.default_rng(0).standard_normal(shape).astype(np.float32)
        y = layer(device.put(x))
        np.testing.assert_allclose(device.get(y.data), x @ W + b, rtol=1e-5, atol=1e-6)


def test_first_weights():
    """W is normal with standard deviation sqrt(1 / in_size), b zero, both float32."""
    layer = L.Linear(1000, in_size=400)
    assert (layer.W.shape, layer.W.dtype, layer.b.shape, layer.b.dtype) == (
        (400, 1000),
        np.float32,
        (1000,),
        np.float32,
    )
    assert abs(layer.W.data.std() * np.sqrt(400) - 1) < 0.01
    assert abs(layer.W.data.mean()) < 0.001
    assert not layer.b.data.any()


@pytest.mark.parametrize("in_size", [2, None])
def test_the_seed_decides_the_weights(in_size, device):
    """The same seed gives the same weights whether they are drawn at once or at the first call, on every device."""

    def weights():
        minitorch.seed(7)
        first, second = L.Linear(3, in_size=in_size), L.Linear(3, in_size=in_size)
        for layer in (first, second):
            if device.name != "cpu":
                layer.to_gpu()
            layer(device.xp.ones((1, 2), np.float32))
        return [device.get(layer.W.data) for layer in (first, second)]

    minitorch.seed(7)
    expected = [L.Linear(3, in_size=2).W.data for _ in range(2)]
    for one, other in zip(weights(), expected, strict=True):
        np.testing.assert_array_equal(one, other)
    assert not np.array_equal(*expected)


def test_lazily_sized():
    """Without in_size there is no W until the first call, which takes the size of its input."""
    layer = L.Linear(3)
    assert layer.W.data is None
    assert repr(layer) == "Linear(? -> 3)"
    layer(Variable(np.ones((5, 2), np.float32)))
    assert layer.W.shape == (2, 3)
    assert repr(layer) == "Linear(2 -> 3)"
    with pytest.raises(ShapeError, match=r"^linear: x \(5, 4\) does not fit W \(2, 3\)"):
        layer(np.ones((5, 4)))


def test_options():
    """Nobias leaves out b; dtype is that of both Parameters."""
    layer = L.Linear(3, nobias=True, dtype=np.float64, in_size=2)
    assert layer.b is None
    assert [path for path, _ in layer.named_params()] == ["W"]
    assert layer(np.ones((1, 2))).dtype == layer.W.dtype == np.float64
    lazy = L.Linear(3, dtype=np.float64)
    assert lazy(np.ones((1, 2))).dtype == lazy.W.dtype == lazy.b.dtype == np.float64


@pytest.mark.parametrize("wrong", [0, -1, 2.5, "3"], ids=repr)
def test_sizes_are_positive_integers(wrong):
    """Both sizes are checked, and named in the error."""
    with pytest.raises(ConfigError, match=rf"^Linear: out_size is {wrong!r}; a size is a positive integer$"):
        L.Linear(wrong)
    with pytest.raises(ConfigError, match=rf"^Linear: in_size is {wrong!r}; a size is a positive integer$"):
        L.Linear(3, in_size=wrong)


@pytest.mark.parametrize("shape", [(), (3, 0)], ids=str)
def test_an_input_without_features(shape):
    """An input that has no features cannot size the layer, which stays unsized."""
    layer = L.Linear(3)
    with pytest.raises(
        ShapeError, match=r"^Linear: the input has shape \(.*\); its last axis, the features, must not be "
    ):
        layer(np.ones(shape, np.float32))
    with pytest.raises(DTypeError, match=r"^Variable: got list"):
        layer([1.0])
    assert layer.W.data is None


def test_an_activation(device):
    """It is applied to the output: as one operation where there is one for it, else as it is."""
    x = device.put(np.random.default_rng(0).normal(size=(5, 3)).astype(np.float32))
    for activation, operation in ((F.relu, "linear"), (F.softplus, "softplus")):
        layer = L.Linear(4, in_size=3, activation=activation)
        if device.name != "cpu":
            layer.to_gpu()
        y = layer(x)
        assert y.node.op.name == operation
        expected = activation(F.linear(x, layer.W, layer.b)).data
        np.testing.assert_allclose(device.get(y.data), device.get(expected), rtol=1e-6, atol=1e-7)
    nobias = L.Linear(4, nobias=True, in_size=3, activation=F.relu)
    assert nobias(device.get(x)).node.op.name == "linear"
