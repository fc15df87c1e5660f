"""`Conv2d`, `Deconv2d` and `BatchNorm`: when they get their sizes, how they start, what is saved, and errors."""

import numpy as np
import pytest

import fake_cupy
import minitorch
import minitorch.functions as F
import minitorch.layers as L
from minitorch import Layer, Variable, optimizers
from minitorch.errors import ConfigError, GraphError, ShapeError, StateError

X = np.random.default_rng(0).standard_normal((2, 4, 8, 9), np.float32)


@pytest.mark.parametrize(
    ("layer", "kernels", "function"),
    [
        (lambda: L.Conv2d(6, 3), (6, 4, 3, 3), F.conv2d),
        (lambda: L.Conv2d(6, (3, 2), (1, 2), 1, in_channels=4), (6, 4, 3, 2), lambda *a: F.conv2d(*a, (1, 2), 1)),
        (lambda: L.Conv2d(6, 3, dilation=2, groups=2), (6, 2, 3, 3), lambda *a: F.conv2d(*a, dilation=2, groups=2)),
        (lambda: L.Deconv2d(6, 4, 2, 1), (4, 6, 4, 4), lambda *a: F.deconv2d(*a, 2, 1)),
        (lambda: L.Deconv2d(6, 3, in_channels=4), (4, 6, 3, 3), F.deconv2d),
    ],
)
def test_forward(layer, kernels, function):
    """A layer applies its function with its kernels, of the shape documented, and its bias, which starts as zeros."""
    made = layer()
    y = made(X)
    assert made.W.shape == kernels
    np.testing.assert_array_equal(made.b.data, np.zeros(6, np.float32))
    made.b.data += 1
    np.testing.assert_array_equal(made(X).data, function(X, made.W, made.b).data)
    assert not np.array_equal(made(X).data, y.data)


def test_positional_arguments_are_dezeros():
    """The order is out_channels, kernel_size, stride, pad, nobias, dtype, in_channels."""
    for kind in (L.Conv2d, L.Deconv2d):
        layer = kind(6, 3, 2, 1, True, np.float64, 4)
        assert (layer.b, layer.W.dtype, layer.window.stride, layer.window.pad) == (None, np.float64, (2, 2), (1, 1))
        assert [name for name, _ in layer.named_params()] == ["W"]


@pytest.mark.parametrize("layer", [L.Conv2d(64, 3, groups=2), L.Deconv2d(64, 3)], ids=str)
def test_weights_start_normal(layer):
    """The kernels are drawn once, with variance 1 / (channels that a kernel sees · KH · KW)."""
    x = np.zeros((1, 32, 5, 5), np.float32)
    layer(x)
    drawn = layer.W.data.copy()
    layer(x)
    np.testing.assert_array_equal(layer.W.data, drawn)
    seen = 16 if isinstance(layer, L.Conv2d) else 32
    assert abs(drawn.std() * np.sqrt(seen * 9) - 1) < 0.05
    assert abs(drawn.mean()) < 0.01


def test_the_seed_decides_the_weights():
    """The same seed gives the same kernels, whether the size is given or taken from the first call."""
    minitorch.seed(7)
    early = L.Conv2d(6, 3, in_channels=4)
    minitorch.seed(7)
    late = L.Conv2d(6, 3)
    late(X)
    np.testing.assert_array_equal(early.W.data, late.W.data)


def test_repr():
    """It tells the channels, the kernel, and what is not usual."""
    assert repr(L.Conv2d(6, 3)) == "Conv2d(? -> 6, (3, 3))"
    layer = L.Conv2d(6, (3, 2), 2, in_channels=4, dilation=(1, 2), groups=2)
    assert repr(layer) == "Conv2d(4 -> 6, (3, 2), stride=(2, 2), dilation=(1, 2), groups=2)"
    assert repr(L.Deconv2d(6, 4, 2, 1)) == "Deconv2d(? -> 6, (4, 4), stride=(2, 2), pad=(1, 1))"


class ConvNet(Layer):
    """All three layers."""

    def __init__(self):
        super().__init__()
        self.conv = L.Conv2d(3, 3, pad=1, nobias=True)
        self.norm = L.BatchNorm()
        self.deconv = L.Deconv2d(2, 2, 2)

    def forward(self, x):
        return self.deconv(F.relu(self.norm(self.conv(x))))


def test_paths():
    """Parameters have DeZero's names, in order; the running averages are among them and not trained."""
    net = ConvNet()
    names = ["conv.W", "norm.avg_mean", "norm.avg_var", "norm.gamma", "norm.beta", "deconv.W", "deconv.b"]
    assert [path for path, _ in net.named_params()] == names
    assert [path for path, p in net.named_params() if not p.requires_grad] == ["norm.avg_mean", "norm.avg_var"]


