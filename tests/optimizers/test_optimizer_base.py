"""What all optimizers share: finding Parameters, updating in place, hooks, saving and going on, errors."""

import numpy as np
import pytest

import fake_cupy
import minitorch.functions as F
import minitorch.layers as L
from minitorch import Layer, Parameter, Variable, optimizers, serialize
from minitorch.errors import ConfigError, GraphError, StateError
from minitorch.models import MLP
from minitorch.optimizers import SGD, Adam, ClipGrad, FreezeParam, MomentumSGD, Optimizer, WeightDecay

X = np.random.default_rng(0).standard_normal((6, 4)).astype(np.float32)
T = np.array([0, 1, 2, 0, 1, 2])
STATEFUL = [lambda: MomentumSGD(0.1), lambda: Adam(0.01)]


def step(model, optimizer, put=np.asarray):
    model.cleargrads()
    F.softmax_cross_entropy(model(put(X)), put(T)).backward()
    optimizer.update()


def arrays(model):
    return {path: p.data.copy() for path, p in model.named_params()}


def one(value, grad):
    """A layer with one Parameter `p` that has a gradient."""
    layer = Layer()
    layer.p = Parameter(value)
    layer.p.grad = Variable(grad)
    return layer


# ---- updating


def by_sgd(p, g, state, t):
    return p - 0.1 * g


def by_momentum(p, g, state, t):
    state["v"] = 0.9 * state.get("v", 0) - 0.1 * g
    return p + state["v"]


def by_adam(p, g, state, t):
    state["m"] = 0.9 * state.get("m", 0) + 0.1 * g
    state["v"] = 0.999 * state.get("v", 0) + 0.001 * g * g
    return p - 0.1 * (state["m"] / (1 - 0.9**t)) / (np.sqrt(state["v"] / (1 - 0.999**t)) + 1e-8)


