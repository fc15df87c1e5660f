"""All time steps of an LSTM on a device: a product and a launch for each, and one product for the weights."""

from typing import Any

from minitorch.cuda.array_module import xp_of
from minitorch.cuda.gemm import gemm
from minitorch.cuda.kernels import contiguous, lstm_cell, lstm_cell_gradient

Array = Any  # a CuPy array, float32


def forward(a: Array, h: Array, c: Array, W: Array) -> tuple[Array, Any]:
    """The states (T + 1, N, H), h of each step and last the final c; and what `backward` needs.

    Args:
        a: (T, N, 4H), x @ Wx + b of each step, T at least 1; the gates stand side by side as in `lstm_cell`.
        h: (N, H), the state before.
        c: (N, H), the memory before.
        W: (H, 4H).
    """
    xp, a, steps = xp_of(a), contiguous(a), len(a)
    gates, states = xp.empty_like(a), xp.empty((steps, 2, *c.shape), a.dtype)
    tanh_c = xp.empty((steps, *c.shape), a.dtype)
    before = contiguous(c)
    for t in range(steps):
        gemm(h, W, out=gates[t])
        lstm_cell(a[t], gates[t], before, out=(states[t], tanh_c[t]))
        h, before = states[t, 0], states[t, 1]
    y = xp.empty((steps + 1, *c.shape), a.dtype)
    y[:steps] = states[:, 0]
    y[steps] = before
    return y, (gates, states, tanh_c)


def backward(g: Array, saved: Any, h: Array, c: Array, W: Array, wanted: tuple[bool, ...]) -> tuple[Array | None, ...]:
    """The gradients of a, h, c and W; of h and W None unless they are wanted."""
    gates, states, tanh_c = saved
    xp, g, c, steps = xp_of(g), contiguous(g), contiguous(c), len(gates)
    da = xp.empty_like(gates)
    both = xp.empty_like(states[0])  # the gradients of h and c of a step
    both[0] = g[steps - 1]
    both[1] = g[steps]
    for t in range(steps - 1, -1, -1):
        lstm_cell_gradient(both, gates[t], tanh_c[t], states[t - 1, 1] if t else c, out=(da[t], both[1]))
        if t:
            both[0] = g[t - 1]
            gemm(da[t], W, out=both[0], beta=1.0, transpose_b=True)
    dh = gemm(da[0], W, transpose_b=True) if wanted[1] else None
    dW = None
    if wanted[3]:
        before = xp.empty((steps, *c.shape), g.dtype)
        before[0] = h
        before[1:] = states[:-1, 0]
        rows = steps * len(c)
        dW = gemm(before.reshape((rows, c.shape[1])), da.reshape((rows, W.shape[1])), transpose_a=True)
    return da, dh, both[1].copy(), dW
