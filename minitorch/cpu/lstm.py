"""An LSTM over all time steps of a sequence on the host, in memory made once for all steps.

The sequences of a batch do not know of each other: they are shared out to the threads, each of which takes all steps.
"""

from typing import Any

import numpy as np

from minitorch.cpu.matmul import matmul
from minitorch.cpu.threads import parallel

Array = Any  # a NumPy array
Saved = tuple[Array, Array, Array]

SEQUENCES = 32  # in one task at least: with fewer, NumPy's calls are so short that threads wait for the interpreter


def halved(a: Array) -> Array:
    """Weights or a bias, (..., 4H), with those of the sigmoids divided by 2: sigmoid(x) = tanh(x / 2) / 2 + 1/2."""
    a = a.copy()
    a[..., : a.shape[-1] // 4 * 3] *= 0.5
    return a


def forward(a: Array, h: Array, c: Array, W: Array) -> tuple[Array, Saved]:
    """`a` (T, N, 4H), h and c (N, H), W (H, 4H) to the states (T + 1, N, H): h of each step, and last the final c.

    `W`, and the weights and the bias that `a` was made with, are `halved`, which is exact. Also returns what the
    backward needs: gates (T, N, 4H), the memories before each step and after the last, (T + 1, N, H), and their tanh
    (T, N, H).
    """
    N, H = c.shape
    y = np.empty((len(a) + 1, N, H), a.dtype)
    saved = gates, memories, tanhs = np.empty_like(a), np.empty_like(y), np.empty_like(y[1:])
    memories[0] = c

    def task(i: int) -> None:
        at = _rows(N, i)
        arrays = [array[:, at] for array in (a, gates, memories, memories[1:], tanhs, y)]
        _run(h[at], W, *arrays)

    parallel(task, _tasks(N))
    y[-1] = memories[-1]
    return y, saved


def _run(h: Array, W: Array, a: Array, gates: Array, memories: Array, later: Array, tanhs: Array, y: Array) -> None:
    H = len(W)
    scratch = np.empty_like(tanhs[0])
    for s, g, before, after, t, out in zip(a, gates, memories, later, tanhs, y, strict=False):
        np.matmul(h, W, out=g)
        g += s
        np.tanh(g, out=g)
        sigmoids = g[:, : 3 * H]
        sigmoids *= 0.5
        sigmoids += 0.5
        np.multiply(g[:, :H], before, out=after)
        np.multiply(g[:, H : 2 * H], g[:, 3 * H :], out=scratch)
        after += scratch
        np.tanh(after, out=t)
        h = np.multiply(g[:, 2 * H : 3 * H], t, out=out)


def backward(g: Array, y: Array, saved: Saved, h: Array, W: Array) -> tuple[Array, ...]:
    """The gradients of `forward` for a, h, c and W, given `g` (T + 1, N, H) for its result `y`."""
    gates, memories, tanhs = saved
    T, N, H = tanhs.shape
    da = np.empty_like(gates)
    dh, dc = np.zeros((N, H), g.dtype), g[T].copy()
    turned = np.ascontiguousarray(W.T)

    def task(i: int) -> None:
        at = _rows(N, i)
        _run_back(dh[at], dc[at], turned, *[array[:, at] for array in (g, gates, memories, tanhs, da)])

    parallel(task, _tasks(N))
    dW = matmul(y[: T - 1].reshape(-1, H).T, da[1:].reshape(-1, 4 * H))
    dW += matmul(h.T, da[0])
    return da, dh, dc, dW


def _run_back(
    dh: Array, dc: Array, turned: Array, g: Array, gates: Array, memories: Array, tanhs: Array, da: Array
) -> None:
    """Write `da`, and make dh and dc, of the last step, those of the first."""
    H = dh.shape[1]
    slope = np.empty_like(da[0])
    for n in range(len(da) - 1, -1, -1):
        d, s, t = da[n], gates[n], tanhs[n]
        dh += g[n]
        np.multiply(s, s, out=slope)
        np.subtract(s[:, : 3 * H], slope[:, : 3 * H], out=slope[:, : 3 * H])  # of sigmoid
        np.subtract(1, slope[:, 3 * H :], out=slope[:, 3 * H :])  # of tanh
        np.multiply(dh, t, out=d[:, 2 * H : 3 * H])
        dh *= s[:, 2 * H : 3 * H]
        np.multiply(t, t, out=d[:, :H])
        np.subtract(1, d[:, :H], out=d[:, :H])
        dh *= d[:, :H]
        dc += dh  # by way of the tanh of the memory
        np.multiply(dc, memories[n], out=d[:, :H])
        np.multiply(dc, s[:, 3 * H :], out=d[:, H : 2 * H])
        np.multiply(dc, s[:, H : 2 * H], out=d[:, 3 * H :])
        d *= slope
        dc *= s[:, :H]
        np.matmul(d, turned, out=dh)


def _tasks(N: int) -> int:
    return max(1, N // SEQUENCES)


def _rows(N: int, i: int) -> slice:
    count = _tasks(N)
    return slice(N * i // count, N * (i + 1) // count)
