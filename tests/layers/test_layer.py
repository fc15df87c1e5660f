"""`Layer`: finding Parameters, moving them, saving and loading them."""

import copy
import pickle

import numpy as np
import pytest

import fake_cupy
import minitorch.functions as F
import minitorch.layers as L
from minitorch import Layer, Parameter, Variable, no_grad
from minitorch.errors import CheckpointError, DeviceError, ShapeError, StateError


def param(*shape):
    return Parameter(np.ones(shape, np.float32))


class Scale(Layer):
    """The smallest layer: one Parameter."""

    def __init__(self, size=2):
        super().__init__()
        self.s = param(size)

    def forward(self, x):
        """Scale the last axis."""
        return x * self.s


class TwoLayers(Layer):
    """Two lazily sized layers, one after the other."""

    def __init__(self):
        super().__init__()
        self.l1 = L.Linear(4)
        self.l2 = L.Linear(3)

    def forward(self, x):
        """(N, any) -> (N, 3)."""
        return self.l2(F.relu(self.l1(x)))


X = np.random.default_rng(0).standard_normal((5, 2)).astype(np.float32)


def paths(layer):
    return [path for path, _ in layer.named_params()]


def arrays(layer):
    return {path: p.data.copy() for path, p in layer.named_params()}


# ---- finding Parameters


def test_paths_are_in_the_order_of_definition():
    """Parameters are found in the order in which attributes were defined, each under its path."""
    layer = Layer()
    layer.z = param(1)
    layer.inner = TwoLayers()
    layer.a = param(2)
    layer.anything = np.ones(3)
    layer.h = Variable(np.ones(3))
    assert paths(layer) == ["z", "inner.l1.W", "inner.l1.b", "inner.l2.W", "inner.l2.b", "a"]
    assert [id(p) for p in layer.params()] == [id(p) for _, p in layer.named_params()]


def test_lists_tuples_and_dicts_are_looked_through():
    """Layers and Parameters in containers are known by their place, also nested, and also when added later."""
    layer = Layer()
    layer.blocks = [Scale(), Scale()]
    layer.pair = (param(1), [param(1)])
    layer.heads = {"left": Scale(), "right": {"deep": param(1)}, 3: param(1)}
    layer.blocks.append(Scale())
    assert paths(layer) == [
        "blocks.0.s", "blocks.1.s", "blocks.2.s", "pair.0", "pair.1.0", "heads.left.s", "heads.right.deep", "heads.3",
    ]  # fmt: skip
    layer.blocks.pop(0)
    del layer.heads["right"]
    assert paths(layer) == ["blocks.0.s", "blocks.1.s", "pair.0", "pair.1.0", "heads.left.s", "heads.3"]


def test_a_shared_parameter_counts_once():
    """What is reachable by several paths is known by the first alone; gradients of all uses add up in it."""
    layer = Layer()
    layer.first = Scale()
    layer.second = layer.first
    layer.third = Scale()
    layer.third.s = layer.first.s
    assert paths(layer) == ["first.s"]
    assert [path for path, _ in layer.layers_inside()] == ["first", "third"]
    layer.third(layer.first(np.ones((1, 2)))).backward()
    np.testing.assert_array_equal(layer.first.s.grad.data, [2, 2])


def test_a_layer_within_itself_ends():
    """A layer that refers to its parent is no endless search."""
    layer = Layer()
    layer.child = Scale()
    layer.child.parent = layer
    assert [id(p) for p in layer.params()] == [id(layer.child.s)]


def test_reassigning_and_deleting():
    """What an attribute holds now is what is found."""
    layer = Layer()
    layer.a, layer.b = param(1), Scale()
    layer.a = Scale()
    assert paths(layer) == ["a.s", "b.s"]
    layer.a = 3
    assert paths(layer) == ["b.s"]
    del layer.b
    assert paths(layer) == []
    layer.b = param(1)
    assert paths(layer) == ["b"]


def test_forgetting_to_call_super():
    """A subclass whose __init__ does not call super().__init__() works."""

    class Forgetful(Layer):
        def __init__(self):
            self.s = param(1)

    assert paths(Forgetful()) == ["s"]


def test_layers_inside():
    """Inner layers come with their paths, outer before inner, without the layer itself."""
    layer = Layer()
    layer.net = TwoLayers()
    layer.more = [Scale()]
    assert [path for path, _ in layer.layers_inside()] == ["net", "net.l1", "net.l2", "more.0"]


def test_cleargrads():
    """All gradients are forgotten."""
    layer = TwoLayers()
    layer(X).backward()
    assert all(p.grad is not None for p in layer.params())
    layer.cleargrads()
    assert all(p.grad is None for p in layer.params())


