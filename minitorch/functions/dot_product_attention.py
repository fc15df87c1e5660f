"""Scaled dot product attention, of heads that were made before, or of a sequence to itself."""

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

Array = Any  # a NumPy or CuPy array


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
    allowed, noise = _allowed(q, q.shape[-2], k.shape[-2], mask, causal), None
    if Config.train and dropout_ratio:
        lead = np.broadcast_shapes(q.shape[:-2], k.shape[:-2])
        noise = _noise(q, (*lead, q.shape[-2], k.shape[-2]), dropout_ratio)
    y: Variable = ops.attention(q, k, v, allowed, noise, scale=1 / math.sqrt(q.shape[-1]))
    return y


def self_attention(
    qkv: Any, n_heads: int, mask: Any = None, causal: bool = False, dropout_ratio: float = 0.0
) -> Variable:
    """`attention` of a sequence to itself by several heads, whose queries, keys and values stand side by side.

        qkv = F.linear(x, F.concat([Wq, Wk, Wv], axis=1))
        y = F.self_attention(qkv, n_heads)

    Args:
        qkv: (..., T, 3 * width): queries, keys and values, each of all heads one after the other.
        n_heads: how many heads; width is a multiple of it.
        mask: booleans that broadcast to (..., n_heads, T, T), as of `attention`.
        causal: let a position see only itself and those before it.
        dropout_ratio: the probability to drop each weight while training.

    Returns:
        (..., T, width).

    Raises:
        ShapeError: the last axis of `qkv` is not that of three times the same number of heads.
        DTypeError: `mask` does not hold booleans.
        ConfigError: the ratio is not between 0 and 1.
    """
    qkv = as_variable(qkv)
    if qkv.ndim < 2 or n_heads < 1 or not qkv.shape[-1] or qkv.shape[-1] % (3 * n_heads):
        raise ShapeError(
            f"self_attention: qkv {qkv.shape} does not fit {n_heads} heads; it is (..., T, 3 * width), where width "
            "is a multiple of n_heads"
        )
    *lead, length, columns = qkv.shape
    allowed, noise = _allowed(qkv, length, length, mask, causal), None
    if Config.train and dropout_ratio:
        noise = _noise(qkv, (*lead, n_heads, length, length), dropout_ratio)
    y: Variable = ops.self_attention(
        qkv, allowed, noise, n_heads=n_heads, scale=1 / math.sqrt(columns // (3 * n_heads))
    )
    return y


def _allowed(q: Variable, n_queries: int, n_keys: int, mask: Any, causal: bool) -> Array | None:
    """Which keys each query sees, broadcasting to (..., n_queries, n_keys); None for all."""
    xp, allowed = xp_of(q.data), None if mask is None else as_variable(mask).data
    if allowed is not None and allowed.dtype != bool:
        raise DTypeError(f"attention: mask is {describe(allowed)}; it holds booleans, True where a query sees a key")
    if allowed is not None and xp_of(allowed) is not xp:
        raise DeviceError("attention: mask and q are on different devices; move the mask to the device of the model")
    if not causal:
        return allowed
    past = _past(xp, n_queries, n_keys)
    return past if allowed is None else allowed & past


def _noise(q: Variable, shape: tuple[int, ...], dropout_ratio: float) -> Array:
    """What dropout makes of weights of 1."""
    return dropout(xp_of(q.data).ones(shape, q.dtype), dropout_ratio).data


def _past(xp: Any, n_queries: int, n_keys: int) -> Any:
    """Which keys each query sees where it sees none after its own position, (T, S)."""
    if n_queries > n_keys:
        raise ShapeError(
            f"attention: causal with {n_queries} queries for {n_keys} keys; the last query stands at the last key, so "
            "there must be a key for each query: give a mask instead"
        )
    first = n_keys - n_queries
    return xp.arange(n_keys) <= xp.arange(first, n_keys)[:, None]
