"""What is elementwise in one step of an LSTM, in one pass, and back; the products are left to `cuda.gemm`."""

from typing import Any

import numpy as np

from minitorch.cuda.array_module import xp_of
from minitorch.cuda.kernels.kernel import blocks_for, kernel

Array = Any


@kernel("lstm")
def lstm_cell_forward(a: Array, gates: Array, before: Array, y: Array, tanh_c: Array, batch: int, hidden: int) -> None:
    """`gates += a`, then sigmoid of f, i, o and tanh of u; y: h = o tanh(c), and c = f before + i u."""
    z = (gates + a).reshape(batch, 4, hidden)
    z[:, :3] = 0.5 * np.tanh(0.5 * z[:, :3]) + 0.5
    z[:, 3] = np.tanh(z[:, 3])
    gates[...] = z.reshape(gates.shape)
    y[1] = z[:, 0] * before + z[:, 1] * z[:, 3]
    tanh_c[...] = np.tanh(y[1])
    y[0] = z[:, 2] * tanh_c


@kernel("lstm")
def lstm_cell_backward(
    g: Array, gates: Array, tanh_c: Array, before: Array, d: Array, dbefore: Array, batch: int, hidden: int
) -> None:
    """The gradients d of the gates before their activations, and of the cell state before."""
    f, i, o, u = gates.reshape(batch, 4, hidden).transpose(1, 0, 2)
    dc = g[0] * o * (1 - tanh_c * tanh_c) + g[1]
    of_gates = (dc * before * f * (1 - f), dc * u * i * (1 - i), g[0] * tanh_c * o * (1 - o), dc * i * (1 - u * u))
    d[...] = np.stack(of_gates, axis=1).reshape(d.shape)
    dbefore[...] = dc * f


def lstm_cell(a: Array, gates: Array, c: Array, out: tuple[Array, Array] | None = None) -> tuple[Array, Array]:
    """The next state (2, N, H), h and below it c, and tanh(c); `gates` becomes the activated gates.

    Args:
        a: (N, 4H), x @ Wx + b.
        gates: (N, 4H), h @ W, written over.
        c: (N, H), the cell state before.
        out: where to write the results.
    """
    xp, (batch, hidden) = xp_of(a), c.shape
    y, tanh_c = (xp.empty((2, batch, hidden), np.float32), xp.empty_like(c)) if out is None else out
    lstm_cell_forward(blocks_for(c.size), a, gates, c, y, tanh_c, np.int32(batch), np.int32(hidden))
    return y, tanh_c


def lstm_cell_gradient(
    g: Array, gates: Array, tanh_c: Array, c: Array, out: tuple[Array, Array] | None = None
) -> tuple[Array, Array]:
    """The gradients of `a` (and of h @ W) (N, 4H) and of c (N, H), given g (2, N, H) and what `lstm_cell` left.

    They are written to `out`, if it is given; the second may be g[1].
    """
    xp, (batch, hidden) = xp_of(g), c.shape
    d, dc = (xp.empty_like(gates), xp.empty_like(c)) if out is None else out
    lstm_cell_backward(blocks_for(c.size), g, gates, tanh_c, c, d, dc, np.int32(batch), np.int32(hidden))
    return d, dc
