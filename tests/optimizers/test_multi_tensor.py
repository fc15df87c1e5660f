"""Updates on a device by one launch: the numbers of the host, the state of the host, and fit for a captured step."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

import fake_cupy
from minitorch import Layer, Parameter, Variable, as_cupy, as_numpy, optimizers
from minitorch.cuda import CapturedStep, preserved
from minitorch.errors import DeviceError
from minitorch.optimizers import ClipGrad, FreezeParam, Optimizer, WeightDecay

MAKE = {
    "SGD": lambda: optimizers.SGD(0.1),
    "MomentumSGD": lambda: optimizers.MomentumSGD(0.1),
    "Nesterov": lambda: optimizers.MomentumSGD(0.1, nesterov=True),
    "AdaGrad": lambda: optimizers.AdaGrad(0.1),
    "AdaDelta": lambda: optimizers.AdaDelta(eps=1e-3),
    "RMSprop": lambda: optimizers.RMSprop(0.1),
    "Adam": lambda: optimizers.Adam(0.1),
    "AdamW": lambda: optimizers.AdamW(0.1),
    "Lion": lambda: optimizers.Lion(0.1, weight_decay=0.1),
}
SHAPES = {"W": (7, 5), "b": (5,), "s": ()}


@pytest.fixture(autouse=True)
def _installed() -> Iterator[None]:
    with fake_cupy.installed():
        yield


class Weights(Layer):
    """Three Parameters, which get new gradients at each `draw`."""

    def __init__(self, dtype: Any = np.float32) -> None:
        super().__init__()
        self.rng = np.random.default_rng(0)
        for name, shape in SHAPES.items():
            setattr(self, name, Parameter(np.asarray(self.rng.normal(size=shape), dtype)))

    def draw(self) -> None:
        for p in self.params():
            g = np.asarray(self.rng.normal(size=p.shape), p.dtype)
            p.grad = Variable(g if isinstance(p.data, np.ndarray) else as_cupy(g))


def pair(name: str, *hooks: Any, groups: Any = None) -> list[tuple[Weights, Optimizer]]:
    """The same weights and optimizer on the host and on the device."""
    made = []
    for on_device in (False, True):
        layer = Weights()
        if on_device:
            layer.to_gpu()
        optimizer = MAKE[name]().setup(layer, groups)
        for hook in hooks:
            optimizer.add_hook(hook)
        made.append((layer, optimizer))
    return made


def assert_near(a: Any, b: Any) -> None:
    """Two trees of states or weights agree up to rounding."""
    assert a.keys() == b.keys()
    for key in a:
        if isinstance(a[key], dict):
            assert_near(a[key], b[key])
        elif isinstance(a[key], int | float | str):
            assert a[key] == b[key]
        else:
            np.testing.assert_allclose(as_numpy(a[key]), as_numpy(b[key]), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    "hooks",
    [
        (),
        (ClipGrad(1.0),),
        (WeightDecay(0.1),),
        (ClipGrad(1.0), WeightDecay(0.1), WeightDecay(0.2)),
        (WeightDecay(0.1), ClipGrad(1.0)),
    ],
    ids=["none", "clip", "decay", "clip-decay-decay", "decay-clip"],
)
@pytest.mark.parametrize("name", MAKE)
def test_host_and_device_update_alike(name: str, hooks: Any) -> None:
    """Weights and state agree after some updates with a changing rate; the state dicts have the same form."""
    (host, on_host), (device, on_device) = pair(name, *hooks)
    for step in range(4):
        for layer, optimizer in ((host, on_host), (device, on_device)):
            layer.draw()
            optimizer.lr = 0.1 / (step + 1)
            optimizer.update()
    assert_near(host.state_dict(), device.state_dict())
    assert_near(on_host.state_dict(), on_device.state_dict())


def counting(name: str) -> list[str]:
    """The launches that count updates on the device, of one set of hyperparameters."""
    return ["count_update"] if name in ("Adam", "AdamW") else []


@pytest.mark.parametrize("name", MAKE)
def test_one_launch_updates_all(name: str) -> None:
    """From the second update on: one launch, and one of one block for a new learning rate and for Adam's count."""
    _, (layer, optimizer) = pair(name)
    layer.draw()
    optimizer.update()
    arrays = [p.data for p in layer.params()] + [a for e in optimizer.state.values() for a in e.values()]
    layer.draw()
    fake_cupy.machine.launches.clear()
    optimizer.lr = 0.01
    with fake_cupy.no_transfers():
        optimizer.update()
    assert fake_cupy.machine.launches[:-1] == ["set_numbers", *counting(name)]
    now = [p.data for p in layer.params()] + [a for e in optimizer.state.values() for a in e.values()]
    assert all(a is b for a, b in zip(arrays, now, strict=True) if not isinstance(a, int))


@pytest.mark.parametrize("name", ["MomentumSGD", "Adam", "AdamW"])
def test_groups_get_their_options(name: str) -> None:
    """Shares of the rate and decay of its own cost no launch; other hyperparameters make one more."""
    options = {"lr_scale": 0.5, "weight_decay": 0.3} if name == "AdamW" else {"lr_scale": 0.5}
    (host, on_host), (device, on_device) = pair(name, ClipGrad(1.0), groups={"W": options})
    for layer, optimizer in ((host, on_host), (device, on_device)):
        layer.draw()
        optimizer.update()
    assert_near(host.state_dict(), device.state_dict())
    assert fake_cupy.machine.launches[:-1] == ["set_numbers", "chunk_squares", "clip_scale", *counting(name)]
    key = "momentum" if name == "MomentumSGD" else "beta1"
    (host, on_host), (device, on_device) = pair(name, ClipGrad(1.0), groups={"W": {key: 0.5}})
    for _ in range(3):
        fake_cupy.machine.launches.clear()
        for layer, optimizer in ((host, on_host), (device, on_device)):
            layer.draw()
            optimizer.update()
    assert_near(host.state_dict(), device.state_dict())
    assert len(fake_cupy.machine.launches) == 4 + 2 * len(counting(name))


