"""Every optimizer follows its rule: against PyTorch's numbers, against the papers' equations, and on every device."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from backend import Backend
from minitorch import Layer, Parameter, Variable, optimizers
from minitorch.errors import ConfigError
from minitorch.optimizers import Optimizer

STEPS = 100
START = np.array([[1.0, -2.0, 0.5], [0.25, -0.125, 3.0]])

OURS: dict[str, Callable[[], Optimizer]] = {
    "SGD": lambda: optimizers.SGD(0.1),
    "MomentumSGD": lambda: optimizers.MomentumSGD(0.05, 0.8),
    "MomentumSGD nesterov": lambda: optimizers.MomentumSGD(0.05, 0.8, nesterov=True),
    "AdaGrad": lambda: optimizers.AdaGrad(0.1, 1e-8),
    "AdaDelta": lambda: optimizers.AdaDelta(0.9, 1e-6),
    "AdaDelta lr": lambda: optimizers.AdaDelta(0.9, 1e-6, lr=2.0),
    "RMSprop": lambda: optimizers.RMSprop(0.01, 0.9, 1e-8),
    "Adam": lambda: optimizers.Adam(0.02, 0.8, 0.99, 1e-8),
    "AdamW": lambda: optimizers.AdamW(0.02, 0.8, 0.99, 1e-8, 0.1),
}
TORCH: dict[str, tuple[str, dict[str, Any]]] = {
    "SGD": ("SGD", {"lr": 0.1}),
    "MomentumSGD": ("SGD", {"lr": 0.05, "momentum": 0.8}),
    "MomentumSGD nesterov": ("SGD", {"lr": 0.05, "momentum": 0.8, "nesterov": True}),
    "AdaGrad": ("Adagrad", {"lr": 0.1, "eps": 1e-8}),
    "AdaDelta": ("Adadelta", {"lr": 1.0, "rho": 0.9, "eps": 1e-6}),
    "AdaDelta lr": ("Adadelta", {"lr": 2.0, "rho": 0.9, "eps": 1e-6}),
    "RMSprop": ("RMSprop", {"lr": 0.01, "alpha": 0.9, "eps": 1e-8}),
    "Adam": ("Adam", {"lr": 0.02, "betas": (0.8, 0.99), "eps": 1e-8}),
    "AdamW": ("AdamW", {"lr": 0.02, "betas": (0.8, 0.99), "eps": 1e-8, "weight_decay": 0.1}),
}
# The Parameter after 100 steps, by PyTorch 2.13 on the CPU, in float64. In this folder it is printed by
# PYTHONPATH=..:../.. python -c "
# from test_update_rules import *; print({name: by_torch(name, 'float64').tolist() for name in TORCH})"
GOLDEN = {
    "SGD": [
        [0.554796142395043, -0.542294043397655, 0.374179479873663],
        [0.266472183308719, 0.307670501451909, 0.341816596567910],
    ],
    "MomentumSGD": [
        [0.344953058822906, 0.148051368060314, 0.312841615615162],
        [0.274439246314451, 0.279444739239187, 0.303393657998362],
    ],
    "MomentumSGD nesterov": [
        [0.346349697908089, 0.141413592542099, 0.314275427513398],
        [0.259573395423346, 0.287030610638675, 0.326411904432623],
    ],
    "AdaGrad": [
        [0.293437820733971, -0.492260693838826, 0.312068948727073],
        [0.288172375759225, 0.300231808699235, 1.439629925723995],
    ],
    "AdaDelta": [
        [0.667426815342439, -1.624113660639301, 0.358651487285742],
        [0.288097211910955, 0.119378218442672, 2.624436763834739],
    ],
    "AdaDelta lr": [
        [0.473182249033180, -1.295987677527753, 0.319218247864685],
        [0.290791576646989, 0.234076451136966, 2.289204278169863],
    ],
    "RMSprop": [
        [0.304873490662434, -0.958515992628849, 0.312748240499007],
        [0.288022419792746, 0.298733219470809, 1.951639695409397],
    ],
    "Adam": [
        [0.296202033048446, -0.405371317642624, 0.300665286697239],
        [0.293678642086211, 0.295624780697063, 1.338770668923826],
    ],
    "AdamW": [
        [0.288657575770010, -0.270058063548969, 0.296198745202598],
        [0.289316423099881, 0.290459993410551, 1.055546516098024],
    ],
}


class OneWeight(Layer):
    """A layer with the one Parameter W."""

    def __init__(self, W: Any) -> None:
        super().__init__()
        self.W = Parameter(W)

    def update(self, optimizer: Optimizer, g: Any) -> None:
        """One step of `optimizer` with the gradient `g`."""
        self.W.grad = Variable(g)
        optimizer.update()


def gradient(W: np.ndarray, step: int) -> np.ndarray:
    """Of a bowl whose bottom lies at 0.3 and wobbles with the step; steep along one axis, flat along the other."""
    return np.array([[0.1], [2.0]]) * (W - 0.3 - 0.2 * np.cos(step + np.arange(3)))


def by_torch(name: str, dtype: str) -> np.ndarray:
    """The Parameter after 100 steps of PyTorch's optimizer."""
    torch = pytest.importorskip("torch")
    kind, options = TORCH[name]
    W = torch.tensor(START, dtype=getattr(torch, dtype), requires_grad=True)
    optimizer = getattr(torch.optim, kind)([W], **options)
    for step in range(STEPS):
        W.grad = torch.tensor(gradient(W.detach().numpy(), step), dtype=W.dtype)
        optimizer.step()
    return W.detach().numpy()