def test_copies_are_independent():
    """A deep copy has Parameters of its own, which it uses."""
    layer = TwoLayers()
    expected = layer(X).data
    other = copy.deepcopy(layer)
    for p in layer.params():
        p.data += 1
    np.testing.assert_array_equal(other(X).data, expected)
    assert not {*layer.params()} & {*other.params()}


def test_forward_must_be_written():
    """A layer without forward says so when called."""
    with pytest.raises(NotImplementedError, match=r"^Layer.forward is not written$"):
        Layer()(X)


def test_errors_tell_where_they_arose():
    """An error of minitorch in a forward carries the layers it came through, innermost first."""
    layer = TwoLayers()
    layer(X)
    with pytest.raises(ShapeError) as caught:
        layer(np.ones((5, 7), np.float32))
    assert caught.value.__notes__ == ["in Linear(2 -> 4)", "in TwoLayers()"]


# ---- state


def test_state_dict_holds_the_arrays():
    """The arrays by path, not copies."""
    layer = TwoLayers()
    layer(X)
    state = layer.state_dict()
    assert list(state) == ["l1.W", "l1.b", "l2.W", "l2.b"]
    assert state["l1.W"] is layer.l1.W.data


def test_state_of_a_layer_without_weights():
    """Before the first call there is nothing to save; the error lists what is missing."""
    with pytest.raises(
        StateError,
        match=r"^TwoLayers: no weights yet in l1.W, l2.W; call the model once on a batch, or give the input sizes",
    ):
        TwoLayers().state_dict()


def test_save_and_load(tmp_path):
    """What is loaded is what was saved, bit for bit, into the arrays that are there."""
    layer, other = TwoLayers(), TwoLayers()
    expected = layer(X).data
    layer.save_weights(tmp_path / "w.safetensors")
    other(X)
    before = other.l1.W.data
    other.load_weights(tmp_path / "w.safetensors")
    assert other.l1.W.data is before
    np.testing.assert_array_equal(other(X).data, expected)
    other.l1.W.data += 1
    np.testing.assert_array_equal(layer(X).data, expected)


def test_load_before_the_first_call(tmp_path):
    """Weights may be loaded before a lazily sized layer knows its size; nothing is drawn then."""
    layer, other = TwoLayers(), TwoLayers()
    expected = layer(X).data
    layer.save_weights(tmp_path / "w.safetensors")
    other.load_weights(tmp_path / "w.safetensors")
    np.testing.assert_array_equal(other(X).data, expected)
    assert repr(other.l1) == "Linear(2 -> 4)"


def test_load_converts_to_the_dtype_of_the_layer():
    """A float64 state goes into float32 Parameters, and the state stays independent."""
    layer = TwoLayers()
    layer(X)
    state = {path: a.astype(np.float64) + 1 for path, a in layer.state_dict().items()}
    layer.load_state_dict(state)
    state["l1.W"] += 1
    assert layer.l1.W.dtype == np.float32
    np.testing.assert_allclose(layer.l1.W.data, state["l1.W"] - 1)


@pytest.mark.parametrize("called", [False, True])
def test_what_does_not_fit_is_listed_and_nothing_changes(called, tmp_path):
    """Missing and unexpected keys and wrong shapes are all listed; the layer stays as it was."""
    layer = TwoLayers()
    layer(X)
    good = arrays(layer)
    target = TwoLayers()
    if called:
        target(X)
    before = [(path, p.data is None or p.data.copy()) for path, p in target.named_params()]

    def refuse(state, message):
        with pytest.raises(StateError, match=message):
            target.load_state_dict(state)
        for (path, was), (_, p) in zip(before, target.named_params(), strict=True):
            assert (p.data is None) if was is True else np.array_equal(p.data, was), path

    refuse({k: v for k, v in good.items() if k[:2] == "l1"}, r"^TwoLayers weights: missing \(2\): l2.W, l2.b\. ")
    refuse({**good, "l3.W": X, "x": X}, r"^TwoLayers weights: unexpected \(2\): l3.W, x\. ")
    refuse({"a": X}, r"^TwoLayers weights: missing \(4\): l1.W, l1.b, l2.W, l2.b; unexpected \(1\): a\. ")
    refuse(
        {**good, "l2.b": "zeros"}, r"^TwoLayers: shapes differ: l2.b: str given, \(3,\) wanted; build the same model"
    )
    refuse(
        {**good, "l1.W": np.ones((2, 5)), "l2.b": np.ones((1, 3))},
        r"^TwoLayers: shapes differ: l1.W: \(2, 5\) given, \((2|None), 4\) wanted; l2.b: \(1, 3\) given, \(3,\) wanted"
        r"; build the same model first$",
    )
    layer.save_weights(tmp_path / "w.safetensors")
    target.l3 = Scale()
    with pytest.raises(StateError, match=r"w\.safetensors: TwoLayers weights: missing \(1\): l3.s\. "):
        target.load_weights(tmp_path / "w.safetensors")


