"""Batch normalisation of each channel over all images: its statistics, forward, and back."""

from typing import Any

import numpy as np

from minitorch.cuda.array_module import xp_of
from minitorch.cuda.kernels.kernel import blocks_for, channel_grid, channels_of, kernel
from minitorch.cuda.kernels.sums import channel_sums, runs_of

Array = Any


@kernel("batch_norm")
def batch_norm_moments(x: Array, partial: Array, images: int, channels: int, inner: int) -> None:
    """`partial` (2, runs, channels): of each run the sums, and the squared distances from its mean."""
    for i, run in enumerate(runs_of(x.reshape(images, channels, inner), partial.shape[1])):
        partial[0, i] = run.sum(axis=0)
        partial[1, i] = ((run - run.mean(axis=0)) ** 2).sum(axis=0) if len(run) else 0


@kernel("batch_norm")
def batch_norm_statistics(
    partial: Array, mean: Array, var: Array, running_mean: Array | None, running_var: Array | None, runs: int,
    images: int, channels: int, inner: int, decay: float,
) -> None:  # fmt: skip
    """Mean and variance of each channel; running mean and unbiased variance move towards them by 1 - decay."""
    total = images * inner
    counts = np.array([len(run) for run in runs_of(np.empty((images, 1, inner), bool), runs)])[:, None]
    mean[...] = partial[0].sum(axis=0) / total
    squares = (partial[1] + counts * (partial[0] / np.maximum(counts, 1) - mean) ** 2).sum(axis=0)
    var[...] = squares / total
    if running_mean is not None and running_var is not None:
        running_mean[...] = decay * running_mean + (1 - decay) * mean
        running_var[...] = decay * running_var + (1 - decay) * squares / max(total - 1, 1)


@kernel("batch_norm")
def batch_norm_apply(
    x: Array, mean: Array, var: Array, gamma: Array, beta: Array, y: Array, size: int, channels: int, inner: int,
    eps: float,
) -> None:  # fmt: skip
    """`y = (x - mean) / sqrt(var + eps) gamma + beta`."""
    mean, inverse, gamma, beta = _along(channels, mean, 1 / np.sqrt(var + eps), gamma, beta)
    y[...] = ((x.reshape(-1, channels, inner) - mean) * inverse * gamma + beta).reshape(y.shape)


@kernel("batch_norm")
def batch_norm_backward_sums(
    g: Array, x: Array, mean: Array, var: Array, partial: Array, images: int, channels: int, inner: int, eps: float
) -> None:
    """`partial` (2, runs, channels): the sums of g z and of g, with z = (x - mean) / sqrt(var + eps)."""
    g = g.reshape(images, channels, inner)
    mean, inverse = _along(channels, mean, 1 / np.sqrt(var + eps))
    for k, a in enumerate((g * (x.reshape(g.shape) - mean) * inverse, g)):
        partial[k] = [run.sum(axis=0) for run in runs_of(a, partial.shape[1])]


@kernel("batch_norm")
def batch_norm_backward(
    g: Array, x: Array, mean: Array, var: Array, gamma: Array, dgamma: Array, dbeta: Array, dx: Array, size: int,
    channels: int, inner: int, total: float, eps: float,
) -> None:  # fmt: skip
    """`dx = gamma / sqrt(var + eps) (g - (dbeta + z dgamma) / total)`; see `batch_norm_gradients` for total."""
    g = g.reshape(-1, channels, inner)
    mean, inverse = _along(channels, mean, 1 / np.sqrt(var + eps))
    gamma, dgamma, dbeta = _along(channels, gamma, dgamma, dbeta)
    z = (x.reshape(g.shape) - mean) * inverse
    dx[...] = (gamma * inverse * (g - (dbeta + z * dgamma) / total)).reshape(dx.shape)


def _along(channels: int, *arrays: Array) -> list[Array]:
    return [a.reshape(1, channels, 1) for a in arrays]


def batch_moments(x: Array, running: tuple[Array, Array] | None = None, decay: float = 0.0) -> tuple[Array, Array]:
    """Mean and biased variance of each channel of x (N, C, ...), two arrays (C,).

    `running`, a mean and a variance (C,), become `decay` times what they were plus (1 - decay) times the mean and the
    unbiased variance.
    """
    xp, (images, channels, inner) = xp_of(x), channels_of(x.shape)
    shape = np.int32(images), np.int32(channels), np.int32(inner)
    across, runs = channel_grid(images, channels, inner)
    partial = xp.empty((2, runs, channels), np.float32)
    mean, var = xp.empty(channels, np.float32), xp.empty(channels, np.float32)
    running_mean, running_var = (None, None) if running is None else running
    batch_norm_moments((across, runs), x, partial, *shape)
    batch_norm_statistics(
        blocks_for(channels), partial, mean, var, running_mean, running_var, np.int32(runs), *shape, np.float32(decay)
    )
    return mean, var


def batch_norm(x: Array, gamma: Array, beta: Array, mean: Array, var: Array, *, eps: float) -> Array:
    """`(x - mean) / sqrt(var + eps) * gamma + beta` for x (N, C, ...) and the others (C,)."""
    _, channels, inner = channels_of(x.shape)
    y = xp_of(x).empty_like(x)
    sizes = np.int32(x.size), np.int32(channels), np.int32(inner)
    batch_norm_apply(blocks_for(x.size), x, mean, var, gamma, beta, y, *sizes, np.float32(eps))
    return y


def batch_norm_gradients(
    g: Array, x: Array, gamma: Array, mean: Array, var: Array, *, eps: float, of_batch: bool, of_x: bool
) -> tuple[Array | None, Array, Array]:
    """The gradients of x (None unless `of_x`), gamma and beta, given g (N, C, ...), that of `batch_norm`.

    Mean and variance are functions of x if they are those `of_batch`; else constants.
    """
    xp, (images, channels, inner) = xp_of(x), channels_of(x.shape)
    sizes = np.int32(images), np.int32(channels), np.int32(inner)
    dgamma, dbeta = channel_sums(
        xp, (images, channels, inner), 2,
        lambda grid, partial: batch_norm_backward_sums(grid, g, x, mean, var, partial, *sizes, np.float32(eps)),
    )  # fmt: skip
    if not of_x:
        return None, dgamma, dbeta
    dx = xp.empty_like(x)
    total = np.float32(images * inner if of_batch else np.inf)
    batch_norm_backward(
        blocks_for(x.size), g, x, mean, var, gamma, dgamma, dbeta, dx, np.int32(x.size), *sizes[1:], total,
        np.float32(eps),
    )  # fmt: skip
    return dx, dgamma, dbeta
