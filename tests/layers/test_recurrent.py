"""Recurrent layers: their numbers, their state, and backpropagation through time, whole and truncated."""

import numpy as np
import pytest

import fake_cupy
import minitorch.functions as F
import minitorch.layers as L
from minitorch import as_variable, no_grad, serialize
from minitorch.errors import ConfigError, ShapeError, StateError
from minitorch.models import Sequential
from minitorch.optimizers import SGD
from minitorch.utils import directional_check

LAYERS = [L.RNN, L.LSTM, L.GRU]
each_layer = pytest.mark.parametrize("layer_class", LAYERS)

X = np.array([[[1.0, -0.5, 0.25]], [[0.5, 2.0, -1.0]], [[0.0, 0.0, 1.0]]])  # three steps of one sequence of size 3
# the outputs at these steps of torch.nn.RNN, LSTM and GRU, PyTorch 2.13 in float64, with the weights of `golden_layer`:
# weight_ih and weight_hh transposed, the gates in PyTorch's order, bias_hh that of h2h or 0
GOLDEN = {
    L.RNN: [[-0.941375538, 0.500520211], [-0.883562853, 0.723195476], [0.619767818, 0.995226499]],
    L.LSTM: [[0.0366108, 0.100016146], [0.005821919, 0.052706353], [0.333674473, 0.456862315]],
    L.GRU: [[0.006682312, 0.208672772], [-0.196339828, 0.206810602], [0.111822024, 0.395304816]],
}


def evenly(*shape):
    """Numbers from -1 to 1 at equal distances."""
    return np.linspace(-1, 1, int(np.prod(shape))).reshape(shape)


def golden_layer(layer_class, put=np.array):
    """A layer of two units on inputs of size 3, with known weights."""
    layer = layer_class(2, in_size=3, dtype=np.float64)
    for param in layer.params():
        param.data = put(evenly(*param.shape))
    if layer_class is L.GRU:
        layer.h2h.b.data = put(evenly(6)[::-1])
    return layer


def run(layer, xs):
    """The outputs of all steps, stacked."""
    return F.stack([layer(x) for x in xs])


@each_layer
def test_golden_values(layer_class, device):
    """Step by step the numbers of PyTorch."""
    layer = golden_layer(layer_class, device.put)
    y = run(layer, device.put(X))
    np.testing.assert_allclose(device.get(y.data)[:, 0], GOLDEN[layer_class], atol=1e-9)
    assert device.get(layer.h.data).tolist() == device.get(y.data)[-1].tolist()


def test_memory_of_the_lstm():
    """The memory c is PyTorch's too."""
    layer = golden_layer(L.LSTM)
    run(layer, X)
    np.testing.assert_allclose(layer.c.data, [[0.507335362, 0.666164302]], atol=1e-9)


def in_torchs_order(a, n):
    """Our gates f, i, o, u (LSTM) side by side as i, f, u, o; others as they are."""
    if n != 4:
        return a
    f, i, o, u = np.split(a, 4, axis=-1)
    return np.concatenate([i, f, u, o], axis=-1)


@pytest.mark.parametrize(("steps", "n_batch", "in_size", "hidden"), [(7, 4, 3, 5), (1, 1, 1, 1), (20, 3, 8, 2)])
@each_layer
def test_like_torch(layer_class, steps, n_batch, in_size, hidden):
    """In float32 outputs, and the gradients of all weights, agree with PyTorch's to 1e-5 of the largest."""
    torch = pytest.importorskip("torch")
    layer = layer_class(hidden, in_size=in_size)
    n = layer.x2h.out_size // hidden
    xs = np.random.default_rng(0).normal(size=(steps, n_batch, in_size)).astype(np.float32)
    theirs = getattr(torch.nn, layer_class.__name__)(in_size, hidden)
    pairs = [(layer.x2h.W, theirs.weight_ih_l0), (layer.h2h.W, theirs.weight_hh_l0), (layer.x2h.b, theirs.bias_ih_l0)]
    if layer.h2h.b is not None:
        pairs.append((layer.h2h.b, theirs.bias_hh_l0))
    else:
        torch.nn.init.zeros_(theirs.bias_hh_l0)
    for ours, param in pairs:
        ours.data = np.random.default_rng(ours.size).normal(0, 0.5, ours.shape).astype(np.float32)
        param.data = torch.tensor(in_torchs_order(ours.data, n).T.copy())
    y, y_torch = run(layer, xs), theirs(torch.tensor(xs))[0]
    (y * y).sum().backward()
    (y_torch * y_torch).sum().backward()
    np.testing.assert_allclose(y.data, y_torch.detach().numpy(), rtol=1e-5, atol=1e-5)
    for ours, param in pairs:
        expected = param.grad.numpy().T
        atol = 1e-5 * max(1.0, np.abs(expected).max())
        np.testing.assert_allclose(in_torchs_order(ours.grad.data, n), expected, rtol=1e-5, atol=atol)


