"""A bias and an activation in one pass, and back to the gradients of both."""

import math
from typing import Any

import numpy as np

from minitorch.cuda.array_module import xp_of
from minitorch.cuda.kernels.kernel import blocks_for, channels_of, kernel
from minitorch.cuda.kernels.sums import channel_sums, runs_of

Array = Any

ACTIVATIONS = ("none", "relu", "sigmoid", "tanh", "gelu")  # the number of each is its place

erf = np.vectorize(math.erf, otypes=[np.float64])


def _bias(b: Array | None, channels: int) -> Array:
    return np.float32(0) if b is None else b.reshape(1, channels, 1)


def _activate(z: Array, act: int) -> Array:
    match ACTIVATIONS[act]:
        case "relu":
            return np.maximum(z, 0)
        case "sigmoid":
            return 0.5 * np.tanh(0.5 * z) + 0.5
        case "tanh":
            return np.tanh(z)
        case "gelu":
            return z * (0.5 * erf(z * math.sqrt(0.5)) + 0.5)
    return z


def _slope(s: Array, act: int) -> Array:
    match ACTIVATIONS[act]:
        case "relu":
            return s > 0
        case "sigmoid":
            return s * (1 - s)
        case "tanh":
            return 1 - s * s
        case "gelu":
            return 0.5 * erf(s * math.sqrt(0.5)) + 0.5 + s * np.exp(-0.5 * s * s) / math.sqrt(2 * math.pi)
    return np.float32(1)


@kernel("activation")
def activation_forward(x: Array, b: Array | None, y: Array, size: int, channels: int, inner: int, act: int) -> None:
    """`y = act(x + b)`, for x and y (N, channels, inner) and b (channels,) or None."""
    y[...] = _activate(x.reshape(-1, channels, inner) + _bias(b, channels), act).reshape(y.shape)


@kernel("activation")
def activation_backward(
    g: Array, saved: Array, b: Array | None, dx: Array, size: int, channels: int, inner: int, act: int
) -> None:
    """`dx = g act'`; `saved` is y, but x for gelu, which alone needs `b`."""
    s = saved.reshape(-1, channels, inner)
    if ACTIVATIONS[act] == "gelu":
        s = s + _bias(b, channels)
    dx[...] = g * _slope(s, act).reshape(g.shape)


@kernel("activation")
def activation_backward_bias(
    g: Array, saved: Array | None, b: Array | None, dx: Array | None, partial: Array, images: int, channels: int,
    inner: int, act: int,
) -> None:  # fmt: skip
    """The same, with partial (1, runs, channels): dx summed by channel. For none, `saved` and `dx` may be None."""
    d = g
    if saved is not None:
        d = np.empty_like(g)
        activation_backward.reference(g, saved, b, d, g.size, channels, inner, act)
    if dx is not None:
        dx[...] = d
    partial[0] = [run.sum(axis=0) for run in runs_of(d.reshape(images, channels, inner), partial.shape[1])]


def bias_activation(x: Array, b: Array | None, act: str, out: Array | None = None) -> Array:
    """`act(x + b)` for x (N, C, ...), b (C,), and `act` of ACTIVATIONS; written to `out`, which may be x.

    Without b, x may have any shape.
    """
    _, channels, inner = (1, 1, x.size) if b is None else channels_of(x.shape)
    y = xp_of(x).empty_like(x) if out is None else out
    activation_forward(
        blocks_for(x.size, 1024), x, b, y, np.int32(x.size), np.int32(channels), np.int32(inner),
        np.int32(ACTIVATIONS.index(act)),
    )  # fmt: skip
    return y


def bias_activation_backward(
    g: Array, saved: Array | None, b: Array | None, act: str, *, bias: bool
) -> tuple[Array, Array | None]:
    """The gradients of x and, if `bias`, of b: given g (N, C, ...), that of `bias_activation(x, b, act)`.

    Without b and `bias`, g may have any shape.

    Args:
        g: the gradient of y.
        saved: y; for "gelu" x; for "none" it is not used, and the first result is `g` itself.
        b: (C,) or None, used for "gelu".
        act: one of ACTIVATIONS.
        bias: whether the gradient of b is wanted.
    """
    images, channels, inner = (1, 1, g.size) if b is None and not bias else channels_of(g.shape)
    xp, number = xp_of(g), np.int32(ACTIVATIONS.index(act))
    sizes = np.int32(channels), np.int32(inner), number
    dx = None if act == "none" else xp.empty_like(g)
    if not bias:
        if dx is not None:
            activation_backward(blocks_for(g.size, 1024), g, saved, b, dx, np.int32(g.size), *sizes)
        return (g if dx is None else dx), None
    saved = None if dx is None else saved
    (db,) = channel_sums(
        xp, (images, channels, inner), 1,
        lambda grid, partial: activation_backward_bias(grid, g, saved, b, dx, partial, np.int32(images), *sizes),
    )  # fmt: skip
    return (g if dx is None else dx), db
