"""What is elementwise in one step of a GRU, in one pass, and back; the products are left to `cuda.gemm`."""

from typing import Any

import numpy as np

from minitorch.cuda.array_module import xp_of
from minitorch.cuda.kernels.kernel import blocks_for, kernel

Array = Any


@kernel("gru")
def gru_cell_forward(
    a: Array, from_h: Array, b: Array, h: Array, gates: Array, y: Array, batch: int, hidden: int
) -> None:
    """Activated r, z, n to `gates`; `from_h` of n has b added; `y = (1 - z) n + z h`."""
    x, f = (i.reshape(batch, 3, hidden) for i in (a, from_h))
    inner = f[:, 2] + b[2 * hidden :]
    s = 0.5 * np.tanh(0.5 * (x[:, :2] + f[:, :2] + b[: 2 * hidden].reshape(2, hidden))) + 0.5
    n = np.tanh(x[:, 2] + s[:, 0] * inner)
    gates[...] = np.stack((s[:, 0], s[:, 1], n), axis=1).reshape(gates.shape)
    f[:, 2] = inner
    y[...] = n + s[:, 1] * (h - n)


@kernel("gru")
def gru_cell_backward(
    g: Array, gates: Array, from_h: Array, h: Array, da: Array, d: Array, dh: Array, batch: int, hidden: int
) -> None:
    """The gradients da of a, d of h @ W + b, and g z, what of g goes to h beside the product."""
    r, z, n = gates.reshape(batch, 3, hidden).transpose(1, 0, 2)
    dn = g * (1 - z) * (1 - n * n)
    dr, dz = dn * from_h.reshape(batch, 3, hidden)[:, 2] * r * (1 - r), g * (h - n) * z * (1 - z)
    da[...] = np.stack((dr, dz, dn), axis=1).reshape(da.shape)
    d[...] = np.stack((dr, dz, dn * r), axis=1).reshape(d.shape)
    dh[...] = g * z


def gru_cell(a: Array, from_h: Array, b: Array, h: Array) -> tuple[Array, Array]:
    """The next state (N, H), and the activated gates r, z, n; `from_h` is written over and kept for the gradient.

    Args:
        a: (N, 3H), x @ Wx + bx.
        from_h: (N, 3H), h @ W.
        b: (3H,), what is to be added to it.
        h: (N, H), the state before.
    """
    xp, (batch, hidden) = xp_of(a), h.shape
    y, gates = xp.empty_like(h), xp.empty_like(a)
    gru_cell_forward(blocks_for(h.size), a, from_h, b, h, gates, y, np.int32(batch), np.int32(hidden))
    return y, gates


def gru_cell_gradient(g: Array, gates: Array, from_h: Array, h: Array) -> tuple[Array, Array, Array]:
    """The gradients of `a` and of h @ W + b, (N, 3H), and what goes to h beside the product, given g and the rest."""
    xp, (batch, hidden) = xp_of(g), h.shape
    da, d, dh = xp.empty_like(gates), xp.empty_like(gates), xp.empty_like(h)
    gru_cell_backward(blocks_for(h.size), g, gates, from_h, h, da, d, dh, np.int32(batch), np.int32(hidden))
    return da, d, dh
