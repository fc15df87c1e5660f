"""`Model`, `Sequential` and `MLP`: their paths, what they compute, and a training step of each."""

import numpy as np
import pytest

import fake_cupy
import minitorch.functions as F
import minitorch.layers as L
from minitorch import Layer, Model, no_grad, optimizers, seed
from minitorch.errors import ConfigError
from minitorch.models import MLP, Sequential
from minitorch.utils import get_dot_graph

X = np.random.default_rng(0).standard_normal((6, 4)).astype(np.float32)
T = np.array([0, 1, 2, 0, 1, 2])


def paths(model):
    return [path for path, _ in model.named_params()]


def test_a_model_is_a_layer():
    """Whatever takes a layer takes a model."""
    assert issubclass(Model, Layer)


def test_plot(tmp_path):
    """`plot` draws the graph of the output, with shapes, as `plot_dot_graph` does."""
    model = MLP((5, 3))
    path = model.plot(X, to_file=tmp_path / "model.dot")
    assert path == tmp_path / "model.dot"
    assert path.read_text() == get_dot_graph(model(X), verbose=True)
    assert "(4, 5) float32" in path.read_text()


def test_mlp():
    """Fully connected layers with the activation between them, and none after the last."""
    model = MLP((5, 3), activation=F.tanh)
    y = model(X)
    assert paths(model) == ["l0.W", "l0.b", "l1.W", "l1.b"]
    W0, W1 = model.l0.W.data, model.l1.W.data
    np.testing.assert_allclose(y.data, np.tanh(X @ W0) @ W1, rtol=1e-5, atol=1e-6)
    assert y.dtype == np.float32


def test_mlp_has_the_sigmoid_of_the_book():
    """The activation is the sigmoid unless another is given; one layer has none."""
    model = MLP((5, 3))
    y = model(X)
    np.testing.assert_allclose(y.data, F.matmul(F.sigmoid(X @ model.l0.W.data), model.l1.W.data).data, rtol=1e-5)
    one = MLP((3,))
    np.testing.assert_allclose(one(X).data, X @ one.l0.W.data, rtol=1e-5)


@pytest.mark.parametrize("sizes", [(), [], 10, None, "10", np.array([5, 3])], ids=repr)
def test_mlp_without_layers(sizes):
    """No sizes, no model; one size is a tuple of one."""
    with pytest.raises(ConfigError) as info:
        MLP(sizes)
    assert str(info.value) == (
        f"MLP: fc_output_sizes is {sizes!r}; give the output size of each layer, such as (1000, 10)"
    )


def test_an_activation_is_a_function():
    """Its name is none, and what comes after the first size in `MLP(5, 3)` is no second one."""
    with pytest.raises(
        ConfigError,
        match=r"^Linear: activation is 'relu'; give a function of one Variable, such as F.relu, or None$",
    ):
        MLP((5, 3), activation="relu")


def test_sequential():
    """Layers and functions one after the other; a layer's path is its place, functions have none."""
    model = Sequential(L.Linear(5), F.relu, L.Dropout(0.0), L.Linear(3, nobias=True))
    y = model(X)
    assert paths(model) == ["l0.W", "l0.b", "l3.W"]
    np.testing.assert_allclose(y.data, np.maximum(X @ model.l0.W.data, 0) @ model.l3.W.data, rtol=1e-5, atol=1e-6)


def test_a_class_is_no_layer():
    """A class forgotten to be called is told when the model is made, not when its first batch comes."""
    with pytest.raises(
        ConfigError, match=r"^Sequential: item 1 is the class Dropout; give an instance: Dropout\(...\)$"
    ):
        Sequential(L.Linear(3), L.Dropout)


def test_sequential_of_sequentials():
    """Models are layers, so they nest."""
    model = Sequential(Sequential(L.Linear(5), F.relu), Sequential(L.Linear(3)))
    assert model(X).shape == (6, 3)
    assert paths(model) == ["l0.l0.W", "l0.l0.b", "l1.l0.W", "l1.l0.b"]


def test_sequential_of_something_else():
    """What cannot be called is named, with its place."""
    with pytest.raises(ConfigError, match=r"^Sequential: item 1 is 3; give layers or functions of one Variable$"):
        Sequential(L.Linear(2), 3)


@pytest.mark.parametrize("make", [lambda: MLP((5, 3)), lambda: Sequential(L.Linear(5), F.relu, L.Linear(3))])
def test_training_gives_the_same_losses_on_every_device(make, device):
    """Each of ten steps reduces the loss, by the same numbers on host and device."""

    def losses(put, move):
        seed(0)
        model = make()
        if move:
            model.to_gpu()
        optimizer = optimizers.SGD(0.5).setup(model)
        values = []
        for _ in range(10):
            loss = F.softmax_cross_entropy(model(put(X)), put(T))
            model.cleargrads()
            loss.backward()
            optimizer.update()
            values.append(float(loss))
        return values

    found, expected = losses(device.put, device.name != "cpu"), losses(np.array, False)
    np.testing.assert_allclose(found, expected, rtol=1e-4)
    assert found == sorted(found, reverse=True)


def test_a_training_step_waits_for_nothing():
    """On a device a whole step, and a prediction, neither copy between host and device nor wait."""
    with fake_cupy.installed() as cupy:
        model = MLP((5, 3))
        model.to_gpu()
        optimizer = optimizers.Adam().setup(model)
        optimizer.add_hook(optimizers.ClipGrad(1.0)).add_hook(optimizers.WeightDecay(1e-4))
        x, t = cupy.asarray(X), cupy.asarray(T)

        def step():
            loss = F.softmax_cross_entropy(model(x), t)
            model.cleargrads()
            loss.backward()
            optimizer.update()

        step()  # weights and the optimizer's tables are made
        with fake_cupy.no_transfers():
            step()
            step()
            with no_grad():
                F.accuracy(model(x), t)
