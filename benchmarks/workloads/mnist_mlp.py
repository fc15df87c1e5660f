"""A fully connected network on MNIST, as in *Deep Learning from Scratch 3*, step 52: sigmoid and SGD.

`mnist_mlp_adam` lets the same contestants train with relu and Adam.
"""

from collections.abc import Callable
from functools import partial
from typing import Any

import attrs
import numpy as np

import minitorch.functions as F
from benchmarks import mnist, numpy_optimizers, peers
from benchmarks.mnist import BATCH, CLASSES, HIDDEN, PIXELS, Batches
from benchmarks.race import Race
from benchmarks.workload import ONEDNN, Contestant, Target, Workload
from minitorch import Callback, Trainer, optimizers
from minitorch.models import MLP
from minitorch.trainer import Phase
from minitorch.trainer.callbacks import default_callbacks

Array = np.ndarray[Any, Any]


@attrs.frozen
class Setting:
    """What is trained: relu or sigmoid, Adam or plain SGD."""

    relu: bool
    adam: bool

    @property
    def lr(self) -> float:
        """The learning rate."""
        return 0.001 if self.adam else 0.01


SGD = Setting(relu=False, adam=False)


# ---- minitorch


class Laps(Callback):
    """Tells the race when training starts, and when an epoch is over."""

    phase = Phase.CHECKPOINT

    def __init__(self, race: Race) -> None:
        self.race = race

    def on_fit_start(self, trainer: Trainer) -> None:
        start_with_minitorch(self.race, trainer.model)

    def on_epoch_end(self, trainer: Trainer, metrics: dict[str, float]) -> None:
        self.race.lap([metrics["loss"]], steps=len(trainer.train_loader))


def minitorch_model(setting: Setting) -> tuple[MLP, optimizers.Optimizer]:
    """The model with the weights of all, and its optimizer."""
    model = MLP((HIDDEN, CLASSES), activation=F.relu if setting.relu else F.sigmoid)
    model.load_state_dict(dict(zip(("l0.W", "l0.b", "l1.W", "l1.b"), mnist.weights(), strict=True)))
    optimizer = optimizers.Adam(setting.lr) if setting.adam else optimizers.SGD(setting.lr)
    return model, optimizer.setup(model)


def start_with_minitorch(race: Race, model: Any) -> None:
    x, t = mnist.first_batch()
    F.softmax_cross_entropy(model(x), t).backward()
    race.start([p.data for p in model.params()], gradients=[p.grad.data for p in model.params()])
    model.cleargrads()


def minitorch_trainer(
    race: Race, steps: int, setting: Setting = SGD, callbacks: Callable[[], list[Callback]] = list
) -> None:
    model, optimizer = minitorch_model(setting)
    trainer = Trainer(model, optimizer, loss=F.softmax_cross_entropy, callbacks=[*callbacks(), Laps(race)])
    trainer.fit(Batches(steps), epochs=race.rounds)


def minitorch_loop(race: Race, steps: int, setting: Setting = SGD) -> None:
    model, optimizer = minitorch_model(setting)
    batches = Batches(steps)
    start_with_minitorch(race, model)
    for _ in range(race.rounds):
        sum_loss = 0.0
        for x, t in batches:
            y = model(x)
            loss = F.softmax_cross_entropy(y, t)
            model.cleargrads()
            loss.backward()
            optimizer.update()
            sum_loss += float(loss.data) * len(t)
        race.lap([sum_loss / (steps * BATCH)], steps=steps)


# ---- NumPy by hand


