"""Normalisation: of each channel over a batch, or of each sample by itself, over features or groups of channels."""

import math
from typing import Any

from minitorch.autograd.node import Value
from minitorch.config import Config
from minitorch.errors import ConfigError, DataError, ShapeError
from minitorch.ops import batch_norm as of_batch
from minitorch.ops import layer_norm as of_samples
from minitorch.variable import Variable, as_variable


def batch_norm(x: Any, gamma: Any, beta: Any, mean: Any, var: Any, decay: float = 0.9, eps: float = 2e-5) -> Variable:
    """`(x - mean) / sqrt(variance + eps) * gamma + beta` in each channel, with mean and variance of this batch.

    While training, the running averages move towards this batch, in place: `mean = decay * mean + (1 - decay) * that of
    the batch`, and `var` likewise with the unbiased variance. In test mode they are what is normalised with, and stay.
    Source: Ioffe and Szegedy, "Batch Normalization", ICML 2015.

    Args:
        x: (N, C) or (N, C, H, W).
        gamma: the factor of each channel, (C,).
        beta: the shift of each channel, (C,).
        mean: the running mean, an array (C,), or a Variable that holds one.
        var: the running variance, likewise.
        decay: the share of the running averages that stays.
        eps: keeps the root from 0.

    Raises:
        ShapeError: the shapes do not fit.
        DataError: the batch is empty, while training.
    """
    gamma, beta = as_variable(gamma), as_variable(beta)
    batch = in_floats(x, gamma)
    mean, var = (a.data if isinstance(a, Value) else a for a in (mean, var))
    shapes = [gamma.shape, beta.shape, mean.shape, var.shape]
    if batch.ndim < 2 or any(shape != batch.shape[1:2] for shape in shapes):
        raise ShapeError(
            f"batch_norm: gamma {shapes[0]}, beta {shapes[1]}, mean {shapes[2]} and var {shapes[3]} do not fit x "
            f"{batch.shape}; x is (N, C) or (N, C, H, W), the others are (C,)"
        )
    if not Config.train:
        return of_batch.batch_norm(batch, gamma, beta, mean, var, eps=eps, of_batch=False)
    count = math.prod(batch.shape) // max(batch.shape[1], 1)
    if not count:
        raise DataError(
            f"batch_norm: the batch {batch.shape} is empty; it has no mean: use test_mode(), or give samples"
        )
    batch_mean, batch_var = of_batch.moving_moments(batch.data, mean, var, decay)
    return of_batch.batch_norm(batch, gamma, beta, batch_mean, batch_var, eps=eps, of_batch=True)


def layer_norm(x: Any, gamma: Any, beta: Any, eps: float = 1e-5) -> Variable:
    """`(x - mean) / sqrt(variance + eps) * gamma + beta`, with mean and variance over the axes that `gamma` has.

    Source: Ba, Kiros and Hinton, "Layer Normalization", 2016. The variance is the biased one.

    Args:
        x: (..., *features).
        gamma: features, one axis or more.
        beta: features.
        eps: keeps the root from 0.

    Raises:
        ShapeError: the last axes of `x` are not those of `gamma` and `beta`.
    """
    gamma, beta = as_variable(gamma), as_variable(beta)
    a = in_floats(x, gamma)
    if not gamma.ndim or a.shape[-gamma.ndim :] != gamma.shape or beta.shape != gamma.shape:
        raise ShapeError(
            f"layer_norm: gamma {gamma.shape} and beta {beta.shape} do not fit x {a.shape}; both must have the shape "
            "of the last axes of x, those to normalise over"
        )
    if gamma.ndim == 1:
        return of_samples.layer_norm(a, gamma, beta, eps=eps)
    rows = a.reshape((*a.shape[: -gamma.ndim], gamma.size))
    return of_samples.layer_norm(rows, gamma.reshape(-1), beta.reshape(-1), eps=eps).reshape(a.shape)


def group_norm(x: Any, groups: int, gamma: Any, beta: Any, eps: float = 1e-5) -> Variable:
    """`(x - mean) / sqrt(variance + eps) * gamma + beta`, with mean and variance over each of `groups` of channels.

    Source: Wu and He, "Group Normalization", ECCV 2018. The variance is the biased one.

    Args:
        x: (N, C, ...), for instance (N, C, H, W).
        groups: how many; C is a multiple of it. 1 normalises over all channels, C each channel by itself.
        gamma: (C,).
        beta: (C,).
        eps: keeps the root from 0.

    Raises:
        ConfigError: C is not a multiple of `groups`.
        ShapeError: the shapes do not fit.
    """
    gamma, beta = as_variable(gamma), as_variable(beta)
    a = in_floats(x, gamma)
    if a.ndim < 2 or gamma.shape != a.shape[1:2] or beta.shape != gamma.shape:
        raise ShapeError(
            f"group_norm: gamma {gamma.shape} and beta {beta.shape} do not fit x {a.shape}; x is (N, C, ...), gamma "
            "and beta are (C,)"
        )
    n, channels = a.shape[:2]
    if groups < 1 or channels % groups:
        raise ConfigError(f"group_norm: groups is {groups}; it must divide the number of channels, {channels}")
    rows = a.reshape((n, groups, math.prod(a.shape[1:]) // groups))
    along = (channels,) + (1,) * (a.ndim - 2)
    z = of_samples.layer_norm(rows, None, None, eps=eps).reshape(a.shape)
    y: Variable = z * gamma.reshape(along) + beta.reshape(along)
    return y


def in_floats(x: Any, gamma: Variable) -> Variable:
    """`x`, which if it holds integers, such as pixels, is converted to the type of `gamma`."""
    v = as_variable(x)
    return v if v.dtype.kind == "f" else v.astype(gamma.dtype)
