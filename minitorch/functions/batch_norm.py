"""Batch normalisation: each channel shifted and scaled by what it is over a batch."""

import math
from typing import Any

from minitorch.autograd.node import Value
from minitorch.config import Config
from minitorch.errors import DataError, ShapeError
from minitorch.functions.norm import in_floats
from minitorch.ops import batch_norm as ops
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
        return ops.batch_norm(batch, gamma, beta, mean, var, eps=eps, of_batch=False)
    count = math.prod(batch.shape) // max(batch.shape[1], 1)
    if not count:
        raise DataError(
            f"batch_norm: the batch {batch.shape} is empty; it has no mean: use test_mode(), or give samples"
        )
    batch_mean, batch_var = ops.moving_moments(batch.data, mean, var, decay)
    return ops.batch_norm(batch, gamma, beta, batch_mean, batch_var, eps=eps, of_batch=True)