def by_us(optimizer: Optimizer, dtype: str, device: Backend) -> np.ndarray:
    """The Parameter after 100 steps of `optimizer`."""
    layer = OneWeight(device.put(START.astype(dtype)))
    optimizer.setup(layer)
    for step in range(STEPS):
        g = gradient(device.get(layer.W.data), step).astype(dtype)
        layer.update(optimizer, device.put(g))
    assert layer.W.dtype == dtype
    return device.get(layer.W.data)


@pytest.mark.parametrize("name", TORCH)
def test_hundred_steps_are_those_of_pytorch(name: str, device: Backend) -> None:
    """After 100 steps the Parameter is PyTorch's, as noted here: in float64 to 1e-12, in float32 but for rounding."""
    np.testing.assert_allclose(by_us(OURS[name](), "float64", device), GOLDEN[name], rtol=0, atol=1e-12)
    np.testing.assert_allclose(by_us(OURS[name](), "float32", device), GOLDEN[name], rtol=0, atol=5e-6)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", TORCH)
def test_hundred_steps_beside_pytorch(name: str, dtype: str) -> None:
    """Where PyTorch is installed, 100 steps of both agree in float64 to 1e-12, and in float32 to 1e-6."""
    theirs = by_torch(name, dtype)
    ours = by_us(OURS[name](), dtype, Backend("cpu", np))
    np.testing.assert_allclose(ours, theirs, rtol=0, atol=1e-6 if dtype == "float32" else 1e-12)


def test_lion_follows_its_paper(device: Backend) -> None:
    """100 steps of Lion are those of Algorithm 2 of Chen et al., written out in float64."""
    lr, beta1, beta2, weight_decay = 0.01, 0.9, 0.99, 0.1
    W, m = START.copy(), np.zeros_like(START)
    for step in range(STEPS):
        g = gradient(W, step)
        c = beta1 * m + (1 - beta1) * g
        W = W - lr * (np.sign(c) + weight_decay * W)
        m = beta2 * m + (1 - beta2) * g
    ours = by_us(optimizers.Lion(lr, beta1, beta2, weight_decay), "float64", device)
    np.testing.assert_allclose(ours, W, rtol=0, atol=1e-12)
    assert not np.allclose(W, START, atol=0.1)


def test_defaults() -> None:
    """The defaults are DeZero's; of AdamW and RMSprop PyTorch's, of Lion the paper's."""

    def of(optimizer: Optimizer) -> dict[str, Any]:
        return {name: getattr(optimizer, name) for name in optimizer.hyperparameters}

    assert of(optimizers.SGD()) == {"lr": 0.01}
    assert of(optimizers.MomentumSGD()) == {"lr": 0.01, "momentum": 0.9, "nesterov": False}
    assert of(optimizers.AdaGrad()) == {"lr": 0.001, "eps": 1e-8}
    assert of(optimizers.AdaDelta()) == {"lr": 1.0, "rho": 0.95, "eps": 1e-6}
    assert of(optimizers.RMSprop()) == {"lr": 0.01, "alpha": 0.99, "eps": 1e-8}
    adam = {"lr": 0.001, "beta1": 0.9, "beta2": 0.999, "eps": 1e-8}
    assert of(optimizers.Adam()) == adam
    assert of(optimizers.AdamW()) == {**adam, "weight_decay": 0.01}
    assert of(optimizers.Lion()) == {"lr": 1e-4, "beta1": 0.9, "beta2": 0.99, "weight_decay": 0.0}