def test_a_missing_file_is_named(tmp_path):
    """Loading from a file that is not there is an error with its path."""
    with pytest.raises(CheckpointError, match=r"nowhere\.safetensors"):
        TwoLayers().load_weights(tmp_path / "nowhere.safetensors")


# ---- devices


def test_moving_there_and_back():
    """to_gpu and to_cpu move all Parameters and gradients; the numbers stay."""
    with fake_cupy.installed() as cupy:
        layer = TwoLayers()
        layer(X).backward()
        before = arrays(layer)
        layer.to_gpu()
        for p in layer.params():
            assert isinstance(p.data, cupy.ndarray)
            assert isinstance(p.grad.data, cupy.ndarray)
        layer.to_cpu()
        for path, p in layer.named_params():
            np.testing.assert_array_equal(p.data, before[path])


@pytest.mark.parametrize("load", [False, True])
def test_a_lazily_sized_layer_stays_on_its_device(load, tmp_path):
    """Moved before its first call, a layer gets its weights, drawn or loaded, on the device."""
    source = TwoLayers()
    expected = source(X).data
    source.save_weights(tmp_path / "w.safetensors")
    with fake_cupy.installed() as cupy:
        layer = TwoLayers()
        layer.to_gpu()
        if load:
            layer.load_weights(tmp_path / "w.safetensors")
        y = layer(cupy.asarray(X))
        assert all(isinstance(p.data, cupy.ndarray) for p in layer.params())
        if load:
            np.testing.assert_allclose(cupy.asnumpy(y.data), expected, rtol=1e-6)
        layer.save_weights(tmp_path / "from_gpu.safetensors")
        layer.to_cpu()
        other = TwoLayers()
        other.load_weights(tmp_path / "from_gpu.safetensors")
        np.testing.assert_array_equal(other.l1.W.data, layer.l1.W.data)


def test_a_batch_on_the_other_device():
    """A batch that is not where the layer is gives an error, not weights in the wrong place."""
    with fake_cupy.installed() as cupy:
        layer = TwoLayers()
        layer.to_gpu()
        with pytest.raises(DeviceError, match=r"^linear: arrays on different devices: float32\(5, 2\) on the host, "):
            layer(X)
        layer(cupy.asarray(X))
        other = TwoLayers()
        with pytest.raises(DeviceError, match=r"^linear: arrays on different devices: float32\(5, 2\) on the GPU, "):
            other(cupy.asarray(X))
        other(X)


# ---- what a layer gave


def test_the_newest_output_can_be_asked_for():
    """`outputs[0]()` is the Variable of the newest call, with its gradient after a backward that retains them."""
    first, second = L.Linear(3, in_size=2), L.Linear(1, in_size=3)
    assert first.outputs[0]() is None
    first(np.ones((1, 2), np.float32))
    y = second(first(np.ones((4, 2), np.float32)))
    seen = first.outputs[0]()
    assert seen.shape == (4, 3)
    y.backward(retain_grad=True)
    np.testing.assert_array_equal(seen.grad.data, np.repeat(second.W.data.T, 4, axis=0))
    assert len(first.outputs) == 1


def test_a_layer_keeps_no_output_alive():
    """Once the graph is gone, or freed by its backward, there is no output any more; a constant never is one."""
    layer = L.Linear(3, in_size=2)
    y = layer(np.ones((4, 2), np.float32))
    assert layer.outputs[0]() is not None
    y.sum().backward()
    assert layer.outputs[0]() is None
    del y
    with no_grad():
        constant = layer(np.ones((4, 2), np.float32))
    assert constant.shape == (4, 3)
    assert layer.outputs[0]() is None


def test_several_outputs_can_be_asked_for():
    """A layer that returns a tuple has as many outputs."""

    class Two(L.Layer):
        def __init__(self):
            super().__init__()
            self.l = L.Linear(2, in_size=2)

        def forward(self, x):
            y = self.l(x)
            return y, F.exp(y)

    layer = Two()
    y, e = layer(np.ones((1, 2), np.float32))
    assert [output().data.tolist() for output in layer.outputs] == [y.data.tolist(), e.data.tolist()]


def test_a_layer_that_was_called_can_be_copied_and_pickled():
    """What the newest call gave is no part of a copy."""
    layer = L.Linear(3, in_size=2)
    y = layer(np.ones((4, 2), np.float32))
    for other in (copy.deepcopy(layer), pickle.loads(pickle.dumps(layer))):
        assert other.outputs[0]() is None
        np.testing.assert_array_equal(other.W.data, layer.W.data)
    assert y.shape == (4, 3)