def numpy_plain(race: Race, steps: int) -> None:
    """As one would write it first: sigmoid and SGD only."""
    params = W1, b1, W2, b2 = mnist.weights()
    batches = Batches(steps)
    rows = np.arange(BATCH)

    def backward(x: Array, t: Array) -> tuple[float, list[Array]]:
        h = np.tanh((x @ W1 + b1) * 0.5) * 0.5 + 0.5
        y = h @ W2 + b2
        p = np.exp(y - y.max(axis=1, keepdims=True))
        p /= p.sum(axis=1, keepdims=True)
        loss = -float(np.log(p[rows, t]).sum())
        p[rows, t] -= 1
        dy = p / BATCH
        dh = (dy @ W2.T) * (h * (1 - h))
        return loss, [x.T @ dh, dh.sum(axis=0), h.T @ dy, dy.sum(axis=0)]

    race.start(params, gradients=backward(*mnist.first_batch())[1])
    for _ in range(race.rounds):
        sum_loss = 0.0
        for x, t in batches:
            loss, grads = backward(x, t)
            for p, g in zip(params, grads, strict=True):
                p -= SGD.lr * g
            sum_loss += loss
        race.lap([sum_loss / (steps * BATCH)], steps=steps)


def numpy_preallocated(race: Race, steps: int, setting: Setting = SGD) -> None:
    """With `out=` wherever an array would be large: what one gets by hand without a compiler."""
    params = W1, b1, W2, b2 = mnist.weights()
    grads = dW1, db1, dW2, db2 = [np.empty_like(param) for param in params]
    h, dh, slope = [np.empty((BATCH, HIDDEN), np.float32) for _ in range(3)]
    y = np.empty((BATCH, CLASSES), np.float32)
    rows = np.arange(BATCH)
    activate, differentiate = (relu, relu_slope) if setting.relu else (sigmoid, sigmoid_slope)
    optimizer = numpy_optimizers.Adam if setting.adam else numpy_optimizers.SGD
    update = optimizer(params, grads, setting.lr).update
    batches = Batches(steps)

    def backward(x: Array, t: Array) -> float:
        nonlocal h, y, dh  # which are changed in place
        np.matmul(x, W1, out=h)
        h += b1
        activate(h)
        np.matmul(h, W2, out=y)
        y += b2
        y -= y.max(axis=1, keepdims=True)
        np.exp(y, out=y)
        y /= y.sum(axis=1, keepdims=True)
        loss = -float(np.log(y[rows, t]).sum())
        y[rows, t] -= 1
        y *= 1 / BATCH
        np.matmul(h.T, y, out=dW2)
        np.sum(y, axis=0, out=db2)
        np.matmul(y, W2.T, out=dh)
        differentiate(h, slope)
        dh *= slope
        np.matmul(x.T, dh, out=dW1)
        np.sum(dh, axis=0, out=db1)
        return loss

    backward(*mnist.first_batch())
    race.start(params, gradients=grads)
    for _ in range(race.rounds):
        sum_loss = 0.0
        for x, t in batches:
            sum_loss += backward(x, t)
            update()
        race.lap([sum_loss / (steps * BATCH)], steps=steps)


def sigmoid(h: Array) -> None:
    h *= 0.5
    np.tanh(h, out=h)
    h *= 0.5
    h += 0.5


def sigmoid_slope(h: Array, slope: Array) -> None:
    np.subtract(1, h, out=slope)
    slope *= h


def relu(h: Array) -> None:
    np.maximum(h, 0, out=h)


def relu_slope(h: Array, slope: Array) -> None:
    np.greater(h, 0, out=slope)


# ---- PyTorch and Lightning


def torch_model(setting: Setting) -> Any:
    import torch

    activation = torch.nn.ReLU if setting.relu else torch.nn.Sigmoid
    model = torch.nn.Sequential(torch.nn.Linear(PIXELS, HIDDEN), activation(), torch.nn.Linear(HIDDEN, CLASSES))
    with torch.no_grad():
        for param, value in zip(model.parameters(), mnist.weights(), strict=True):
            param.copy_(torch.from_numpy(value.T))
    return model


def torch_optimizer(model: Any, setting: Setting, **options: bool) -> Any:
    import torch

    optimizer = torch.optim.Adam if setting.adam else torch.optim.SGD
    return optimizer(model.parameters(), lr=setting.lr, **options)


def start_with_torch(race: Race, model: Any) -> None:
    import torch

    x, t = map(torch.from_numpy, mnist.first_batch())
    torch.nn.functional.cross_entropy(model(x), t).backward()
    params = list(model.parameters())
    race.start([p.detach().numpy().T for p in params], gradients=[p.grad.numpy().T for p in params])
    model.zero_grad()


