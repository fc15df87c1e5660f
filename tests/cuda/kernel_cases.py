"""What the kernels are tried on: each case draws shapes and numbers, and calls launchers on arrays that `put` makes.

A case must draw the same whatever `put` is, and returns all arrays that kernels wrote.
"""

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from minitorch.cuda import kernels

Put = Callable[[Any], Any]
Rng = np.random.Generator
CASES: dict[str, Callable[[Rng, Put], Iterator[Any]]] = {}


def case(function: Callable[[Rng, Put], Iterator[Any]]) -> Callable[[Rng, Put], Iterator[Any]]:
    CASES[function.__name__] = function
    return function


def shape_of_images(rng: Rng, most: int = 40) -> tuple[int, ...]:
    """(N, C) or (N, C, H, W), with sizes that are multiples of four and such that are not."""
    n, c = (int(i) for i in rng.integers(1, most, 2))
    return (n, c) if rng.random() < 0.5 else (1 + n // 8, 1 + c // 4, *(int(i) for i in rng.integers(1, 10, 2)))


def normal(rng: Rng, *shape: int) -> Any:
    return rng.normal(size=shape).astype(np.float32)


def anywhere(rng: Rng, put: Put, a: Any) -> Any:
    """`a` on the device, half of the time at an address that is no multiple of 16."""
    if rng.random() < 0.5:
        return put(a)
    return put(np.concatenate([a.reshape(-1)[:1], a.reshape(-1)]))[1:].reshape(a.shape)


@case
def activation(rng: Rng, put: Put) -> Iterator[Any]:
    for act in kernels.ACTIVATIONS:
        shape = shape_of_images(rng)
        x, g = anywhere(rng, put, normal(rng, *shape)), anywhere(rng, put, normal(rng, *shape))
        b = put(normal(rng, shape[1])) if rng.random() < 0.7 else None
        y = kernels.bias_activation(x, b, act)
        yield y
        saved = x if act == "gelu" else y
        dx, db = kernels.bias_activation_backward(g, saved, b, act, bias=True)
        yield dx
        yield db
        yield kernels.bias_activation_backward(g, saved, b, act, bias=False)[0]
        yield kernels.bias_activation(x, b, act, out=x)
        yield kernels.bias_activation(x.reshape(-1), None, act)
        yield kernels.bias_activation_backward(g.reshape(-1), x.reshape(-1), None, act, bias=False)[0]


@case
def sums_of_many_rows(rng: Rng, put: Put) -> Iterator[Any]:
    for shape in ((700, 3), (2100, 33), (9, 2, 25, 31)):
        yield kernels.bias_activation_backward(put(normal(rng, *shape)), None, None, "none", bias=True)[1]


@case
def cross_entropy(rng: Rng, put: Put) -> Iterator[Any]:
    drawn = int(rng.integers(1, 33)), int(rng.integers(33, 50))
    for classes, dtype in ((drawn[0], np.int64), (drawn[1], np.int64), (1500, np.int32)):
        rows = int(rng.integers(1, 300 if classes < 33 else 30)) if classes < 1000 else 3
        x = normal(rng, rows, classes) * 30
        x[0, : classes // 2] = x.max()  # several are the largest
        labels = rng.integers(0, classes, rows)
        labels[rows // 2] = int(x[rows // 2].argmax())
        t, totals, g = put(labels.astype(dtype)), put(rng.random(3)), put(normal(rng))
        loss, p = kernels.softmax_cross_entropy_forward(put(x), t, totals)
        yield from (loss, p, totals, kernels.softmax_cross_entropy_backward(g, p, t))
        yield kernels.accuracy(put(x), t)
    yield kernels.softmax_cross_entropy_forward(put(normal(rng, 2, 3)), put(np.array([0, 3])))[0]
    yield kernels.softmax_cross_entropy_forward(put(normal(rng, 2, 3)), put(np.array([-1, 2])))[0]


@case
def optimizers(rng: Rng, put: Put) -> Iterator[Any]:
    sizes = [int(n) for n in rng.integers(1, 5000, 4)] + [4096, 0, 1] + [3] * (255 if rng.random() < 0.3 else 5)
    options = [tuple(row) for row in rng.uniform(0, 1, (len(sizes), 3)).astype(np.float32)]
    arrays = [[anywhere(rng, put, normal(rng, n)) for n in sizes] for _ in range(7)]
    p, g, v, m, s, q, r = arrays
    s = [a * a for a in s]
    lr, clip, step = put(np.float32(0.1)), put(np.float32(0.5)), put(np.int64(rng.integers(1, 50)))
    kernels.sgd(kernels.Tensors(p, options=options), g, lr=lr)
    kernels.momentum(
        kernels.Tensors(q, v, options=options), g, lr=lr, momentum=0.9, nesterov=rng.random() < 0.5, clip=clip
    )
    adam = kernels.Tensors(r, m, s, options=options)
    kernels.adam(adam, g, lr=lr, step=step, beta1=0.9, beta2=0.999, eps=1e-8, clip=clip)
    steps = put(rng.integers(1, 50, len(sizes)))
    kernels.adam(adam, g, lr=lr, step=steps, beta1=0.9, beta2=0.999, eps=1e-8)
    for state in (p, v, q, m, s, r):
        yield from state[:8] + state[-2:]
    for bad in (False, True, False):
        scale, good, keep = put(np.float32(4)), put(np.int32(2)), put(np.float32(0.5))
        scaled = [put(np.full(n, np.inf if bad and n == 1 else i + 1, np.float32)) for i, n in enumerate(sizes)]
        settings = {"growth": 2.0, "backoff": 0.25, "patience": int(rng.integers(3, 5)), "largest": 6.0}
        kernels.unscale(adam, scaled, scale=scale, good=good, keep=keep, **settings)
        yield from (scale, good, keep, *scaled[:3])
        if bad:  # then there is no update
            kernels.adam(adam, g, lr=lr, step=step, beta1=0.9, beta2=0.999, eps=1e-8, clip=keep)
            yield from r[:3] + m[:3]
        kernels.count_updates(steps, keep)
        yield steps.copy()
    kernels.count_updates(step)
    yield step.copy()
    yield from kernels.gradient_norm(adam, g, 1.0)
    yield from kernels.gradient_norm(adam, g, 1e9)


@case
def more_optimizers(rng: Rng, put: Put) -> Iterator[Any]:
    sizes = [int(n) for n in rng.integers(1, 3000, 4)]
    options = [tuple(row) for row in rng.uniform(0, 1, (len(sizes), 3)).astype(np.float32)]
    lr, clip = put(np.float32(0.1)), put(np.float32(0.5))
    g = [anywhere(rng, put, normal(rng, n)) for n in sizes]
    g[0][:1] = 0
    for update, states, settings in (
        (kernels.adagrad, 1, {"eps": 1e-3}),
        (kernels.adadelta, 2, {"rho": 0.9, "eps": 1e-3}),
        (kernels.rmsprop, 1, {"alpha": 0.9, "eps": 1e-3}),
        (kernels.lion, 1, {"beta1": 0.8, "beta2": 0.9}),
    ):
        p = [anywhere(rng, put, normal(rng, n)) for n in sizes]
        state = [[anywhere(rng, put, np.abs(normal(rng, n)) + 0.1) for n in sizes] for _ in range(states)]
        update(kernels.Tensors(p, *state, options=options), g, lr=lr, clip=clip, **settings)
        for arrays in (p, *state):
            yield from arrays
    averages = [anywhere(rng, put, normal(rng, n)) for n in sizes]
    kernels.average(kernels.Tensors(averages, g), keep=put(np.float32(rng.random())))
    yield from averages


@case
def numbers(rng: Rng, put: Put) -> Iterator[Any]:
    x = put(normal(rng, 256))
    kernels.write_numbers(x, [float(v) for v in rng.normal(size=int(rng.integers(1, 257)))])
    yield x


@case
def batch_norm(rng: Rng, put: Put) -> Iterator[Any]:
    for shape in (shape_of_images(rng), (1, 2), (400, 5), (3, 2, 40, 41)):
        x, g = put(normal(rng, *shape) * 3 + 100), put(normal(rng, *shape))
        gamma, beta, mean, var = (put(normal(rng, shape[1])) for _ in range(4))
        centre, spread = kernels.batch_moments(x, (mean, var), 0.9)
        yield from (centre, spread, mean, var, *kernels.batch_moments(x))
        yield kernels.batch_norm(x, gamma, beta, centre, spread, eps=1e-3)
        for of_batch in (True, False):
            settings = {"eps": 1e-3, "of_batch": of_batch}
            yield from kernels.batch_norm_gradients(g, x, gamma, centre, spread, of_x=True, **settings)
        yield from kernels.batch_norm_gradients(g, x, gamma, centre, spread, of_x=False, **settings)[1:]


@case
def layer_norm(rng: Rng, put: Put) -> Iterator[Any]:
    for shape in ((int(rng.integers(1, 30)), int(rng.integers(1, 70))), (2, 3, 1100), (300, 4)):
        x, g = put(normal(rng, *shape) * 3 + 10), put(normal(rng, *shape))
        gamma, beta = put(normal(rng, shape[-1])), put(normal(rng, shape[-1]))
        y, mean, inverse = kernels.layer_norm(x, gamma, beta, eps=1e-3)
        yield from (y, mean, inverse, kernels.layer_norm_gradient(g, x, gamma, mean, inverse))
        yield from kernels.layer_norm_parameter_gradients(g, x, mean, inverse)
        yield kernels.layer_norm(x, None, None, eps=1e-3)[0]
        yield kernels.layer_norm_gradient(g, x, None, mean, inverse)


@case
def softmax(rng: Rng, put: Put) -> Iterator[Any]:
    for shape in ((2, 3, int(rng.integers(1, 30)), int(rng.integers(1, 70))), (2, 1, 3, 1100)):
        x, g = normal(rng, *shape) * 30, put(normal(rng, *shape))
        allowed = rng.random(shape[-2:]) < 0.6
        allowed[0] = False
        p = kernels.softmax(put(x), scale=0.5)
        yield from (p, kernels.softmax_gradient(g, p, scale=0.5))
        p = put(x)
        yield kernels.softmax(p, put(allowed), scale=0.2, out=p)
        yield kernels.softmax(put(x), put(rng.random(shape) < 0.6))
        yield kernels.softmax_gradient(g, p, out=g)


@case
def philox(rng: Rng, put: Put) -> Iterator[Any]:
    size, seed = int(rng.integers(1, 3000)), int(rng.integers(0, 2**63)) * 2 + 1
    step, draw = put(np.int64(rng.integers(0, 2**40))), int(rng.integers(0, 9))
    yield kernels.random_bits("a stream", size, seed=seed, step=step, draw=draw)
    x = anywhere(rng, put, normal(rng, size))
    for ratio in (0.3, 1.0):
        yield kernels.dropped(x, ratio, seed=seed, step=step, draw=draw)


def drawn_window(rng: Rng) -> tuple[tuple[int, ...], dict[str, tuple[int, int]]]:
    kernel, stride, dilation = (tuple(int(i) for i in rng.integers(1, 4, 2)) for _ in range(3))
    pad = tuple(int(rng.integers(0, k // 2 + 1)) for k in kernel)
    size = tuple((k - 1) * d + int(rng.integers(1, 7)) for k, d in zip(kernel, dilation, strict=True))
    shape = (int(rng.integers(1, 4)), int(rng.integers(1, 4)), *size)
    return shape, {"kernel": kernel, "stride": stride, "pad": pad, "dilation": dilation}  # type: ignore[dict-item]


@case
def pooling(rng: Rng, put: Put) -> Iterator[Any]:
    shape, window = drawn_window(rng)
    del window["dilation"]
    x = np.round(normal(rng, *shape))  # of equals the first wins
    x[rng.random(shape) < 0.05] = np.nan
    x = put(x)
    y = kernels.max_pool(x, **window)
    g = put(normal(rng, *y.shape))
    yield from (y, kernels.max_pool_gradient(g, x, y, **window))
    wider = tuple(n + 1 if (n * s < h + p) else n for n, s, h, p in zip(  # over the edge, where that meets a pixel
        y.shape[2:], window["stride"], shape[2:], window["pad"], strict=True
    ))  # fmt: skip
    y = kernels.max_pool(x, **window, positions=wider)
    yield from (y, kernels.max_pool_gradient(put(normal(rng, *y.shape)), x, y, **window))
    x = put(normal(rng, *shape))
    yield kernels.average_pool(x, **window)
    yield kernels.average_pool_gradient(g, shape[2:], **window)


@case
def columns(rng: Rng, put: Put) -> Iterator[Any]:
    shape, window = drawn_window(rng)
    x = put(normal(rng, *shape))
    for by_image in (True, False):
        columns = kernels.im2col(x, **window, by_image=by_image)
        yield columns
        yield kernels.col2im(put(normal(rng, *columns.shape)), shape, **window, by_image=by_image)


@case
def embedding(rng: Rng, put: Put) -> Iterator[Any]:
    for count, width, many in ((int(rng.integers(1, 20)), int(rng.integers(1, 70)), 9), (1, 1, 9), (9, 1, 1500)):
        ids = rng.integers(0, count, (int(rng.integers(many // 3, many)), 7))
        yield kernels.add_rows(put(normal(rng, *ids.shape, width)), put(ids.astype(np.int32)), count)
        yield kernels.add_rows(put(normal(rng, *ids.shape, width)), put(ids * 2 - count // 2), count)  # some of no row


@case
def gather(rng: Rng, put: Put) -> Iterator[Any]:
    samples, rows, channels = (int(i) for i in rng.integers(1, 9, 3))
    inner = int(rng.integers(1, 4)) * int(rng.choice([1, 4]))
    permutation = put(rng.permutation(samples))
    scale, shift = put(normal(rng, channels)), put(normal(rng, channels))
    for data, labels in (
        (rng.integers(0, 256, (samples, channels, inner)).astype(np.uint8), rng.integers(0, 9, samples)),
        (normal(rng, samples, channels, inner), rng.integers(0, 9, samples).astype(np.int32)),
        (normal(rng, samples, channels, inner), normal(rng, samples, 3)),
        (rng.integers(0, 99, (samples, channels, inner)), rng.integers(0, 9, (samples, channels, inner))),
        (rng.integers(0, 99, (samples, channels)).astype(np.int32), rng.normal(size=(samples, 300))),
    ):
        for batch in (0, samples // rows, 1000):
            yield from kernels.gather_batch(
                anywhere(rng, put, data), put(labels), permutation, put(np.int64(batch)), rows=rows, scale=scale,
                shift=shift,
            )  # fmt: skip


@case
def gather_windows(rng: Rng, put: Put) -> Iterator[Any]:
    samples, rows, window = (int(i) for i in rng.integers(1, 300, 3))
    permutation = put(rng.permutation(samples))
    for dtype in (np.int32, np.int64):
        data, labels = (put(rng.integers(0, 99, samples + window - 1).astype(dtype)) for _ in range(2))
        for batch in (0, samples // rows):
            yield from kernels.gather_batch(
                data, labels, permutation, put(np.int64(batch)), rows=rows, scale=None, shift=None, window=window
            )


@case
def totals(rng: Rng, put: Put) -> Iterator[Any]:
    sums = put(rng.normal(size=(2, 300)))
    for count in (1, 50):
        values = [put(rng.normal(size=()).astype(rng.choice([np.float32, np.float64]))) for _ in range(count)]
        columns = rng.choice([0, 1, 299], count)
        weights = rng.integers(1, 99, count)
        kernels.add_to_sums(sums, list(zip(values, weights.tolist(), columns.tolist(), strict=True)))
        yield sums.copy()


@case
def lstm(rng: Rng, put: Put) -> Iterator[Any]:
    batch, hidden = (int(i) for i in rng.integers(1, 20, 2))
    a, gates = put(normal(rng, batch, 4 * hidden)), put(normal(rng, batch, 4 * hidden))
    c, g = put(normal(rng, batch, hidden)), put(normal(rng, 2, batch, hidden))
    y, tanh_c = kernels.lstm_cell(a, gates, c)
    yield from (y, tanh_c, gates)
    yield from kernels.lstm_cell_gradient(g, gates, tanh_c, c)
    d = kernels.lstm_cell_gradient(g, gates, tanh_c, c, out=(a, g[1]))[0]
    yield from (d, g)


@case
def gru(rng: Rng, put: Put) -> Iterator[Any]:
    batch, hidden = (int(i) for i in rng.integers(1, 20, 2))
    a, from_h, b = (put(normal(rng, *shape)) for shape in ((batch, 3 * hidden), (batch, 3 * hidden), (3 * hidden,)))
    h, g = put(normal(rng, batch, hidden)), put(normal(rng, batch, hidden))
    y, gates = kernels.gru_cell(a, from_h, b, h)
    yield from (y, gates, from_h, *kernels.gru_cell_gradient(g, gates, from_h, h))