@pytest.mark.parametrize(
    ("make", "rule"), [(SGD, by_sgd), (MomentumSGD, by_momentum), (Adam, by_adam)], ids=lambda r: r.__name__
)
@pytest.mark.parametrize(("shape", "order"), [((3, 2), "C"), ((300, 301), "C"), ((300, 301), "F")], ids=str)
def test_fifty_steps_follow_the_formula(make, rule, shape, order, device):
    """Fifty steps in float32 are those of the formula in float64, for arrays of several blocks, in either order."""
    rng = np.random.default_rng(0)
    expected = rng.standard_normal(shape)
    layer = one(device.put(np.asarray(expected, np.float32, order=order)), device.put(np.zeros(shape, np.float32)))
    optimizer = make(0.1).setup(layer)
    gradients = rng.standard_normal((5, *shape))
    state = {}
    for t in range(1, 51):
        g = gradients[t % 5]
        layer.p.grad.data[...] = device.put(g.astype(np.float32))
        optimizer.update()
        expected = rule(expected, g, state, t)
    np.testing.assert_allclose(device.get(layer.p.data), expected, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("make", [lambda: SGD(0.1), *STATEFUL])
def test_arrays_are_updated_in_place(make, device):
    """The arrays of Parameters and of the state stay the same objects, in the same dtype."""
    model = MLP((5, 3))
    if device.name != "cpu":
        model.to_gpu()
    optimizer = make().setup(model)
    step(model, optimizer, device.put)
    kept = [p.data for p in model.params()] + [v for entry in optimizer.state.values() for v in entry.values()]
    before = arrays(model)
    step(model, optimizer, device.put)
    now = [p.data for p in model.params()] + [v for entry in optimizer.state.values() for v in entry.values()]
    assert all(a is b for a, b in zip(kept, now, strict=True) if isinstance(a, device.xp.ndarray))
    for path, p in model.named_params():
        assert p.dtype == np.float32
        assert not np.array_equal(device.get(p.data), device.get(before[path])), path


def test_parameters_without_a_gradient_are_passed_over():
    """What took no part in the loss, or wants no gradient, is left alone, and nothing is remembered of it."""
    layer = Layer()
    layer.used, layer.unused, layer.constant = L.Linear(2, in_size=4), L.Linear(2, in_size=4), L.Linear(2, in_size=4)
    for p in layer.constant.params():
        p.requires_grad = False
    optimizer = Adam().setup(layer)
    before = arrays(layer)
    (layer.used(X) + layer.constant(X)).backward()
    optimizer.update()
    changed = [path for path, p in layer.named_params() if not np.array_equal(p.data, before[path])]
    assert changed == ["used.W", "used.b"]
    assert list(optimizer.state) == changed


def test_state_is_kept_by_path():
    """Lazily sized layers and layers added later get their state under their paths."""
    model = MLP((5, 3))
    optimizer = Adam().setup(model)
    step(model, optimizer)
    assert sorted(optimizer.state) == ["l0.W", "l0.b", "l1.W", "l1.b"]
    assert optimizer.state["l0.W"]["m"].shape == (4, 5)
    assert optimizer.state["l0.W"]["t"] == 1


def test_state_starts_at_zero_whatever_the_weights_are():
    """An infinite weight does not make its momentum NaN from the start."""
    layer = one(np.array([np.inf, 1.0]), np.array([0.0, 1.0]))
    MomentumSGD(0.1).setup(layer).update()
    np.testing.assert_allclose(layer.p.data, [np.inf, 0.9])


def test_setup_and_add_hook_return_the_optimizer():
    """So that one line makes, sets up and hooks an optimizer, as in DeZero."""
    optimizer = SGD()
    assert optimizer.setup(MLP((2,))) is optimizer
    assert optimizer.add_hook(WeightDecay(0.1)) is optimizer


def test_an_optimizer_of_your_own(device):
    """A subclass with `update_one` alone is a whole optimizer: hooks, paths, state and saving work."""

    class SignSGD(Optimizer):
        hyperparameters = ("lr",)

        def __init__(self, lr):
            super().__init__()
            self.lr = lr

        def update_one(self, param):
            state = self.state_of(param, steps=0)
            state["steps"] += 1
            xp = device.xp
            param.data -= self.lr * xp.sign(param.grad.data)

    layer = one(device.put([1.0, 2.0]), device.put([5.0, -0.1]))
    optimizer = SignSGD(0.5).setup(layer)
    optimizer.update()
    optimizer.update()
    assert device.get(layer.p.data).tolist() == [0, 3]
    other = SignSGD(0.1).setup(layer)
    other.load_state_dict(optimizer.state_dict())
    assert (other.lr, other.state["p"]["steps"]) == (0.5, 2)


# ---- errors


def test_update_without_setup():
    """There must be something to update."""
    with pytest.raises(GraphError, match=r"^SGD.update: there is no target; call .setup\(model\) first$"):
        SGD().update()


def test_update_without_gradients():
    """A forgotten backward is an error, not a step that does nothing."""
    model = MLP((5, 3))
    with pytest.raises(
        GraphError,
        match=r"^Adam.update: no Parameter of MLP\(\(5, 3\)\) has a gradient; call loss.backward\(\) after cleargrads",
    ):
        Adam().setup(model).update()


@pytest.mark.parametrize("wrong", [None, [1], "model", Parameter(X)], ids=lambda w: type(w).__name__)
def test_setup_takes_a_layer(wrong):
    """Anything without Parameters is refused."""
    with pytest.raises(ConfigError, match=rf"^SGD.setup: got {type(wrong).__name__}; give a Layer or a Model$"):
        SGD().setup(wrong)


def test_classes_are_no_instances():
    """A class that was not called is told as one, and so is a hook that is no function, before the first update."""
    with pytest.raises(ConfigError, match=r"^SGD.setup: got the class MLP; give a Layer or a Model$"):
        SGD().setup(MLP)
    for wrong, given in ((WeightDecay, "the class WeightDecay"), (0.1, "0.1"), (None, "None")):
        optimizer = SGD()
        with pytest.raises(ConfigError) as info:
            optimizer.add_hook(wrong)
        assert str(info.value) == (
            f"SGD.add_hook: got {given}; give a function of the list of Parameters, such as WeightDecay(1e-4)"
        )
        assert optimizer.hooks == []


def test_update_one_must_be_written():
    """The base class says what is missing."""

    class Empty(Optimizer):
        pass

    with pytest.raises(NotImplementedError, match=r"^Empty.update_one is not written$"):
        Empty().setup(one(np.ones(2), np.ones(2))).update()


# ---- hooks


def test_weight_decay(device):
    """The gradient grows by rate times the Parameter; the Parameter itself is left to the update."""
    layer = one(device.put([1.0, -2.0]), device.put([10.0, 10.0]))
    grad = layer.p.grad.data
    WeightDecay(0.5)([layer.p])
    assert layer.p.grad.data is grad
    assert device.get(grad).tolist() == [10.5, 9.0]
    assert device.get(layer.p.data).tolist() == [1, -2]


def test_clip_grad(device):
    """One norm over all gradients; what is below it stays as it is."""
    layer = Layer()
    layer.a, layer.b = Parameter(device.put([0.0])), Parameter(device.put([[0.0]]))
    for norm, expected in ((1.0, (0.6, 0.8)), (10.0, (3.0, 4.0)), (5.1, (3.0, 4.0)), (0.0, (0.0, 0.0))):
        layer.a.grad, layer.b.grad = Variable(device.put([3.0])), Variable(device.put([[4.0]]))
        ClipGrad(norm)([layer.a, layer.b])
        found = [float(p.grad) for p in (layer.a, layer.b)]
        np.testing.assert_allclose(found, expected, rtol=1e-5)
    ClipGrad(1.0)([])


def test_freeze_param():
    """Frozen layers and Parameters do not change, also under weight decay; the others do."""
    model = MLP((5, 4, 3))
    optimizer = SGD(0.1).setup(model)
    step(model, optimizer)
    for hook in (FreezeParam(model.l0, model.l1.W), WeightDecay(0.1), ClipGrad(1.0)):
        optimizer.add_hook(hook)
    before = arrays(model)
    step(model, optimizer)
    changed = [path for path, p in model.named_params() if not np.array_equal(p.data, before[path])]
    assert changed == ["l1.b", "l2.W", "l2.b"]


def test_hooks_run_in_the_order_in_which_they_were_added():
    """Each hook gets the list of Parameters with gradients, after the hooks added before it."""
    layer = one(np.ones(2), np.ones(2))
    seen = []
    optimizer = SGD().setup(layer)
    for name in "abc":
        optimizer.add_hook(lambda params, name=name: seen.append((name, params[0])))
    optimizer.update()
    assert [name for name, _ in seen] == ["a", "b", "c"]
    assert all(p is layer.p for _, p in seen)


@pytest.mark.parametrize("hook", [WeightDecay, ClipGrad], ids=lambda h: h.__name__)
@pytest.mark.parametrize("wrong", [-1, float("nan"), "1", None, True], ids=repr)
def test_hooks_check_their_settings(hook, wrong):
    """A setting that is no number of at least 0 is refused by name."""
    with pytest.raises(ConfigError, match=rf"^{hook.__name__}: \w+ is {wrong!r}; it must be a number of at least 0$"):
        hook(wrong)


# ---- saving and going on


@pytest.mark.parametrize("make", STATEFUL)
def test_going_on_is_bit_for_bit_the_same(make, tmp_path):
    """Saved to a file after three steps and loaded into new objects, two more steps give the same bits."""
    model = MLP((5, 3))
    optimizer = make().setup(model)
    for _ in range(3):
        step(model, optimizer)
    model.save_weights(tmp_path / "model.safetensors")
    saved = optimizer.state_dict()
    tensors = {
        f"{path}/{key}": value
        for path, entry in saved["state"].items()
        for key, value in entry.items()
        if isinstance(value, np.ndarray)
    }
    serialize.save(tmp_path / "optimizer.safetensors", tensors)
    numbers = {
        path: {key: value for key, value in entry.items() if not isinstance(value, np.ndarray)}
        for path, entry in saved["state"].items()
    }
    saved = {**saved, "state": numbers}
    for _ in range(2):
        step(model, optimizer)

    other = MLP((5, 3))
    other.load_weights(tmp_path / "model.safetensors")
    for name, tensor in serialize.load(tmp_path / "optimizer.safetensors").arrays.items():
        path, _, key = name.rpartition("/")
        saved["state"][path][key] = tensor
    resumed = make().setup(other)
    resumed.load_state_dict(saved)
    for _ in range(2):
        step(other, resumed)
    for path, p in other.named_params():
        np.testing.assert_array_equal(p.data, model.state_dict()[path])


def test_loading_copies_and_restores_hyperparameters():
    """The loaded state is the optimizer's own, and so are the hyperparameters that were saved."""
    model = MLP((5, 3))
    optimizer = MomentumSGD(0.5, 0.3).setup(model)
    step(model, optimizer)
    other = MomentumSGD(0.1).setup(model)
    other.load_state_dict(optimizer.state_dict())
    assert (other.lr, other.momentum) == (0.5, 0.3)
    other.state["l0.W"]["v"] += 1
    assert not np.array_equal(other.state["l0.W"]["v"], optimizer.state["l0.W"]["v"])


def test_state_of_something_else_is_refused():
    """Another class, other hyperparameters, another model or shape: named, and nothing is changed."""
    model = MLP((5, 3))
    optimizer = Adam(0.5).setup(model)
    step(model, optimizer)
    good = optimizer.state_dict()
    target = Adam(0.1).setup(MLP((4,)))

    def refuse(state, message):
        with pytest.raises(StateError, match=message):
            target.load_state_dict(state)
        assert (target.lr, target.state) == (0.1, {})

    refuse({**good, "class": "SGD"}, r"^Adam: the state is of SGD; make the optimizer that was saved$")
    refuse({k: v for k, v in good.items() if k != "state"}, r"^Adam state: missing \(1\): state\. ")
    refuse({**good, "hyperparameters": {"lr": 1.0}}, r"^Adam hyperparameters: missing \(3\): beta1, beta2, eps\. ")
    refuse(good, r"^Adam: the state has Parameters that the model has not: l1.W, l1.b$")
    wrong = {"l0.b": good["state"]["l0.b"]}
    refuse({**good, "state": wrong}, r"^Adam: l0.b/m: shape \(5,\) given, \(4,\) wanted$")


# ---- devices


def test_moving_the_state():
    """to_gpu and to_cpu move the state with the model, and training goes on with the same numbers."""
    models = [MLP((5, 3)), MLP((5, 3))]
    models[0](X)
    models[1](X)
    models[1].load_state_dict(models[0].state_dict())
    here, there = (Adam(0.1).setup(m) for m in models)
    with fake_cupy.installed() as cupy:
        for _ in range(2):
            step(models[0], here)
        step(models[1], there)
        models[1].to_gpu()
        there.to_gpu()
        step(models[1], there, cupy.asarray)
        assert all(isinstance(entry["m"], cupy.ndarray) for entry in there.state.values())
        assert there.state["l0.W"]["t"] == 2
        models[1].to_cpu()
        there.to_cpu()
    for one_, other in zip(models[0].params(), models[1].params(), strict=True):
        np.testing.assert_allclose(one_.data, other.data, rtol=1e-4, atol=1e-6)


def test_state_is_loaded_where_the_parameters_are():
    """Loading puts the state on the device of each Parameter, also of one that has no array yet."""
    model = MLP((5, 3))
    optimizer = Adam().setup(model)
    step(model, optimizer)
    with fake_cupy.installed() as cupy:
        for called in (False, True):
            other = MLP((5, 3))
            other.to_gpu()
            if called:
                other(cupy.asarray(X))
            resumed = Adam().setup(other)
            resumed.load_state_dict(optimizer.state_dict())
            assert all(isinstance(entry["m"], cupy.ndarray) for entry in resumed.state.values())
            step(other, resumed, cupy.asarray)


def test_there_is_an_optimizer_for_every_name():
    """All that the package offers can be made with its defaults, but for the base, the hooks and the schedules."""
    others = ["ClipGrad", "FreezeParam", "Optimizer", "WeightDecay", "schedules"]
    for name in optimizers.__all__:
        if name not in others:
            layer = one(np.ones((2, 2), np.float32), np.ones((2, 2), np.float32))
            getattr(optimizers, name)().setup(layer).update()
            assert (layer.p.data < 1).all(), name


def test_cleargrads_forgets_the_gradients_of_the_target():
    """Before the first update those of all Parameters of the target, afterwards those that the newest update found."""
    layer = L.Linear(2, in_size=3)
    optimizer = SGD(0.1).setup(layer)
    SGD(0.1).cleargrads()  # nothing to forget without a target
    for _ in range(2):
        layer(np.ones((1, 3), np.float32)).sum().backward()
        assert all(param.grad is not None for param in layer.params())
        optimizer.cleargrads()
        assert all(param.grad is None for param in layer.params())
        layer(np.ones((1, 3), np.float32)).sum().backward()
        optimizer.update()
        optimizer.cleargrads()