def torch_loop(race: Race, steps: int, setting: Setting = SGD, **options: bool) -> None:
    import torch

    model = torch_model(setting)
    optimizer = torch_optimizer(model, setting, **options)
    batches = Batches(steps, torch.from_numpy)
    start_with_torch(race, model)
    for _ in range(race.rounds):
        sum_loss = 0.0
        for x, t in batches:
            loss = torch.nn.functional.cross_entropy(model(x), t)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            sum_loss += loss.item() * len(t)
        race.lap([sum_loss / (steps * BATCH)], steps=steps)


def lightning_trainer(race: Race, steps: int, setting: Setting = SGD) -> None:
    """All of its extras are off, and the losses are put into a list, which is faster than `self.log`."""
    import lightning
    import torch

    class Module(lightning.LightningModule):
        def __init__(self) -> None:
            super().__init__()
            self.model = torch_model(setting)
            self.losses: list[Any] = []

        def training_step(self, batch: Any, index: int) -> Any:
            x, t = batch
            loss = torch.nn.functional.cross_entropy(self.model(x), t)
            self.losses.append(loss.detach())
            return loss

        def configure_optimizers(self) -> Any:
            return torch_optimizer(self.model, setting)

        def on_train_start(self) -> None:
            start_with_torch(race, self.model)

        def on_train_epoch_end(self) -> None:
            race.lap([torch.stack(self.losses).mean().item()], steps=steps)
            self.losses.clear()

    trainer = lightning.Trainer(
        max_epochs=race.rounds, accelerator="cpu", logger=False, enable_progress_bar=False, enable_checkpointing=False,
        enable_model_summary=False,
    )  # fmt: skip
    trainer.fit(Module(), Batches(steps, torch.from_numpy))


# ---- JAX, DeZero


def jax_loop(race: Race, steps: int, setting: Setting = SGD) -> None:
    """One compiled call a step; the losses are read at the end of the epoch, so that its work overlaps the loader's."""
    import jax
    import jax.numpy as jnp

    activation = jax.nn.relu if setting.relu else jax.nn.sigmoid

    def loss_of(params: Any, x: Any, t: Any) -> Any:
        W1, b1, W2, b2 = params
        log_p = jax.nn.log_softmax(activation(x @ W1 + b1) @ W2 + b2)
        return -jnp.take_along_axis(log_p, t[:, None], axis=1).mean()

    def sgd(params: Any, grads: Any, state: Any) -> Any:
        return [p - setting.lr * g for p, g in zip(params, grads, strict=True)], state

    def adam(params: Any, grads: Any, state: Any) -> Any:
        count, ms, vs = state
        count = count + 1
        ms = [0.9 * m + 0.1 * g for m, g in zip(ms, grads, strict=True)]
        vs = [0.999 * v + 0.001 * g * g for v, g in zip(vs, grads, strict=True)]
        rate, root = setting.lr / (1 - 0.9**count), jnp.sqrt(1 - 0.999**count)
        moved = [p - rate * m / (jnp.sqrt(v) / root + 1e-8) for p, m, v in zip(params, ms, vs, strict=True)]
        return moved, (count, ms, vs)

    @partial(jax.jit, donate_argnums=(0, 1))
    def step(params: Any, state: Any, x: Any, t: Any) -> Any:
        loss, grads = jax.value_and_grad(loss_of)(params, x, t)
        return *(adam if setting.adam else sgd)(params, grads, state), loss

    params = [jnp.asarray(value) for value in mnist.weights()]
    zeros = [[jnp.zeros_like(p) for p in params] for _ in range(2)]
    state = (jnp.zeros((), jnp.float32), *zeros) if setting.adam else ()
    batches = Batches(steps)
    grads = jax.grad(loss_of)(params, *mnist.first_batch())
    race.start([np.asarray(p) for p in params], gradients=[np.asarray(g) for g in grads])
    for _ in range(race.rounds):
        losses = []
        for x, t in batches:
            params, state, loss = step(params, state, x, t)
            losses.append(loss)
        race.lap([float(jnp.stack(losses).mean())], steps=steps)


