"""What the kernels reach of the device's own speed: bytes a second of copies, operations a second of products."""

import statistics
from collections.abc import Callable
from typing import Any

import cupy
import numpy as np

from benchmarks.gpu.record import Record, section
from minitorch.cuda import Device, computing, gemm, kernels

Work = Callable[[], Any]


def seconds_of(work: Work, fake: bool) -> float:
    """The time of one call on the device, by events around many: the median of five."""
    count = 1 if fake else 20
    for _ in range(1 if fake else 3):
        work()
    times = []
    for _ in range(1 if fake else 5):
        start, end = cupy.cuda.Event(), cupy.cuda.Event()
        start.record()
        for _ in range(count):
            work()
        end.record()
        end.synchronize()
        times.append(cupy.cuda.get_elapsed_time(start, end) / 1000 / count)
    return max(statistics.median(times), 1e-9)


def cases(n: int, side: int) -> dict[str, tuple[Work, int]]:
    """By name a launch, and the bytes that it has to move at the least; n numbers in rows of `side`."""
    shape, rng = (n // side, side), np.random.default_rng(0)
    x, g = (cupy.asarray(rng.standard_normal(shape, np.float32)) for _ in range(2))
    b, gamma = (cupy.asarray(rng.standard_normal(side, np.float32)) for _ in range(2))
    t, step = cupy.asarray(rng.integers(0, side, shape[0])), cupy.ones((), np.int64)
    lr = cupy.full((), 0.0, np.float32)
    sgd, adam = kernels.Tensors([x]), kernels.Tensors([x], [cupy.zeros_like(x)], [cupy.zeros_like(x)])
    data = cupy.asarray(rng.integers(0, 256, shape, np.uint8))
    order, zero = cupy.asarray(rng.permutation(shape[0])), cupy.zeros((), np.int64)
    one = cupy.ones(1, np.float32)
    y, mean, inverse = kernels.layer_norm(x, gamma, b, eps=1e-5)
    _, p = kernels.softmax_cross_entropy_forward(x, t)
    loss_g = cupy.ones((), np.float32)
    settings = {"beta1": 0.9, "beta2": 0.999, "eps": 1e-8}
    return {
        "bias + relu": (lambda: kernels.bias_activation(x, b, "relu"), 8 * n),
        "bias + relu, backward": (lambda: kernels.bias_activation_backward(g, y, None, "relu", bias=True), 12 * n),
        "softmax cross entropy": (lambda: kernels.softmax_cross_entropy_forward(x, t), 8 * n),
        "softmax cross entropy, backward": (lambda: kernels.softmax_cross_entropy_backward(loss_g, p, t), 8 * n),
        "layer norm": (lambda: kernels.layer_norm(x, gamma, b, eps=1e-5), 8 * n),
        "layer norm, backward": (lambda: kernels.layer_norm_gradient(g, x, gamma, mean, inverse), 12 * n),
        "dropout": (lambda: kernels.dropped(x, 0.5, seed=1, step=step, draw=0), 8 * n),
        "SGD": (lambda: kernels.sgd(sgd, [g], lr=lr), 12 * n),
        "Adam": (lambda: kernels.adam(adam, [g], lr=lr, step=step, **settings), 28 * n),
        "norm of gradients": (lambda: kernels.gradient_norm(sgd, [g], 1.0), 4 * n),
        "gather of bytes": (
            lambda: kernels.gather_batch(data, t, order, zero, rows=shape[0], scale=one, shift=one), 5 * n,
        ),
    }  # fmt: skip


def bandwidth(record: Record) -> None:
    n, side = (1 << 12, 64) if record.fake else (1 << 26, 1 << 10)
    a, b = cupy.ones(n, np.float32), cupy.empty(n, np.float32)
    ceiling = 8 * n / seconds_of(lambda: cupy.copyto(b, a), record.fake)
    record.add("ceiling", what="copy in device memory", per_second=ceiling, unit="B/s")
    for name, (work, nbytes) in cases(n, side).items():
        record.attempt(name, lambda w=work, m=nbytes, k=name: measured(record, k, w, m, ceiling, "B/s"))


def throughput(record: Record) -> None:
    """Products of large matrices are the ceiling of each mode; those of the workloads are measured against it."""
    side = 64 if record.fake else 8192
    shapes = {"MLP": (100, 784, 1000), "large MLP": (1024, side, side), "GPT": (2048, 512, 2048)}
    for mode in ("fp32", "tf32", "bf16"):
        a, b = (cupy.ones((side, side), np.float32) for _ in range(2))
        with computing(mode):
            ceiling = 2 * side**3 / seconds_of(lambda a=a, b=b: gemm(a, b), record.fake)
            record.add("ceiling", what=f"product {side}x{side}, {mode}", per_second=ceiling, unit="FLOP/s")
            for name, (m, k, n) in shapes.items():
                a, b = cupy.ones((m, k), np.float32), cupy.ones((k, n), np.float32)
                what = f"product of the {name}, {m}x{k} @ {k}x{n}, {mode}"
                measured(record, what, lambda a=a, b=b: gemm(a, b), 2 * m * k * n, ceiling, "FLOP/s")


def measured(record: Record, name: str, work: Work, amount: int, ceiling: float, unit: str) -> None:
    reached = amount / seconds_of(work, record.fake)
    record.add("kernel", what=name, per_second=reached, unit=unit, share=reached / ceiling)


def main() -> None:
    with section() as record:
        Device("cuda").use()
        record.attempt("bandwidth", lambda: bandwidth(record))
        record.attempt("throughput", lambda: throughput(record))


if __name__ == "__main__":
    main()
