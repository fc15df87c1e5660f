"""Scaled dot product attention."""

import math
from typing import Any

import numpy as np

from minitorch.autograd.primitive import describe
from minitorch.config import Config
from minitorch.cuda import xp_of
from minitorch.errors import DeviceError, DTypeError, ShapeError
from minitorch.functions.noise import dropout
from minitorch.ops import attention as ops
from minitorch.variable import Variable, as_variable


def attention(q: Any, k: Any, v: Any, mask: Any = None, causal: bool = False, dropout_ratio: float = 0.0) -> Variable:
    """`softmax(q @ k.T / sqrt(D)) @ v`: for each query a mean of the values, weighted by how well the keys fit.

    Source: Vaswani et al., "Attention Is All You Need", NeurIPS 2017, equation 1.

    Args:
        q: queries, (..., T, D). Leading axes, such as batch and heads, broadcast.
        k: keys, (..., S, D).
        v: values, (..., S, E).
        mask: booleans that broadcast to (..., T, S): where False, the query does not see the key. A query that sees no
            key at all gets 0.
        causal: let a query see only the keys up to its own position, where the last query stands at the last key.
        dropout_ratio: the probability to drop each weight while training.

    Returns:
        (..., T, E).

    Raises:
        ShapeError: the shapes do not fit, or `causal` with more queries than keys.
        DTypeError: `mask` does not hold booleans.
        ConfigError: the ratio is not between 0 and 1.
    """
    q, k, v = as_variable(q), as_variable(k), as_variable(v)
    if min(q.ndim, k.ndim, v.ndim) < 2 or q.shape[-1] != k.shape[-1] or k.shape[-2] != v.shape[-2]:
        raise ShapeError(
            f"attention: q {q.shape}, k {k.shape} and v {v.shape} do not fit; they are (..., T, D), (..., S, D) and "
            "(..., S, E)"
        )
    allowed = None if mask is None else as_variable(mask).data
    if allowed is not None and allowed.dtype != bool:
        raise DTypeError(f"attention: mask is {describe(allowed)}; it holds booleans, True where a query sees a key")
    if allowed is not None and xp_of(allowed) is not xp_of(q.data):
        raise DeviceError("attention: mask and q are on different devices; move the mask to the device of the model")
    n_queries, n_keys = q.shape[-2], k.shape[-2]
    if causal:
        past = _past(xp_of(q.data), n_queries, n_keys)
        allowed = past if allowed is None else allowed & past
    noise = None
    if Config.train and dropout_ratio:
        lead = np.broadcast_shapes(q.shape[:-2], k.shape[:-2])
        noise = dropout(xp_of(q.data).ones((*lead, n_queries, n_keys), q.dtype), dropout_ratio).data
    y: Variable = ops.attention(q, k, v, allowed, noise, scale=1 / math.sqrt(q.shape[-1]))
    return y


def _past(xp: Any, n_queries: int, n_keys: int) -> Any:
    """Which keys each query sees where it sees none after its own position, (T, S)."""
    if n_queries > n_keys:
        raise ShapeError(
            f"attention: causal with {n_queries} queries for {n_keys} keys; the last query stands at the last key, so "
            "there must be a key for each query: give a mask instead"
        )
    first = n_keys - n_queries
    return xp.arange(n_keys) <= xp.arange(first, n_keys)[:, None]