def dezero_loop(race: Race, steps: int, *, keep_float32: bool) -> None:
    dezero = peers.import_dezero(keep_float32=keep_float32)
    model = dezero.models.MLP((HIDDEN, CLASSES))
    optimizer = dezero.optimizers.SGD(SGD.lr).setup(model)
    W1, b1, W2, b2 = mnist.weights()
    for layer, in_size, W, b in ((model.l0, PIXELS, W1, b1), (model.l1, HIDDEN, W2, b2)):
        layer.in_size = in_size
        layer._init_W()  # as it draws them: on NumPy 2 in float64
        layer.W.data = W if keep_float32 else W.astype(layer.W.data.dtype)
        layer.b.data = b
    params = [param for layer in (model.l0, model.l1) for param in (layer.W, layer.b)]

    def backward(x: Array, t: Array) -> float:
        if keep_float32:
            t = t.astype(np.int16)  # from int64 it would make float64
        y = model(dezero.Variable(x))
        loss = dezero.functions.softmax_cross_entropy(y, t)
        model.cleargrads()
        loss.backward()
        return float(loss.data) * len(t)

    batches = Batches(steps)
    backward(*mnist.first_batch())
    race.start([p.data for p in params], gradients=[p.grad.data for p in params])
    for _ in range(race.rounds):
        sum_loss = 0.0
        for x, t in batches:
            sum_loss += backward(x, t)
            optimizer.update()
        race.lap([sum_loss / (steps * BATCH)], steps=steps)


TRAINER, LOOP, NUMPY = "minitorch Trainer, default callbacks", "minitorch, loop by hand", "NumPy by hand, preallocated"
FAST, TORCH, LIGHTNING, DEZERO = (
    "minitorch[fast] Trainer, default callbacks",
    "PyTorch eager",
    "Lightning Trainer, bare",
    "DeZero 0.0.13 as it is",
)

WORKLOAD = Workload(
    title="784-1000-10 on MNIST, sigmoid, SGD, batches of 100",
    about=(
        "Time of a step, as the mean over an epoch of 300. Training goes on from round to round: round r is epoch "
        "r + 1, the warm-up is the first epoch. Within the time is the making of batches, by the same NumPy lines for "
        "all (`benchmarks/mnist.py`), and the summing of the loss. The mean losses of all epochs are compared. Of "
        "Lightning all extras are off. DeZero computes in float64 on NumPy 2, by accident; a second entry keeps it in "
        "float32."
    ),
    contestants=(
        Contestant(TRAINER, partial(minitorch_trainer, callbacks=default_callbacks)),
        Contestant("minitorch Trainer, bare", minitorch_trainer),
        Contestant(FAST, partial(minitorch_trainer, callbacks=default_callbacks), (ONEDNN,)),
        Contestant(LOOP, minitorch_loop),
        Contestant(NUMPY, numpy_preallocated),
        Contestant("NumPy by hand, plain expressions", numpy_plain),
        Contestant(TORCH, torch_loop, ("torch",)),
        Contestant("PyTorch, fused SGD", partial(torch_loop, fused=True), ("torch",)),
        Contestant(LIGHTNING, lightning_trainer, ("lightning", "torch")),
        Contestant("JAX, jit of the step", jax_loop, ("jax",)),
        Contestant(DEZERO, partial(dezero_loop, keep_float32=False), peers.DEZERO_NEEDS),
        Contestant("DeZero kept in float32", partial(dezero_loop, keep_float32=True), peers.DEZERO_NEEDS),
    ),
    reference=TRAINER,
    sizes={"steps": 300},
    quick={"steps": 10},
    targets=(
        Target(TRAINER, over=LOOP, at_most=1.03),
        Target(LOOP, over=NUMPY, at_most=1.15),
        Target(TRAINER, over=TORCH, at_most=0.95),
        Target(FAST, over=TORCH, at_most=0.95),
        Target(TRAINER, over=LIGHTNING, at_most=0.70),
        Target(TRAINER, over=DEZERO, at_most=0.25),
    ),
)
