"""A small convolutional network on MNIST: two convolutions, a pooling, two fully connected layers."""

from collections.abc import Mapping
from functools import partial
from typing import Any

import numpy as np

import minitorch.functions as F
import minitorch.layers as L
from benchmarks import mnist, numpy_optimizers
from benchmarks.race import Race
from benchmarks.training import Batch, WithMinitorch, WithTorch, normal, race_training
from benchmarks.workload import ONEDNN, Contestant, Target, Workload
from minitorch import Model, optimizers

Array = np.ndarray[Any, Any]

BATCH, BATCHES = 64, 40
LR = 0.001
SHAPES: dict[str, tuple[int, ...]] = {
    "conv1.W": (32, 1, 3, 3), "conv1.b": (32,), "conv2.W": (64, 32, 3, 3), "conv2.b": (64,),
    "fc1.W": (9216, 128), "fc1.b": (128,), "fc2.W": (128, 10), "fc2.b": (10,),
}  # fmt: skip


def weights() -> dict[str, Array]:
    def fan_in(shape: tuple[int, ...]) -> int:
        return shape[0] if len(shape) == 2 else int(np.prod(shape[1:]))

    return normal(SHAPES, lambda shape: fan_in(shape) ** -0.5)


def batches(count: int = BATCHES) -> list[Batch]:
    data = mnist.Batches(count * BATCH // mnist.BATCH + 1)
    x, t = (np.concatenate(part) for part in zip(*data, strict=True))
    x = x.reshape(-1, 1, 28, 28)
    return [(x[i : i + BATCH], t[i : i + BATCH]) for i in range(0, count * BATCH, BATCH)]


# ---- minitorch


class CNN(Model):
    def __init__(self) -> None:
        super().__init__()
        self.conv1 = L.Conv2d(32, 3, in_channels=1)
        self.conv2 = L.Conv2d(64, 3, in_channels=32)
        self.fc1 = L.Linear(128, in_size=9216)
        self.fc2 = L.Linear(10, in_size=128)

    def forward(self, x: Any) -> Any:
        x = F.pooling(F.relu(self.conv2(F.relu(self.conv1(x)))), 2, 2)
        return self.fc2(F.relu(self.fc1(F.flatten(x))))


def with_minitorch() -> WithMinitorch:
    model = CNN()
    return WithMinitorch(
        model, optimizers.Adam(LR).setup(model), lambda model, x, t: F.softmax_cross_entropy(model(x), t)
    )


# ---- PyTorch


def with_torch(**options: bool) -> WithTorch:
    import torch

    class CNN(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv1 = torch.nn.Conv2d(1, 32, 3)
            self.conv2 = torch.nn.Conv2d(32, 64, 3)
            self.fc1 = torch.nn.Linear(9216, 128)
            self.fc2 = torch.nn.Linear(128, 10)

        def forward(self, x: Any) -> Any:
            f = torch.nn.functional
            x = f.max_pool2d(f.relu(self.conv2(f.relu(self.conv1(x)))), 2)
            return self.fc2(f.relu(self.fc1(torch.flatten(x, 1))))

    model = CNN()
    optimizer = torch.optim.Adam(model.parameters(), LR, **options)
    return WithTorch(model, optimizer, lambda model, x, t: torch.nn.functional.cross_entropy(model(x), t))


# ---- JAX


class WithJax:
    """One compiled call for loss and gradients, one for the update, as its users write it."""

    def __init__(self) -> None:
        import jax
        import jax.numpy as jnp

        def loss_of(params: Any, x: Any, t: Any) -> Any:
            for name in ("conv1", "conv2"):
                x = jax.lax.conv_general_dilated(x, params[f"{name}.W"], (1, 1), "VALID")
                x = jax.nn.relu(x + params[f"{name}.b"][:, None, None])
            x = jax.lax.reduce_window(x, -jnp.inf, jax.lax.max, (1, 1, 2, 2), (1, 1, 2, 2), "VALID")
            x = jax.nn.relu(x.reshape(len(x), -1) @ params["fc1.W"] + params["fc1.b"])
            log_p = jax.nn.log_softmax(x @ params["fc2.W"] + params["fc2.b"])
            return -jnp.take_along_axis(log_p, t[:, None], axis=1).mean()

        def adam(params: Any, grads: Any, ms: Any, vs: Any, count: Any) -> Any:
            ms = {k: 0.9 * m + 0.1 * grads[k] for k, m in ms.items()}
            vs = {k: 0.999 * v + 0.001 * grads[k] * grads[k] for k, v in vs.items()}
            rate, root = LR / (1 - 0.9**count), jnp.sqrt(1 - 0.999**count)
            return {k: p - rate * ms[k] / (jnp.sqrt(vs[k]) / root + 1e-8) for k, p in params.items()}, ms, vs

        self.differentiate = jax.jit(jax.value_and_grad(loss_of))
        self.adam = jax.jit(adam, donate_argnums=(0, 2, 3))
        self.as_array = jnp.asarray
        self.params = {name: jnp.asarray(value) for name, value in weights().items()}
        self.ms, self.vs = ({k: jnp.zeros_like(p) for k, p in self.params.items()} for _ in range(2))
        self.grads: Any = None
        self.count = 0

    def arrays(self, *, gradients: bool = False) -> Mapping[str, Array]:
        return {name: np.array(a) for name, a in (self.grads if gradients else self.params).items()}

    def backward(self, *batch: Any) -> Any:
        loss, self.grads = self.differentiate(self.params, *batch)
        return loss

    def update(self) -> None:
        self.count += 1
        self.params, self.ms, self.vs = self.adam(self.params, self.grads, self.ms, self.vs, float(self.count))

    def batch(self, *arrays: Array) -> Batch:
        return tuple(self.as_array(array) for array in arrays)


# ---- NumPy by hand, as DeZero does it


class WithNumPy:
    """Columns of the whole batch (DeZero's `im2col_array` and `col2im_array`), `tensordot`, new memory for all."""

    def __init__(self) -> None:
        self.params = {name: np.empty(shape, np.float32) for name, shape in SHAPES.items()}
        self.grads = {name: np.empty_like(p) for name, p in self.params.items()}
        self.optimizer = numpy_optimizers.Adam(list(self.params.values()), list(self.grads.values()), LR)

    def arrays(self, *, gradients: bool = False) -> Mapping[str, Array]:
        return self.grads if gradients else self.params

    def backward(self, x: Array, t: Array) -> Any:
        p = self.params
        columns1 = im2col(x, 3, 1)
        h1 = np.maximum(conv(columns1, p["conv1.W"], p["conv1.b"]), 0)
        columns2 = im2col(h1, 3, 1)
        h2 = np.maximum(conv(columns2, p["conv2.W"], p["conv2.b"]), 0)
        windows = im2col(h2, 2, 2)
        windows = windows.reshape(*windows.shape[:2], 4, *windows.shape[4:])
        winners = windows.argmax(axis=2)
        pooled = windows.max(axis=2)
        flat = pooled.reshape(len(x), -1)
        h3 = np.maximum(flat @ p["fc1.W"] + p["fc1.b"], 0)
        y = h3 @ p["fc2.W"] + p["fc2.b"]
        q = np.exp(y - y.max(axis=1, keepdims=True))
        q /= q.sum(axis=1, keepdims=True)
        loss = -np.log(q[np.arange(len(t)), t]).mean()
        q[np.arange(len(t)), t] -= 1
        q /= len(t)
        self._set("fc2", h3.T @ q, q.sum(axis=0))
        g = (q @ p["fc2.W"].T) * (h3 > 0)
        self._set("fc1", flat.T @ g, g.sum(axis=0))
        g = (g @ p["fc1.W"].T).reshape(pooled.shape)
        gw = np.zeros_like(windows)
        np.put_along_axis(gw, winners[:, :, None], g[:, :, None], axis=2)
        g = col2im(gw.reshape(*gw.shape[:2], 2, 2, *gw.shape[3:]), h2.shape, 2) * (h2 > 0)
        self._set("conv2", np.tensordot(g, columns2, ((0, 2, 3), (0, 4, 5))), g.sum(axis=(0, 2, 3)))
        g = np.rollaxis(np.tensordot(p["conv2.W"], g, (0, 1)), 3)
        g = col2im(g, h1.shape, 1) * (h1 > 0)
        self._set("conv1", np.tensordot(g, columns1, ((0, 2, 3), (0, 4, 5))), g.sum(axis=(0, 2, 3)))
        return loss

    def _set(self, name: str, W: Array, b: Array) -> None:
        self.grads[f"{name}.W"][...] = W
        self.grads[f"{name}.b"][...] = b

    def update(self) -> None:
        self.optimizer.update()

    def batch(self, *arrays: Array) -> Batch:
        return arrays


def im2col(x: Array, k: int, stride: int) -> Array:
    """(N, C, H, W) -> (N, C, k, k, OH, OW)."""
    n, c, h, w = x.shape
    oh, ow = (h - k) // stride + 1, (w - k) // stride + 1
    columns = np.empty((n, c, k, k, oh, ow), x.dtype)
    for i in range(k):
        for j in range(k):
            columns[:, :, i, j] = x[:, :, i : i + stride * oh : stride, j : j + stride * ow : stride]
    return columns


def col2im(columns: Array, shape: tuple[int, ...], stride: int) -> Array:
    k, oh, ow = columns.shape[2], *columns.shape[4:]
    x = np.zeros(shape, columns.dtype)
    for i in range(k):
        for j in range(k):
            x[:, :, i : i + stride * oh : stride, j : j + stride * ow : stride] += columns[:, :, i, j]
    return x


def conv(columns: Array, W: Array, b: Array) -> Array:
    return np.rollaxis(np.tensordot(columns, W, ((1, 2, 3), (1, 2, 3))) + b, 3, 1)


def run(race: Race, steps: int, *, training: Any) -> None:
    race_training(race, training(), weights(), batches(), steps)


MINITORCH, FAST, TORCH = "minitorch", "minitorch[fast]", "PyTorch eager"
JAX, NUMPY = "JAX, jit", "NumPy by hand, im2col as in DeZero"

WORKLOAD = Workload(
    title="convolutions 1-32-64 of 3×3, pooling, 9216-128-10 on MNIST, Adam, batches of 64",
    about=(
        "Time of a step, loss read in each. Batches are made before. JAX compiles loss and gradients into one call and "
        "the update into another. The im2col is that of DeZero, written out in NumPy and kept in float32. "
        "`minitorch[fast]` is minitorch with oneDNN, which PyTorch brings along too."
    ),
    contestants=(
        Contestant(MINITORCH, partial(run, training=with_minitorch)),
        Contestant(FAST, partial(run, training=with_minitorch), (ONEDNN,)),
        Contestant(TORCH, partial(run, training=with_torch), ("torch",)),
        Contestant("PyTorch, fused Adam", partial(run, training=partial(with_torch, fused=True)), ("torch",)),
        Contestant(JAX, partial(run, training=WithJax), ("jax",)),
        Contestant(NUMPY, partial(run, training=WithNumPy)),
    ),
    reference=MINITORCH,
    sizes={"steps": 12},
    quick={"steps": 2},
    targets=(
        Target(MINITORCH, over=TORCH, at_most=1.0),
        Target(FAST, over=TORCH, at_most=1.0),
        Target(MINITORCH, over=JAX, at_most=0.35),
        Target(MINITORCH, over=NUMPY, at_most=0.25),
    ),
)
