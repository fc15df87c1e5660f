"""JAX on a GPU: one jitted step with donated weights, which gathers its batch on the device."""

import time
from functools import partial
from itertools import pairwise
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from benchmarks.gpu.record import Record, section
from benchmarks.gpu.specs import CNN, GPT, LETTERS, Spec, data, specs


def shapes_of(spec: Spec) -> dict[str, tuple[int, ...]]:
    if spec.kind == GPT:
        layers, width, _, context = spec.sizes
        shapes: dict[str, tuple[int, ...]] = {"token": (LETTERS, width), "position": (context, width)}
        for i in range(layers):
            shapes |= {f"{i}.qkv": (width, 3 * width), f"{i}.out": (width, width)}
            shapes |= {f"{i}.fc1": (width, 4 * width), f"{i}.fc2": (4 * width, width)}
        return shapes
    if spec.kind == CNN:
        first, second, hidden = spec.sizes
        return {"c1": (first, 1, 3, 3), "c2": (second, first, 3, 3), "f1": (second * 144, hidden), "f2": (hidden, 10)}
    sizes = (784, *spec.sizes, 10)
    return {f"{i}": pair for i, pair in enumerate(pairwise(sizes))}


def first_weights(spec: Spec) -> dict[str, Any]:
    draw, params = np.random.default_rng(0), {}
    for name, shape in shapes_of(spec).items():
        fan_in = shape[0] if len(shape) == 2 else int(np.prod(shape[1:]))
        scale = 0.02 if spec.kind == GPT else fan_in**-0.5
        params[name] = jnp.asarray(draw.normal(size=shape) * scale, jnp.float32)
        if spec.kind != GPT or "." in name:
            params[f"{name}.b"] = jnp.zeros(shape[0] if len(shape) == 4 else shape[1])
    if spec.kind == GPT:
        for i in range(spec.sizes[0]):
            for norm in ("n1", "n2"):
                params |= {f"{i}.{norm}.g": jnp.ones(spec.sizes[1]), f"{i}.{norm}.b": jnp.zeros(spec.sizes[1])}
        params |= {"norm.g": jnp.ones(spec.sizes[1]), "norm.b": jnp.zeros(spec.sizes[1])}
    return params


def normalised(p: Any, name: str, x: Any) -> Any:
    x = x - x.mean(-1, keepdims=True)
    return x * lax.rsqrt((x * x).mean(-1, keepdims=True) + 1e-5) * p[f"{name}.g"] + p[f"{name}.b"]


def scores(spec: Spec, p: Any, x: Any) -> Any:
    def linear(name: str, x: Any) -> Any:
        return x @ p[name] + p[f"{name}.b"]

    if spec.kind == GPT:
        layers, _, heads, context = spec.sizes
        mask = jnp.tril(jnp.ones((context, context), bool))
        x = p["token"][x] + p["position"]
        for i in range(layers):
            parts = jnp.split(linear(f"{i}.qkv", normalised(p, f"{i}.n1", x)), 3, axis=-1)
            q, k, v = (a.reshape(*x.shape[:2], heads, -1).swapaxes(1, 2) for a in parts)
            weights = jax.nn.softmax(jnp.where(mask, q @ k.swapaxes(2, 3) * q.shape[-1] ** -0.5, -jnp.inf))
            x = x + linear(f"{i}.out", (weights @ v).swapaxes(1, 2).reshape(x.shape))
            hidden = jax.nn.gelu(linear(f"{i}.fc1", normalised(p, f"{i}.n2", x)), approximate=False)
            x = x + linear(f"{i}.fc2", hidden)
        return normalised(p, "norm", x) @ p["token"].T
    x = x.astype(jnp.float32) / 255
    if spec.kind == CNN:
        for name in ("c1", "c2"):
            x = jax.nn.relu(lax.conv(x, p[name], (1, 1), "VALID") + p[f"{name}.b"][:, None, None])
        x = lax.reduce_window(x, -jnp.inf, lax.max, (1, 1, 2, 2), (1, 1, 2, 2), "VALID").reshape(len(x), -1)
        return linear("f2", jax.nn.relu(linear("f1", x)))
    x = x.reshape(len(x), -1)
    for i in range(len(spec.sizes)):
        x = (jax.nn.relu if spec.relu else jax.nn.sigmoid)(linear(str(i), x))
    return linear(str(len(spec.sizes)), x)


def run(record: Record, spec: Spec) -> None:
    x, t = (jnp.asarray(a) for a in data(spec))

    @partial(jax.jit, donate_argnums=(0, 1))
    def step(params: Any, state: Any, total: Any, x: Any, t: Any, order: Any, i: Any) -> Any:
        rows = lax.dynamic_slice(order, (i * spec.batch,), (spec.batch,))

        def loss_of(p: Any) -> Any:
            log_p = jax.nn.log_softmax(scores(spec, p, x[rows]))
            return -jnp.take_along_axis(log_p, t[rows][..., None], axis=-1).mean()

        loss, grads = jax.value_and_grad(loss_of)(params)
        if not spec.adam:
            return {k: params[k] - spec.lr * grads[k] for k in params}, state, total + loss
        count, m, v = state[0] + 1, *state[1:]
        m = {k: 0.9 * m[k] + 0.1 * grads[k] for k in params}
        v = {k: 0.999 * v[k] + 0.001 * grads[k] ** 2 for k in params}
        rate, root = spec.lr / (1 - 0.9**count), jnp.sqrt(1 - 0.999**count)
        decay = 1 - spec.lr * 0.01 if spec.kind == GPT else 1.0
        params = {k: decay * params[k] - rate * m[k] / (jnp.sqrt(v[k]) / root + 1e-8) for k in params}
        return params, (count, m, v), total + loss

    params = first_weights(spec)
    zeros = [{k: jnp.zeros_like(p) for k, p in params.items()} for _ in range(2)] if spec.adam else []
    state: Any = (jnp.zeros(()), *zeros)
    key, times, loss = jax.random.key(0), [], 0.0
    for epoch in range(spec.epochs + 2):
        start = time.perf_counter()
        order, total = jax.random.permutation(jax.random.fold_in(key, epoch), len(x)), jnp.zeros(())
        for i in range(spec.steps):
            params, state, total = step(params, state, total, x, t, order, i)
        loss = float(total) / spec.steps
        times.append(time.perf_counter() - start)
    record.add("training", workload=spec.name, contestant="JAX, jit", seconds=times[2:], steps=spec.steps, loss=loss)


def main() -> None:
    jax.config.update("jax_default_matmul_precision", "highest")
    with section() as record:
        record.add("version", package="JAX", version=f"{jax.__version__} on {jax.devices()[0].platform}")
        if not record.fake and jax.devices()[0].platform == "cpu":
            record.add("skipped", what="JAX", why="this JAX finds no GPU")
            return
        for spec in specs(record.fake):
            record.attempt(f"{spec.name}, JAX", lambda s=spec: run(record, s))


if __name__ == "__main__":
    main()
