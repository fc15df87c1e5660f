"""Normalisation of each sample by itself: over its features, or over groups of its channels."""

import math
from typing import Any

from minitorch.errors import ConfigError, ShapeError
from minitorch.ops import layer_norm as ops
from minitorch.variable import Variable, as_variable


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
        return ops.layer_norm(a, gamma, beta, eps=eps)
    rows = a.reshape((*a.shape[: -gamma.ndim], gamma.size))
    return ops.layer_norm(rows, gamma.reshape(-1), beta.reshape(-1), eps=eps).reshape(a.shape)


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
    z = ops.layer_norm(rows, None, None, eps=eps).reshape(a.shape)
    y: Variable = z * gamma.reshape(along) + beta.reshape(along)
    return y


def in_floats(x: Any, gamma: Variable) -> Variable:
    """`x`, which if it holds integers, such as pixels, is converted to the type of `gamma`."""
    v = as_variable(x)
    return v if v.dtype.kind == "f" else v.astype(gamma.dtype)
