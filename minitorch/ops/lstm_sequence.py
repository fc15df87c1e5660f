"""All time steps of an LSTM as one operation: one walk over the sequence; other dtypes on a device, cell by cell."""

from typing import Any

import numpy as np

from minitorch.autograd.fused import Fused
from minitorch.autograd.node import Array
from minitorch.autograd.primitive import fit
from minitorch.cpu import lstm as on_host
from minitorch.cpu.onednn import lstm as by_onednn
from minitorch.cuda import kernels, xp_of
from minitorch.cuda import lstm as on_device
from minitorch.ops.linear import check_fit, linear
from minitorch.ops.recurrent import lstm_cell
from minitorch.ops.shape import concat


def lstm_sequence_reference(x: Any, Wx: Any, b: Any, h: Any, c: Any, W: Any) -> Any:
    """The states (T + 1, N, H) of a sequence x (T, N, I): h of each step and last the final c.

    Wx (I, 4H) and b (4H,) are the weights of the input; the other arguments, and what a step does, are those of
    `lstm_cell`.
    """
    a = linear(x, Wx, b)
    states = []
    for t in range(len(a)):
        both = lstm_cell(a[t], h, c, W)
        h, c = both[0], both[1]
        states.append(h.reshape((1, *h.shape)))
    return concat(*states, c.reshape((1, *c.shape)))


def _forward(x: Array, Wx: Array, b: Array, h: Array, c: Array, W: Array) -> tuple[Array, Any]:
    check_fit(x, Wx, b)
    if xp_of(x) is np and by_onednn.takes(x, Wx, b, h, c, W):
        return by_onednn.forward(x, Wx, b, h, c, W)
    if xp_of(x) is np:
        Wx, b, W = on_host.halved(Wx), on_host.halved(b), on_host.halved(W)
    a, kept = linear.forward(x, Wx, b)
    y, saved = _walk(a, h, c, W)
    return y, (a, kept, saved)


def _walk(a: Array, h: Array, c: Array, W: Array) -> tuple[Array, Any]:
    """The states, given `a = x @ Wx + b`, and what `_walk_back` needs."""
    if xp_of(a) is np:
        return on_host.forward(a, h, c, W)
    if kernels.takes(a, h, c, W):
        return on_device.forward(a, h, c, W)
    y = xp_of(a).empty((len(a) + 1, *c.shape), a.dtype)
    cells = []
    for t in range(len(a)):
        both, saved = lstm_cell.forward(a[t], h, c, W)
        cells.append((both, saved, (a[t], h, c, W)))
        h, c = both[0], both[1]
        y[t] = h
    y[len(a)] = c
    return y, cells


def _backward(
    g: Array, y: Array, saved: Any, wanted: tuple[bool, ...], x: Array, Wx: Array, b: Array, h: Array, c: Array,
    W: Array,
) -> tuple[Array | None, ...]:  # fmt: skip
    if isinstance(saved, list):
        return by_onednn.backward(g, saved, x, Wx, b, h, c, W)
    a, kept, saved = saved
    da, dh, dc, dW = _walk_back(g, y, saved, (True, *wanted[3:]), a, h, c, W)
    grads = *linear.backward(da, a, kept, wanted[:3], x, Wx, b), dh, dc, dW
    return tuple([None if d is None else fit(d, of) for d, of in zip(grads, (x, Wx, b, h, c, W), strict=True)])


def _walk_back(
    g: Array, y: Array, saved: Any, wanted: tuple[bool, ...], a: Array, h: Array, c: Array, W: Array
) -> tuple[Array | None, ...]:
    """The gradients of `_walk` for its arguments."""
    xp = xp_of(a)
    if xp is np:
        return on_host.backward(g, y, saved, h, W)
    if kernels.takes(a, h, c, W):
        return on_device.backward(g, saved, h, c, W, wanted)
    da, dW = xp.empty_like(a), xp.zeros_like(W)
    both = xp.zeros((2, *c.shape), g.dtype)
    both[1] = g[len(a)]
    for t in range(len(a) - 1, -1, -1):
        both[0] += g[t]
        states, kept, args = saved[t]
        da[t], both[0], both[1], dW_t = lstm_cell.backward(both, states, kept, (True,) * 4, *args)
        dW += dW_t
    return da, both[0].copy(), both[1].copy(), dW


lstm_sequence = Fused(
    reference=lstm_sequence_reference,
    forward=_forward,
    backward=_backward,
    argnums=(0, 1, 2, 3, 4, 5),
    name="lstm_sequence",
)