def test_each_parameter_counts_its_own_updates() -> None:
    """Where one has no gradient for a while, its moments are corrected by the number of its own updates."""
    (host, on_host), (device, on_device) = pair("Adam")
    for step in range(5):
        for layer, optimizer in ((host, on_host), (device, on_device)):
            layer.draw()
            if step in (1, 2):
                layer.b.cleargrad()
            optimizer.update()
    assert on_device.state["W"]["t"] == 5
    assert on_device.state["b"]["t"] == 3
    assert_near(host.state_dict(), device.state_dict())
    device.draw()
    on_device.add_hook(FreezeParam(device))
    on_device.update()  # nothing is left to update
    assert on_device.state["W"]["t"] == 5


@pytest.mark.parametrize("name", MAKE)
def test_a_run_moves_between_host_and_device(name: str) -> None:
    """State saved on either side goes on, on the other, as it would have gone on there."""
    (host, on_host), (device, on_device) = pair(name)
    for layer, optimizer in ((host, on_host), (device, on_device)):
        layer.draw()
        optimizer.update()
    for source, target in ((on_host, on_device), (on_device, on_host)):
        target.target.load_state_dict(source.target.state_dict())
        target.load_state_dict(source.state_dict())
        for optimizer in (source, target):
            optimizer.target.rng = np.random.default_rng(1)
            optimizer.target.draw()
            optimizer.update()
        assert_near(source.target.state_dict(), target.target.state_dict())
        assert_near(source.state_dict(), target.state_dict())
    device.to_cpu()
    on_device.to_cpu()
    device.draw()
    on_device.update()
    device.to_gpu()
    on_device.to_gpu()
    device.draw()
    on_device.update()
    assert on_device.updates == 5


def captured(layer: Weights, optimizer: Optimizer) -> CapturedStep:
    step = CapturedStep(optimizer.update)
    layer.draw()
    arrays = [p.data for p in layer.params()]
    step.warm_up(1)
    optimizer.refresh()
    with preserved(arrays):
        step.capture()
    optimizer.advance(-1)
    return step


@pytest.mark.parametrize("name", MAKE)
def test_a_captured_update_is_replayed(name: str) -> None:
    """Each replay is an update at the rate of the time, counted on both sides: the bits of eager updates."""
    eager, (layer, optimizer) = (
        pair(name, ClipGrad(1.0), WeightDecay(0.1))[1],
        pair(name, ClipGrad(1.0), WeightDecay(0.1))[1],
    )
    step = captured(layer, optimizer)
    eager[0].draw()
    eager[1].update()
    for i in range(3):
        for who in (eager[1], optimizer):
            who.lr = 0.1 / (i + 1)
        eager[1].update()
        generation = optimizer.refresh()
        with fake_cupy.no_transfers():
            optimizer.rate.write([optimizer.rate.now])
            step.launch()
        optimizer.advance(1)
        assert optimizer.refresh() == generation
    for a, b in zip(eager[0].params(), layer.params(), strict=True):
        np.testing.assert_array_equal(a.data.get(), b.data.get())
    mine, other = optimizer.state_dict(), eager[1].state_dict()
    assert mine["updates"] == other["updates"] == 4
    assert [e.get("t") for e in mine["state"].values()] == [e.get("t") for e in other["state"].values()]


def test_a_capture_knows_when_it_is_out_of_date() -> None:
    """Not by the learning rate, but by any other hyperparameter, a hook, moved or loaded state."""
    _, (layer, optimizer) = pair("Adam")
    layer.draw()
    optimizer.update()
    seen = [optimizer.refresh()]
    optimizer.lr = 0.3
    assert optimizer.refresh() == seen[-1]

    def changed(change: Any) -> None:
        change()
        assert optimizer.refresh() not in seen
        optimizer.update()
        seen.append(optimizer.refresh())

    changed(lambda: setattr(optimizer, "beta1", 0.5))
    changed(lambda: optimizer.add_hook(ClipGrad(1.0)))
    changed(lambda: setattr(optimizer.hooks[0], "max_norm", 2.0))
    optimizer.to_gpu()  # where it is already
    assert optimizer.refresh() == seen[-1]
    optimizer.to_cpu()
    changed(optimizer.to_gpu)


class Mine(optimizers.SGD):
    """A user's rule, written for one Parameter."""

    def update_one(self, param: Parameter) -> None:
        param.data -= 1


def test_a_rule_of_a_user_is_called_on_a_device_too() -> None:
    """A subclass that writes `update_one` itself gets no launch of its base; such an update is not captured."""
    layer = Weights()
    layer.to_gpu()
    layer.draw()
    before = layer.b.data.get()
    optimizer = Mine().setup(layer)
    optimizer.update()
    np.testing.assert_array_equal(layer.b.data.get(), before - 1)
    with pytest.raises(DeviceError, match=r"Mine updates Parameters one by one, with numbers of the host"):
        captured(layer, optimizer)


def test_float64_is_updated_one_by_one() -> None:
    """Parameters that the kernels do not take are updated by the rules, to full precision."""
    layers = [Weights(np.float64) for _ in range(2)]
    layers[1].to_gpu()
    for layer in layers:
        optimizer = optimizers.Adam(0.1).setup(layer)
        for _ in range(3):
            layer.draw()
            optimizer.update()
    for a, b in zip(layers[0].params(), layers[1].params(), strict=True):
        np.testing.assert_allclose(a.data, b.data.get(), rtol=1e-12)
