"""Batch normalisation of each channel over all images, forward with running statistics, and back."""

from typing import Any

import numpy as np

from minitorch.cuda.array_module import xp_of
from minitorch.cuda.kernels.kernel import blocks_for, channel_grid, channels_of, kernel
from minitorch.cuda.kernels.sums import runs_of, total_of

Array = Any


@kernel("batch_norm")
def batch_norm_moments(x: Array, partial: Array, images: int, channels: int, inner: int) -> None:
    """`partial` (2, runs, channels): of each run the sums, and the squared distances from its mean."""
    for i, run in enumerate(runs_of(x.reshape(images, channels, inner), partial.shape[1])):
        partial[0, i] = run.sum(axis=0)
        partial[1, i] = ((run - run.mean(axis=0)) ** 2).sum(axis=0) if len(run) else 0


@kernel("batch_norm")
def batch_norm_statistics(
    partial: Array, mean: Array, inverse: Array, running_mean: Array | None, running_var: Array | None, runs: int,
    images: int, channels: int, inner: int, eps: float, decay: float,
) -> None:  # fmt: skip
    """Mean and 1 / sqrt(variance + eps) of each channel; running mean and unbiased variance move by 1 - decay."""
    total = images * inner
    counts = np.array([len(run) for run in runs_of(np.empty((images, 1, inner), bool), runs)])[:, None]
    mean[...] = partial[0].sum(axis=0) / total
    squares = (partial[1] + counts * (partial[0] / np.maximum(counts, 1) - mean) ** 2).sum(axis=0)
    inverse[...] = 1 / np.sqrt(squares / total + eps)
    if running_mean is not None and running_var is not None:
        running_mean[...] = decay * running_mean + (1 - decay) * mean
        running_var[...] = decay * running_var + (1 - decay) * squares / max(total - 1, 1)


@kernel("batch_norm")
def batch_norm_apply(
    x: Array, mean: Array, inverse: Array, gamma: Array, beta: Array, y: Array, size: int, channels: int, inner: int
) -> None:
    """`y = (x - mean) inverse gamma + beta`."""
    mean, inverse, gamma, beta = (a.reshape(1, channels, 1) for a in (mean, inverse, gamma, beta))
    y[...] = ((x.reshape(-1, channels, inner) - mean) * inverse * gamma + beta).reshape(y.shape)


@kernel("batch_norm")
def batch_norm_backward_sums(
    g: Array, x: Array, mean: Array, inverse: Array, partial: Array, images: int, channels: int, inner: int
) -> None:
    """`partial` (2, runs, channels): the sums of g z and of g, with z = (x - mean) inverse."""
    g = g.reshape(images, channels, inner)
    z = (x.reshape(g.shape) - mean.reshape(1, channels, 1)) * inverse.reshape(1, channels, 1)
    for k, a in enumerate((g * z, g)):
        partial[k] = [run.sum(axis=0) for run in runs_of(a, partial.shape[1])]


@kernel("batch_norm")
def batch_norm_backward(
    g: Array, x: Array, mean: Array, inverse: Array, gamma: Array, sums: Array, dx: Array, size: int, channels: int,
    inner: int, total: float,
) -> None:  # fmt: skip
    """`dx = gamma inverse (g - (dbeta + z dgamma) / total)`, for sums (dgamma, dbeta) (2, channels)."""
    g = g.reshape(-1, channels, inner)
    mean, inverse, gamma, dgamma, dbeta = (a.reshape(1, channels, 1) for a in (mean, inverse, gamma, *sums))
    z = (x.reshape(g.shape) - mean) * inverse
    dx[...] = (gamma * inverse * (g - (dbeta + z * dgamma) / total)).reshape(dx.shape)


def batch_norm_forward(
    x: Array, gamma: Array, beta: Array, running_mean: Array | None, running_var: Array | None, *, eps: float,
    decay: float,
) -> tuple[Array, Array, Array]:  # fmt: skip
    """`(x - mean) / sqrt(variance + eps) * gamma + beta` for x (N, C, ...), the mean and 1 / sqrt(variance + eps).

    Mean and variance are those of each channel. `running_mean` and `running_var`, (C,), both or neither given, become
    `decay` times what they were plus (1 - decay) times the mean and the unbiased variance.
    """
    xp, (images, channels, inner) = xp_of(x), channels_of(x.shape)
    shape = np.int32(images), np.int32(channels), np.int32(inner)
    across, runs = channel_grid(images, channels, inner)
    partial = xp.empty((2, runs, channels), np.float32)
    mean, inverse = xp.empty(channels, np.float32), xp.empty(channels, np.float32)
    batch_norm_moments((across, runs), x, partial, *shape)
    batch_norm_statistics(
        blocks_for(channels), partial, mean, inverse, running_mean, running_var, np.int32(runs), *shape,
        np.float32(eps), np.float32(decay),
    )  # fmt: skip
    return batch_norm_inference(x, gamma, beta, mean, inverse), mean, inverse


def batch_norm_inference(x: Array, gamma: Array, beta: Array, mean: Array, inverse: Array) -> Array:
    """`(x - mean) * inverse * gamma + beta` for x (N, C, ...) and the others (C,)."""
    _, channels, inner = channels_of(x.shape)
    y = xp_of(x).empty_like(x)
    batch_norm_apply(
        blocks_for(x.size), x, mean, inverse, gamma, beta, y, np.int32(x.size), np.int32(channels), np.int32(inner)
    )
    return y


def batch_norm_backward_all(
    g: Array, x: Array, gamma: Array, mean: Array, inverse: Array
) -> tuple[Array, Array, Array]:
    """The gradients of x, gamma and beta, given g and what `batch_norm_forward` was given and returned."""
    xp, (images, channels, inner) = xp_of(x), channels_of(x.shape)
    across, runs = channel_grid(images, channels, inner)
    partial = xp.empty((2, runs, channels), np.float32)
    batch_norm_backward_sums(
        (across, runs), g, x, mean, inverse, partial, np.int32(images), np.int32(channels), np.int32(inner)
    )
    sums = total_of(partial)
    dx = xp.empty_like(x)
    batch_norm_backward(
        blocks_for(x.size), g, x, mean, inverse, gamma, sums, dx, np.int32(x.size), np.int32(channels),
        np.int32(inner), np.float32(images * inner),
    )  # fmt: skip
    return dx, sums[0], sums[1]
