"""Batch normalisation, with the statistics of the batch or with given ones."""

import math
from typing import Any

from minitorch.autograd.fused import Fused
from minitorch.autograd.node import Array
from minitorch.autograd.primitive import fit
from minitorch.cpu.blocks import in_blocks
from minitorch.cpu.lines import sum_lines, sum_products
from minitorch.cuda import kernels, xp_of

PER_THREAD = 5  # blocks: each is a few short calls, between which two threads wait for the interpreter's lock


def moments(x: Array) -> tuple[Array, Array]:
    """Mean and biased variance of each channel of x (N, C, ...), two arrays (C,), at least in float32."""
    if kernels.takes(x):
        return kernels.batch_moments(kernels.contiguous(x))
    xp = xp_of(x)
    x = _lines(x)
    count = x.size // x.shape[1]
    dtype = _wide(x)
    sums = xp.empty(x.shape[:2], dtype)

    def add(sums: Array, x: Array) -> None:
        sum_lines(x, sums)

    in_blocks(add, sums, x, per_thread=PER_THREAD)
    mean = sums.sum(axis=0) / count

    def add_squares(sums: Array, x: Array) -> None:
        d = x - mean[:, None]
        sum_products(d, d, sums)

    in_blocks(add_squares, sums, x, per_thread=PER_THREAD)
    return mean, sums.sum(axis=0) / count


def moving_moments(x: Array, mean: Array, var: Array, decay: float) -> tuple[Array, Array]:
    """The same, after `mean` and `var` (C,) have moved towards them in place by 1 - decay, var to the unbiased one."""
    if kernels.takes(x, mean, var) and mean.flags.c_contiguous and var.flags.c_contiguous:
        return kernels.batch_moments(kernels.contiguous(x), (mean, var), decay)
    of_batch = moments(x)
    count = x.size // x.shape[1]
    for average, value in ((mean, of_batch[0]), (var, of_batch[1] * (count / max(count - 1, 1)))):
        average *= decay
        average += (1 - decay) * value
    return of_batch


def _wide(x: Array) -> Any:
    """The dtype to sum in: that of x, but float32 for float16, whose squares would overflow."""
    xp = xp_of(x)
    return xp.result_type(x.dtype, xp.float32)


def _lines(a: Array) -> Array:
    """(N, C, ...) as (N, C, L)."""
    return a.reshape((*a.shape[:2], math.prod(a.shape[2:])))


def batch_norm_reference(x: Any, gamma: Any, beta: Any, mean: Array, var: Array, *, eps: float, of_batch: bool) -> Any:
    """`(x - mean) / sqrt(var + eps) * gamma + beta` for each channel of x (N, C, ...); the others are (C,).

    Where `mean` and `var` are those `of_batch`, they are functions of x.
    """
    axes = (0, *range(2, x.ndim))
    along = (1, -1) + (1,) * (x.ndim - 2)
    d = x - (x.mean(axis=axes, keepdims=True) if of_batch else mean.reshape(along))
    spread = (d * d).mean(axis=axes, keepdims=True) if of_batch else var.reshape(along)
    y = d * (spread + eps) ** -0.5 * gamma.reshape(along) + beta.reshape(along)
    return y if y.dtype == x.dtype else y.astype(x.dtype)


def _forward(
    x: Array, gamma: Array, beta: Array, mean: Array, var: Array, *, eps: float, of_batch: bool
) -> tuple[Array, Array | None]:
    if kernels.takes(x, gamma, beta, mean, var):
        return kernels.batch_norm(*map(kernels.contiguous, (x, gamma, beta, mean, var)), eps=eps), None
    xp = xp_of(x)
    inverse = 1 / xp.sqrt(var + eps)
    scale = gamma * inverse
    y = xp.empty(x.shape, x.dtype)

    def normalise(y: Array, x: Array) -> None:
        xp.subtract(x, mean[:, None], out=y)
        y *= scale[:, None]
        y += beta[:, None]

    in_blocks(normalise, _lines(y), _lines(x), per_thread=PER_THREAD)
    return y, inverse


def _backward(
    g: Array, y: Array, inverse: Any, wanted: tuple[bool, ...], x: Array, gamma: Array, beta: Array, mean: Array,
    var: Array, *, eps: float, of_batch: bool,
) -> tuple[Array | None, ...]:  # fmt: skip
    if kernels.takes(x, gamma, beta, mean, var):
        arrays = map(kernels.contiguous, (g, x, gamma, mean, var))
        gradients = kernels.batch_norm_gradients(*arrays, eps=eps, of_batch=of_batch, of_x=wanted[0])
        return *gradients, None, None
    x_lines, g_lines = _lines(x), _lines(g)
    dgamma, dbeta = _backward_parameters(g_lines, x_lines, mean)
    dgamma *= inverse
    gx = None
    if wanted[0]:
        gx = xp_of(x).empty(x.shape, x.dtype)
        of_mean = (dbeta * (x.shape[1] / x.size), dgamma * inverse * (x.shape[1] / x.size)) if of_batch else None
        _backward_input(_lines(gx), g_lines, x_lines, mean, gamma * inverse, of_mean)
    return gx, fit(dgamma, gamma), fit(dbeta, beta), None, None


def _backward_parameters(g: Array, x: Array, mean: Array) -> tuple[Array, Array]:
    """The sums of `g * (x - mean)` and of `g` for each channel."""
    xp = xp_of(x)
    dtype = _wide(x)
    sums = xp.empty((len(x), 2, x.shape[1]), dtype)

    def add(sums: Array, g: Array, x: Array) -> None:
        sum_lines(g, sums[:, 1])
        sum_products(x - mean[:, None], g, sums[:, 0])

    in_blocks(add, sums, g, x, per_thread=PER_THREAD)
    total = sums.sum(axis=0)
    return total[0], total[1]


def _backward_input(gx: Array, g: Array, x: Array, mean: Array, scale: Array, of_batch: Any) -> None:
    """Write the gradient of the input; `of_batch` has what passes through the mean and the variance, if they do."""
    xp = xp_of(x)

    def differentiate(gx: Array, g: Array, x: Array) -> None:
        if of_batch is None:
            xp.multiply(g, scale[:, None], out=gx)
            return
        through_mean, through_var = of_batch
        xp.subtract(mean[:, None], x, out=gx)
        gx *= through_var[:, None]
        gx -= through_mean[:, None]
        gx += g
        gx *= scale[:, None]

    in_blocks(differentiate, gx, g, x, per_thread=PER_THREAD)


batch_norm = Fused(
    reference=batch_norm_reference, forward=_forward, backward=_backward, argnums=(0, 1, 2), name="batch_norm"
)