def test_lstm_has_dezeros_weights_side_by_side():
    """DeZero's eight matrices, in the order f, i, o, u, give DeZero's LSTM."""
    rng = np.random.default_rng(0)
    Wx = {gate: rng.normal(size=(3, 2)) for gate in "fiou"}
    Wh = {gate: rng.normal(size=(2, 2)) for gate in "fiou"}
    layer = L.LSTM(2, in_size=3, dtype=np.float64)
    layer.x2h.W.data, layer.h2h.W.data = (np.concatenate([W[gate] for gate in "fiou"], axis=1) for W in (Wx, Wh))
    h = c = np.zeros((1, 2))
    for x in X:
        f, i, o, u = (x @ Wx[gate] + h @ Wh[gate] for gate in "fiou")
        c = c / (1 + np.exp(-f)) + np.tanh(u) / (1 + np.exp(-i))
        h = np.tanh(c) / (1 + np.exp(-o))
        np.testing.assert_allclose(layer(x).data, h, rtol=1e-12)


@each_layer
def test_input_and_state_of_different_sizes(layer_class):
    """The state has a size of its own, whether the input's is given or found out (DeZero's RNN took one for both)."""
    for in_size in (None, 3):
        layer = layer_class(5, in_size=in_size)
        assert layer.h2h.W.shape[0] == 5
        for _ in range(2):
            assert layer(np.ones((4, 3), np.float32)).shape == (4, 5)
        assert layer.x2h.W.shape[0] == 3
        assert layer.h.shape == (4, 5)


@each_layer
def test_parameters(layer_class):
    """Weights are found under DeZero's names; the state is not among them."""
    layer = layer_class(5, in_size=3)
    layer(np.ones((4, 3), np.float32))
    bias = ["h2h.b"] if layer_class is L.GRU else []
    assert [path for path, _ in layer.named_params()] == ["x2h.W", "x2h.b", "h2h.W", *bias]
    assert all(param.dtype == np.float32 for param in layer.params())


@each_layer
def test_float32_stays(layer_class):
    """A float32 layer has a float32 output, state and gradients."""
    layer = layer_class(5, in_size=3)
    y = run(layer, np.ones((3, 2, 3), np.float32))
    y.sum().backward()
    assert {y.dtype, layer.h.dtype, *[p.grad.dtype for p in layer.params()]} == {np.dtype(np.float32)}


@each_layer
def test_backpropagation_through_time(layer_class):
    """Over three steps the gradients of inputs and weights, first and second, are what differences give."""
    layer = golden_layer(layer_class)
    params = list(layer.params())

    def f(xs, *values):
        for param, value in zip(params, values, strict=True):
            param.data, param.node = value.data, value.node
        layer.reset_state()
        return run(layer, xs)

    directional_check(f, [np.concatenate([X, -X], axis=1), *[param.data for param in params]])


@each_layer
def test_reset_state(layer_class):
    """After a reset a sequence is computed as the first time."""
    layer = layer_class(5, in_size=3)
    xs = np.random.default_rng(0).normal(size=(4, 2, 3)).astype(np.float32)
    first = run(layer, xs).data
    assert not np.array_equal(run(layer, xs).data, first)
    layer.reset_state()
    assert layer.h is None
    assert getattr(layer, "c", None) is None
    np.testing.assert_array_equal(run(layer, xs).data, first)