def test_a_training_step():
    """An optimizer moves what is trained, and the running averages are moved by the layer alone."""
    net = ConvNet()
    optimizer = optimizers.Adam().setup(net)
    net(X)
    before = {path: a.copy() for path, a in net.state_dict().items()}
    loss = (net(X) ** 2).sum()
    averages = net.norm.avg_mean.data.copy()
    loss.backward()
    optimizer.update()
    assert [path for path, a in net.state_dict().items() if np.array_equal(a, before[path])] == []
    np.testing.assert_array_equal(net.norm.avg_mean.data, averages)


def test_weights_are_saved_and_loaded(tmp_path):
    """A file of weights has the running averages, and may be loaded before the first call."""
    net = ConvNet()
    net(X)
    net.save_weights(tmp_path / "net.safetensors")
    other = ConvNet()
    other.load_weights(tmp_path / "net.safetensors")
    with minitorch.test_mode():
        np.testing.assert_array_equal(net(X).data, other(X).data)


def test_before_the_first_call():
    """What has no size yet says so."""
    with pytest.raises(StateError, match=r"no weights yet in conv.W, norm.avg_mean"):
        ConvNet().state_dict()
    with pytest.raises(GraphError, match="gets its weights at its first call"):
        _ = L.BatchNorm().gamma.shape


def test_batch_norm_layer():
    """It starts as the plain normalisation; decay and eps are those of the function."""
    layer = L.BatchNorm(decay=0.5, eps=0.1)
    y = layer(X)
    mean, var = X.mean(axis=(0, 2, 3), keepdims=True), X.var(axis=(0, 2, 3), keepdims=True)
    np.testing.assert_allclose(y.data, (X - mean) / np.sqrt(var + 0.1), rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(layer.avg_mean.data, 0.5 * mean.ravel(), rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(layer.avg_var.data, 0.5 + 0.5 * X.var(axis=(0, 2, 3), ddof=1), rtol=1e-4)
    with minitorch.test_mode():
        assert not np.allclose(layer(X).data, y.data)
    assert L.BatchNorm()(np.ones((5, 3), np.float32)).shape == (5, 3)


def test_on_a_device():
    """Moved to a device before the first call, layers make their Parameters there and stay there."""
    with fake_cupy.installed() as cupy:
        net = ConvNet()
        net.to_gpu()
        y = net(cupy.asarray(X))
        (y * y).sum().backward()
        assert isinstance(y.data, cupy.ndarray)
        assert all(isinstance(p.data, cupy.ndarray) for p in net.params())
        on_device = cupy.asnumpy(y.data)
        net.to_cpu()
        assert all(isinstance(p.data, np.ndarray) for p in net.params())
        np.testing.assert_allclose(net(X).data, on_device, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize(
    ("call", "error", "text"),
    [
        (lambda: L.Conv2d(0, 3), ConfigError, "Conv2d: out_channels is 0; it must be a positive integer"),
        (lambda: L.Conv2d(4, 0), ConfigError, "Conv2d: kernel_size is 0; it must be an int from 1"),
        (lambda: L.Deconv2d(4, 3, in_channels=1.5), ConfigError, "Deconv2d: in_channels is 1.5"),
        (
            lambda: L.Conv2d(4, 3, groups=3),
            ConfigError,
            "Conv2d: groups is 3; it must divide out_channels 4",
        ),
        (
            lambda: L.Conv2d(4, 3, groups=2, in_channels=3),
            ConfigError,
            "it must divide in_channels 3 and out_channels 4",
        ),
        (
            lambda: L.Conv2d(4, 3, groups=4)(np.ones((1, 6, 5, 5))),
            ShapeError,
            r"Conv2d: the input has shape \(1, 6, 5, 5\); images are \(N, C, H, W\), with a number of channels C that "
            "is a multiple of groups, 4",
        ),
        (lambda: L.Deconv2d(4, 3)(np.ones((6, 5))), ShapeError, r"Deconv2d: the input has shape \(6, 5\)"),
        (
            lambda: L.BatchNorm()(Variable(np.ones(3))),
            ShapeError,
            r"BatchNorm: the input has shape \(3,\); wanted \(N, C",
        ),
        (lambda: L.BatchNorm(decay=1.5), ConfigError, "BatchNorm: decay 1.5 must be from 0 to 1"),
        (lambda: L.BatchNorm(eps=-1), ConfigError, "eps -1 not negative"),
    ],
)
def test_errors(call, error, text):
    """What does not fit is named, with its value and the rule."""
    with pytest.raises(error, match=text):
        call()
