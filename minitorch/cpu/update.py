"""Optimizer updates on the host: in place, in blocks that stay in the cache, with no temporary of a parameter's size.

Every function takes one parameter `p`, its gradient `g` and its state, all of one shape, and promises a rule; the
result may differ from it by rounding. Each line of a kernel is one pass over a block, so that the kernels are written
for few lines: what is constant in a step is gathered into one factor.
"""

import math
from collections.abc import Callable
from functools import lru_cache
from typing import Any

import numpy as np

from minitorch.cpu.blas import axpby
from minitorch.cpu.onednn import adam as by_onednn
from minitorch.cpu.scratch import scratch
from minitorch.cpu.threads import parallel

Array = np.ndarray[Any, Any]
Kernel = Callable[..., None]

BLOCK = 1 << 17  # elements, 512 KiB of float32: smaller blocks pay for more calls, larger ones leave the cache
LONG_BLOCK = 1 << 20  # the same where there is one pass only, which takes as long as to wake up a thread


def blockwise(kernel: Kernel, *arrays: Array, one_pass: bool = False) -> None:
    """Call `kernel(*blocks, s)` for each block of the arrays, which are of one shape; `s` is memory of a block's shape.

    What is written to the blocks is written to the arrays, the second of which is only read. How they are cut and how
    they lie in memory changes no bit of the result, nor does the number of threads.
    """
    p, block = arrays[0], LONG_BLOCK if one_pass else BLOCK
    simple = all(a.flags.carray for a in arrays)
    if simple and p.size <= block:
        kernel(*arrays, scratch("update", p.shape, p.dtype))
        return
    if simple or p.ndim == 0:
        arrays = tuple([a.reshape(-1) for a in arrays])
    length = len(arrays[0])
    rows = max(1, block * length // max(1, p.size))

    def task(i: int) -> None:
        blocks = [a[i * rows : (i + 1) * rows] for a in arrays]
        s = scratch("update", blocks[0].shape, p.dtype)
        if simple:
            kernel(*blocks, s)
        else:
            _by_copies(kernel, blocks, s)

    parallel(task, -(-length // rows), per_thread=1 if one_pass or len(arrays) > 3 else 2)


def _by_copies(kernel: Kernel, blocks: list[Array], s: Array) -> None:
    """Call `kernel(*blocks, s)` with copies in C order, which are computed in fewer passes, and so to other bits."""
    copies = [block.copy() for block in blocks]
    kernel(*copies, s)
    for i, block in enumerate(blocks):
        if i != 1:
            np.copyto(block, copies[i])


@lru_cache(maxsize=64)
def as_arrays(dtype: Any, *factors: float) -> tuple[Array, ...]:
    """The factors as arrays of no axes: NumPy takes these in half the time that it needs for a Python number."""
    return tuple([np.array(factor, dtype) for factor in factors])


def sgd(p: Array, g: Array, *, lr: float) -> None:
    """`p -= lr * g`."""
    blockwise(lambda p, g, s: axpby(-lr, g, 1.0, p), p, g, one_pass=True)


def add_scaled(p: Array, a: Array, scale: float) -> None:
    """`p += scale * a`."""
    sgd(p, a, lr=-scale)


def momentum(p: Array, g: Array, v: Array, *, lr: float, momentum: float, nesterov: bool) -> None:
    """`v = momentum * v - lr * g`, then `p += v`, or with `nesterov` `p += momentum * v - lr * g`."""

    def kernel(p: Array, g: Array, v: Array, s: Array) -> None:
        axpby(-lr, g, momentum, v)
        if nesterov:
            axpby(-lr, g, 1.0, p)
            axpby(momentum, v, 1.0, p)
        else:
            p += v

    blockwise(kernel, p, g, v)


def adagrad(p: Array, g: Array, h: Array, *, lr: float, eps: float) -> None:
    """`h += g**2`, then `p -= lr * g / (sqrt(h) + eps)`."""
    (least,) = as_arrays(p.dtype, eps)

    def kernel(p: Array, g: Array, h: Array, s: Array) -> None:
        np.multiply(g, g, out=s)
        h += s
        np.sqrt(h, out=s)
        s += least
        np.divide(g, s, out=s)
        axpby(-lr, s, 1.0, p)

    blockwise(kernel, p, g, h)


def adadelta(p: Array, g: Array, msg: Array, msdx: Array, *, lr: float, rho: float, eps: float) -> None:
    """`dx = sqrt((msdx + eps) / (msg + eps)) * g`, `p -= lr * dx`, with means `msg` of `g**2` and `msdx` of `dx**2`."""
    (least,) = as_arrays(p.dtype, eps)

    def kernel(p: Array, g: Array, msg: Array, msdx: Array, s: Array) -> None:
        r = scratch("update 2", s.shape, s.dtype)
        np.multiply(g, g, out=s)
        axpby(1 - rho, s, rho, msg)
        np.add(msdx, least, out=r)
        np.add(msg, least, out=s)
        r /= s
        np.sqrt(r, out=r)
        r *= g
        np.multiply(r, r, out=s)
        axpby(1 - rho, s, rho, msdx)
        axpby(-lr, r, 1.0, p)

    blockwise(kernel, p, g, msg, msdx)


def rmsprop(p: Array, g: Array, msg: Array, *, lr: float, alpha: float, eps: float) -> None:
    """`msg = alpha * msg + (1 - alpha) * g**2`, then `p -= lr * g / (sqrt(msg) + eps)`."""
    (least,) = as_arrays(p.dtype, eps)

    def kernel(p: Array, g: Array, msg: Array, s: Array) -> None:
        np.multiply(g, g, out=s)
        axpby(1 - alpha, s, alpha, msg)
        np.sqrt(msg, out=s)
        s += least
        np.divide(g, s, out=s)
        axpby(-lr, s, 1.0, p)

    blockwise(kernel, p, g, msg)


def adam(
    p: Array,
    g: Array,
    m: Array,
    v: Array,
    *,
    t: int,
    lr: float,
    beta1: float,
    beta2: float,
    eps: float,
    weight_decay: float = 0.0,
) -> None:
    """Means `m` of `g` and `v` of `g**2`, then `p -= lr * (m_hat / (sqrt(v_hat) + eps) + weight_decay * p)`.

    `m_hat` is `m / (1 - beta1**t)`, and `v_hat` is `v / (1 - beta2**t)`: the root of the latter's divisor is taken out
    of the fraction.
    """
    root = math.sqrt(1 - beta2**t)
    rate = lr * root / (1 - beta1**t)
    least, scale, factor = as_arrays(p.dtype, eps * root, 1 / root**2, -rate / root)
    fast = by_onednn.takes(p)

    def kernel(p: Array, g: Array, m: Array, v: Array, s: Array) -> None:
        axpby(1 - beta1, g, beta1, m)
        np.multiply(g, g, out=s)
        axpby(1 - beta2, s, beta2, v)
        if fast:
            if weight_decay:
                p *= 1 - lr * weight_decay
            by_onednn.step(p, m, v, scale, factor, eps)
            return
        np.sqrt(v, out=s)
        s += least
        np.divide(m, s, out=s)
        axpby(-rate, s, 1 - lr * weight_decay, p)

    blockwise(kernel, p, g, m, v)


def lion(p: Array, g: Array, m: Array, *, lr: float, beta1: float, beta2: float, weight_decay: float) -> None:
    """`p -= lr * (sign(beta1 * m + (1 - beta1) * g) + weight_decay * p)`, then `m = beta2 * m + (1 - beta2) * g`."""
    (share,) = as_arrays(p.dtype, beta1 / (1 - beta1))

    def kernel(p: Array, g: Array, m: Array, s: Array) -> None:
        np.multiply(m, share, out=s)
        s += g
        np.sign(s, out=s)
        axpby(-lr, s, 1 - lr * weight_decay, p)
        axpby(1 - beta2, g, beta2, m)

    blockwise(kernel, p, g, m)


def average(e: Array, p: Array, *, keep: float) -> None:
    """`e = keep * e + (1 - keep) * p`: `e` moves towards `p`, and where they are equal they stay so."""

    def kernel(e: Array, p: Array, s: Array) -> None:
        np.subtract(p, e, out=s)
        axpby(1 - keep, s, 1.0, e)

    blockwise(kernel, e, p)


def flush_denormals(a: Array) -> None:
    """Set to zero what is smaller than 64 times the smallest normal number of its dtype, 7.5e-37 in float32.

    A mean over gradients that have become zero decays into the denormal numbers and, by rounding, stays there, and on
    many processors arithmetic with these takes many times longer.
    """
    if a.dtype.kind != "f" or a.dtype.itemsize < 4:  # of float16 too much would be lost
        return
    least = 64 * np.finfo(a.dtype).smallest_normal

    def kernel(a: Array, s: Array) -> None:
        np.abs(a, out=s)
        a[s < least] = 0

    blockwise(kernel, a)
