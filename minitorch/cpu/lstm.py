"""An LSTM over all time steps of a sequence on the host, forward and backward, in memory made once for all steps."""

from typing import Any

import numpy as np

from minitorch.cpu import blas
from minitorch.cpu.matmul import matmul

Array = Any  # a NumPy array


def forward(a: Array, h: Array, c: Array, W: Array) -> tuple[Array, tuple[Array, Array, Array]]:
    """`a` (T, N, 4H), h and c (N, H), W (H, 4H) to the states (T + 1, N, H): h of each step, and last the final c.

    Also returns what the backward needs: gates (T, N, 4H), the memories before each step and after the last,
    (T + 1, N, H), and their tanh (T, N, H).
    """
    N, H = c.shape
    y = np.empty((len(a) + 1, N, H), a.dtype)
    gates, memories, tanhs = np.empty_like(a), np.empty_like(y), np.empty_like(y[1:])
    memories[0] = c
    scratch = np.empty((N, H), a.dtype)
    with blas.on_one_thread:
        for s, g, before, after, t, out in zip(a, gates, memories, memories[1:], tanhs, y, strict=False):
            np.matmul(h, W, out=g)
            g += s
            sigmoids = g[:, : 3 * H]
            sigmoids *= 0.5  # sigmoid(x) = tanh(x / 2) / 2 + 1/2
            np.tanh(g, out=g)
            sigmoids *= 0.5
            sigmoids += 0.5
            np.multiply(g[:, :H], before, out=after)
            np.multiply(g[:, H : 2 * H], g[:, 3 * H :], out=scratch)
            after += scratch
            np.tanh(after, out=t)
            h = np.multiply(g[:, 2 * H : 3 * H], t, out=out)
    y[-1] = memories[-1]
    return y, (gates, memories, tanhs)


def backward(g: Array, y: Array, saved: tuple[Array, Array, Array], h: Array, W: Array) -> tuple[Array, ...]:
    """The gradients of `forward` for a, h, c and W, given `g` (T + 1, N, H) for its result `y`."""
    gates, memories, tanhs = saved
    T, N, H = tanhs.shape
    da = np.empty_like(gates)
    dh, dc = np.zeros((N, H), g.dtype), g[T].copy()
    slope, turned = np.empty((N, 4 * H), g.dtype), np.ascontiguousarray(W.T)
    with blas.on_one_thread:
        for n in range(T - 1, -1, -1):
            d, s, t = da[n], gates[n], tanhs[n]
            dh += g[n]
            np.multiply(s, s, out=slope)
            np.subtract(s[:, : 3 * H], slope[:, : 3 * H], out=slope[:, : 3 * H])  # of sigmoid
            np.subtract(1, slope[:, 3 * H :], out=slope[:, 3 * H :])  # of tanh
            np.multiply(dh, t, out=d[:, 2 * H : 3 * H])
            dh *= s[:, 2 * H : 3 * H]
            dc += dh
            np.multiply(t, t, out=d[:, :H])
            dh *= d[:, :H]
            dc -= dh  # by way of the tanh of the memory: dh o (1 - t²)
            np.multiply(dc, memories[n], out=d[:, :H])
            np.multiply(dc, s[:, 3 * H :], out=d[:, H : 2 * H])
            np.multiply(dc, s[:, H : 2 * H], out=d[:, 3 * H :])
            d *= slope
            dc *= s[:, :H]
            np.matmul(d, turned, out=dh)
    before = np.concatenate([h[None], y[: T - 1]])
    dW = matmul(before.reshape(T * N, H).T, da.reshape(T * N, 4 * H))
    return da, dh, dc, dW