def first_step(optimizer: Optimizer, g: float) -> float:
    """How far the first update with gradient `g` goes down."""
    layer = OneWeight(np.zeros(1))
    layer.update(optimizer.setup(layer), np.full(1, g))
    return -float(layer.W.data[0])


def test_eps_of_adam_is_added_to_the_corrected_root() -> None:
    """With a gradient as small as eps, the first step of Adam is half the learning rate, as in PyTorch."""
    assert first_step(optimizers.Adam(1.0, eps=1e-3), 1e-3) == pytest.approx(0.5)


def test_eps_of_adagrad_and_rmsprop_is_added_outside_of_the_root() -> None:
    """With a root as small as eps, the first step is half of what it is without eps."""
    assert first_step(optimizers.AdaGrad(1.0, eps=1e-3), 1e-3) == pytest.approx(0.5)
    assert first_step(optimizers.RMSprop(1.0, alpha=0.75, eps=1e-3), 2e-3) == pytest.approx(1.0)


@pytest.mark.parametrize(("nesterov", "steps"), [(False, [1.0, 0.5]), (True, [1.5, 0.25])])
def test_momentum_keeps_the_learning_rate_of_each_gradient(nesterov: bool, steps: list[float]) -> None:
    """With the learning rate set to 0, the momentum of earlier steps goes on, as in DeZero."""
    layer = OneWeight(np.zeros(1))
    optimizer = optimizers.MomentumSGD(1.0, 0.5, nesterov=nesterov).setup(layer)
    places = [0.0]
    for optimizer.lr in (1.0, 0.0):
        layer.update(optimizer, np.ones(1))
        places.append(-float(layer.W.data[0]))
    assert np.diff(places).tolist() == steps


@pytest.mark.parametrize("name", OURS)
def test_the_gradient_is_left_as_it_is(name: str, device: Backend) -> None:
    """An update changes the Parameter, and its gradient not at all."""
    layer = OneWeight(device.put(START.astype(np.float32)))
    optimizer = OURS[name]().setup(layer)
    g = np.linspace(-1, 1, 6, dtype=np.float32).reshape(2, 3)
    for _ in range(2):
        layer.update(optimizer, device.put(g))
        np.testing.assert_array_equal(device.get(layer.W.grad.data), g)
    assert not np.array_equal(device.get(layer.W.data), START)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: optimizers.SGD(-1), "SGD: lr is -1; it must be a number of at least 0"),
        (
            lambda: optimizers.MomentumSGD(momentum=1),
            "MomentumSGD: momentum is 1; it must be at least 0 and less than 1",
        ),
        (lambda: optimizers.AdaGrad(eps=-1), "AdaGrad: eps is -1; it must be a number of at least 0"),
        (lambda: optimizers.AdaDelta(rho=1.5), "AdaDelta: rho is 1.5; it must be at least 0 and less than 1"),
        (lambda: optimizers.AdaDelta(lr="1"), "AdaDelta: lr is '1'; it must be a number of at least 0"),
        (lambda: optimizers.RMSprop(alpha=1.0), "RMSprop: alpha is 1.0; it must be at least 0 and less than 1"),
        (lambda: optimizers.Adam(alpha=float("nan")), "Adam: alpha is nan; it must be a number of at least 0"),
        (lambda: optimizers.AdamW(weight_decay=-0.1), "AdamW: weight_decay is -0.1; it must be a number of at least 0"),
        (lambda: optimizers.AdamW(beta2=1.0), "AdamW: beta2 is 1.0; it must be at least 0 and less than 1"),
        (lambda: optimizers.Lion(beta1=-0.1), "Lion: beta1 is -0.1; it must be a number of at least 0"),
    ],
)
def test_hyperparameters_are_checked(make: Callable[[], Optimizer], message: str) -> None:
    """A hyperparameter that makes no sense is refused by name, with its value and the rule."""
    with pytest.raises(ConfigError, match=f"^{message}$"):
        make()