@each_layer
def test_set_state(layer_class):
    """A state taken out and put back continues the sequence, in another layer too, and gradients go through it."""
    one, other = golden_layer(layer_class), golden_layer(layer_class)
    expected = run(one, X).data
    one.reset_state()
    run(one, X[:2])
    other.set_state(*[s for s in (one.h, getattr(one, "c", None)) if s is not None])
    y = other(X[2])
    np.testing.assert_array_equal(y.data, expected[2])
    y.sum().backward()
    assert one.x2h.W.grad is not None
    other.set_state(None)
    np.testing.assert_array_equal(other(X[0]).data, expected[0])


def states(layer):
    """The state of a layer, and its memory where it has one."""
    return [s for s in (layer.h, getattr(layer, "c", None)) if s is not None]


@each_layer
def test_the_state_is_in_the_state_dict_but_no_weight(layer_class, tmp_path):
    """A state dict goes on in the middle of a sequence; files of weights hold no state, and loading one resets it."""
    one, other = Sequential(golden_layer(layer_class)), Sequential(golden_layer(layer_class))
    expected = run(one, X).data
    one.l0.reset_state()
    run(one, X[:2])
    names = ["l0.h", "l0.c"] if layer_class is L.LSTM else ["l0.h"]
    assert list(one.state_dict()) == [*one.weights(), *names]
    other.load_state_dict(one.state_dict())
    assert all(s.data is not o.data for s, o in zip(states(one.l0), states(other.l0), strict=True))
    assert not other.l0.h.requires_grad
    np.testing.assert_array_equal(other(X[2]).data, expected[2])

    one.save_weights(tmp_path / "weights.safetensors")
    assert set(serialize.load(tmp_path / "weights.safetensors").arrays) == set(one.weights())
    other.load_weights(tmp_path / "weights.safetensors")
    assert states(other.l0) == []
    np.testing.assert_array_equal(run(other, X).data, expected)


@each_layer
def test_the_state_moves_with_the_layer(layer_class):
    """There and back in the middle of a sequence, its numbers are kept; a move to where it is keeps its history too."""
    layer, plain = golden_layer(layer_class), golden_layer(layer_class)
    expected = run(plain, X).data
    with fake_cupy.installed() as cupy:
        layer(X[0])
        layer.to_gpu()
        assert all(isinstance(s.data, cupy.ndarray) for s in states(layer))
        y = layer(cupy.asarray(X[1]))
        layer.to_gpu()
        assert layer.h is y
        layer.to_cpu()
        assert all(isinstance(s.data, np.ndarray) for s in states(layer))
    np.testing.assert_array_equal(layer(X[2]).data, expected[2])


@each_layer
def test_a_state_dict_is_loaded_onto_the_layers_device(layer_class):
    """The state of a layer on the host is loaded, with the weights, into one on a GPU."""
    one = golden_layer(layer_class)
    one(X[0])
    with fake_cupy.installed() as cupy:
        other = golden_layer(layer_class)
        other.to_gpu()
        other.load_state_dict(one.state_dict())
        assert all(isinstance(s.data, cupy.ndarray) for s in states(other))
        np.testing.assert_array_equal(cupy.asnumpy(other(cupy.asarray(X[1])).data), one(X[1]).data)


def test_a_layer_of_ones_own_may_carry_something():
    """What a layer names in `carries` is found by path, moved and saved as the state of an LSTM is."""

    class Counting(L.Layer):
        carries = ("calls",)

        def __init__(self):
            super().__init__()
            self.calls = None

        def forward(self, x):
            self.calls = as_variable(x if self.calls is None else self.calls.data + x)
            return self.calls

    model = Sequential(Counting(), L.LSTM(2, in_size=3))
    assert model.carried() == {}
    model(X[0])
    assert list(model.carried()) == ["l0.calls", "l1.h", "l1.c"]
    state = {path: array.copy() for path, array in model.state_dict().items()}
    model(X[1])
    model.load_state_dict(state)
    np.testing.assert_array_equal(model.l0.calls.data, X[0])
    with pytest.raises(StateError, match=r"unexpected \(1\): l0.counts"):
        model.load_state_dict(state | {"l0.counts": X[0]})
    model.carry({})
    assert model.carried() == {}


