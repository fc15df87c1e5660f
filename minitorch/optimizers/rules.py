"""The rules by which optimizers change a parameter, as array expressions.

They define what the kernels of `minitorch.cpu.update` do faster on the host, and they run on a GPU. All work in place
on the parameter `p` and its state, and take the gradient `g`.
"""

import math
import sys
from typing import Any

import numpy as np

from minitorch.cpu import update
from minitorch.cuda import xp_of

Array = Any


def rules_for(p: Array) -> Any:
    """The module with the rules for arrays on the device of `p`: the kernels of the host, or else this one."""
    return update if isinstance(p, np.ndarray) else sys.modules[__name__]


def sgd(p: Array, g: Array, *, lr: float) -> None:
    """Of `SGD`."""
    p -= lr * g


def momentum(p: Array, g: Array, v: Array, *, lr: float, momentum: float, nesterov: bool) -> None:
    """Of `MomentumSGD`."""
    v *= momentum
    v -= lr * g
    p += momentum * v - lr * g if nesterov else v


def adagrad(p: Array, g: Array, h: Array, *, lr: float, eps: float) -> None:
    """Of `AdaGrad`."""
    h += g * g
    p -= lr * g / (xp_of(p).sqrt(h) + eps)


def adadelta(p: Array, g: Array, msg: Array, msdx: Array, *, lr: float, rho: float, eps: float) -> None:
    """Of `AdaDelta`."""
    msg *= rho
    msg += (1 - rho) * (g * g)
    dx = xp_of(p).sqrt((msdx + eps) / (msg + eps)) * g
    msdx *= rho
    msdx += (1 - rho) * (dx * dx)
    p -= lr * dx


def rmsprop(p: Array, g: Array, msg: Array, *, lr: float, alpha: float, eps: float) -> None:
    """Of `RMSprop`."""
    msg *= alpha
    msg += (1 - alpha) * (g * g)
    p -= lr * g / (xp_of(p).sqrt(msg) + eps)


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
    """Of `Adam` and `AdamW`, in step `t`, counted from 1."""
    m *= beta1
    m += (1 - beta1) * g
    v *= beta2
    v += (1 - beta2) * (g * g)
    if weight_decay:
        p *= 1 - lr * weight_decay
    p -= lr / (1 - beta1**t) * m / (xp_of(p).sqrt(v) / math.sqrt(1 - beta2**t) + eps)


def lion(p: Array, g: Array, m: Array, *, lr: float, beta1: float, beta2: float, weight_decay: float) -> None:
    """Of `Lion`."""
    if weight_decay:
        p *= 1 - lr * weight_decay
    p -= lr * xp_of(p).sign(beta1 * m + (1 - beta1) * g)
    m *= beta2
    m += (1 - beta2) * g


def average(e: Array, p: Array, *, keep: float) -> None:
    """Of averaged weights, `e = keep * e + (1 - keep) * p`, with no memory but that of `e`."""
    e -= p
    e *= keep
    e += p