@each_layer
def test_unchain_backward_truncates(layer_class):
    """After `loss.unchain_backward()` the state keeps its numbers and gradients stop at it."""
    layer, plain = golden_layer(layer_class), golden_layer(layer_class)
    first = run(layer, X)
    loss = (first * first).sum()
    loss.backward()
    loss.unchain_backward()
    layer.cleargrads()

    state = [s.data.copy() for s in (layer.h, getattr(layer, "c", None)) if s is not None]
    plain.set_state(*state)
    for each in (layer, plain):
        y = run(each, -X)
        (y * y).sum().backward()
    for param, expected in zip(layer.params(), plain.params(), strict=True):
        np.testing.assert_array_equal(param.grad.data, expected.grad.data)


@each_layer
def test_truncated_training_holds_no_old_graph(layer_class):
    """Over many windows of truncated backpropagation the graph behind the state does not grow."""
    layer, head = layer_class(4, in_size=1), L.Linear(1, in_size=4)
    optimizers = [SGD(0.1).setup(layer), SGD(0.1).setup(head)]
    xs = np.sin(np.linspace(0, 20, 60)).astype(np.float32).reshape(60, 1, 1)
    sizes = []
    for start in range(0, 60, 10):
        loss = sum(F.mean_squared_error(head(layer(x)), x * 0.5) for x in xs[start : start + 10])
        for each in (layer, head):
            each.cleargrads()
        loss.backward()
        loss.unchain_backward()
        for optimizer in optimizers:
            optimizer.update()
        sizes.append(count_nodes(layer.h) + count_nodes(getattr(layer, "c", None)))
    assert max(sizes) <= 4


def count_nodes(v):
    """How many nodes the graph behind a Variable has."""
    seen, nodes = set(), [] if v is None else [v.node]
    while nodes:
        node = nodes.pop()
        if node is not None and node not in seen:
            seen.add(node)
            nodes.extend(node.parents)
    return len(seen)


@each_layer
def test_without_unchain_the_graph_goes_back_to_the_beginning(layer_class):
    """Two windows as one: without a cut the gradient is that of the whole sequence."""
    whole, halves = golden_layer(layer_class), golden_layer(layer_class)
    run(whole, np.concatenate([X, -X])).sum().backward()
    y = run(halves, X).sum() + run(halves, -X).sum()
    y.backward()
    np.testing.assert_allclose(halves.h2h.W.grad.data, whole.h2h.W.grad.data, rtol=1e-12)


@each_layer
def test_under_no_grad_nothing_is_recorded(layer_class):
    """A state computed under no_grad is a constant, from which training goes on."""
    layer = golden_layer(layer_class)
    with no_grad():
        run(layer, X)
    assert not layer.h.requires_grad
    layer(X[0]).sum().backward()
    assert layer.x2h.W.grad is not None


@pytest.mark.parametrize("wrong", [0, -2, 2.5, "3", None], ids=repr)
@each_layer
def test_the_hidden_size_is_a_positive_integer(layer_class, wrong):
    """Another one is refused by the name of the layer and of the argument."""
    with pytest.raises(ConfigError) as info:
        layer_class(wrong)
    assert str(info.value) == f"{layer_class.__name__}: hidden_size is {wrong!r}; a size is a positive integer"


@each_layer
def test_errors(layer_class):
    """Inputs and states of a wrong shape are refused, a changed batch size with the remedy."""
    name = layer_class.__name__
    layer = layer_class(5)
    with pytest.raises(ShapeError, match=rf"{name}: x has shape \(2, 3, 4\); wanted a batch at one time step"):
        layer(np.ones((2, 3, 4), np.float32))
    layer(np.ones((4, 3), np.float32))
    with pytest.raises(ShapeError, match=rf"{name}: the state is of a batch of 4, x has 1; call reset_state\(\)"):
        layer(np.ones((1, 3), np.float32))
    with pytest.raises(ShapeError, match=rf"{name}: the state is float64\(4, 3\); wanted \(N, 5\)"):
        layer.set_state(np.ones((4, 3)))


@each_layer
def test_repr(layer_class):
    """The sizes are shown, the input's once it is known."""
    layer = layer_class(5)
    assert repr(layer) == f"{layer_class.__name__}(? -> 5)"
    layer(np.ones((1, 3), np.float32))
    assert repr(layer) == f"{layer_class.__name__}(3 -> 5)"


@each_layer
def test_a_step_does_not_wait_for_the_device(layer_class):
    """Forward and backward move nothing between host and device."""
    with fake_cupy.installed() as cupy:
        layer = layer_class(5, in_size=3)
        layer.to_gpu()
        xs = cupy.ones((3, 2, 3), np.float32)
        with fake_cupy.no_transfers():
            run(layer, xs).sum().backward()
        assert isinstance(layer.h.data, cupy.ndarray)
        assert all(isinstance(p.grad.data, cupy.ndarray) for p in layer.params())


def test_an_lstm_learns_to_remember():
    """A short training on the first element of a sequence, which the output must give at its end, succeeds."""
    rng = np.random.default_rng(0)
    model, head = L.LSTM(16, in_size=1), L.Linear(1, in_size=16)
    optimizers = [SGD(0.5).setup(model), SGD(0.5).setup(head)]
    losses = []
    for _ in range(150):
        xs = rng.choice([-1.0, 1.0], (5, 32, 1)).astype(np.float32)
        model.reset_state()
        loss = F.mean_squared_error(head(F.split(run(model, xs), 5)[-1].reshape(32, 16)), xs[0])
        for each in (model, head):
            each.cleargrads()
        loss.backward()
        for optimizer in optimizers:
            optimizer.update()
        losses.append(loss.item())
    assert losses[0] > 0.8
    assert losses[-1] < 0.05


@each_layer
def test_states_can_be_unchained_by_hand(layer_class):
    """`unchain()` of the state is a cut too."""
    layer, plain = golden_layer(layer_class), golden_layer(layer_class)
    layer(X[0])
    states = [s for s in (layer.h, getattr(layer, "c", None)) if s is not None]
    for state in states:
        state.unchain()
    plain.set_state(*[state.data for state in states])
    for each in (layer, plain):
        each(X[1]).sum().backward()
    for param, expected in zip(layer.params(), plain.params(), strict=True):
        np.testing.assert_array_equal(param.grad.data, expected.grad.data)


@pytest.mark.parametrize("begin", ["from zeros", "from a state"])
def test_a_sequence_of_an_lstm_is_a_call_for_each_step(begin):
    """`sequence` gives the states, the final memory and the gradients of step by step, and goes on from the state."""
    xs = evenly(5, 3, 4)
    found = []
    for steps in (lambda layer: F.stack([layer(x) for x in xs]), lambda layer: layer.sequence(xs)):
        layer = L.LSTM(2, in_size=4, dtype=np.float64)
        for param in layer.params():
            param.data = evenly(*param.shape)
        if begin == "from a state":
            layer.set_state(evenly(3, 2), -evenly(3, 2))
        y = steps(layer)
        ((y * y).sum() + (layer.c * layer.h).sum()).backward()
        found.append([y.data, layer.h.data, layer.c.data, *[p.grad.data for p in layer.params()]])
    for a, b in zip(*found, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-12, atol=1e-14)


def test_errors_of_sequences():
    """A sequence has three axes and at least one step, and the batch of the state."""
    layer = L.LSTM(2)
    with pytest.raises(ShapeError, match=r"LSTM.sequence: x has shape \(3, 4\); wanted \(T, N, in_size\)"):
        layer.sequence(evenly(3, 4))
    with pytest.raises(ShapeError, match="with at least one step"):
        layer.sequence(np.zeros((0, 3, 4)))
    layer.sequence(evenly(5, 3, 4))
    with pytest.raises(ShapeError, match="the state is of a batch of 3, x has 2; call reset_state"):
        layer.sequence(evenly(5, 2, 4))
