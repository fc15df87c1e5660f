"""One step of an LSTM and of a GRU, product with the recurrent weights included, with hand-written backwards.

The gates stand side by side in one matrix, so that a step is one product for all of them, and what is elementwise is
done on all sigmoid gates at once.
"""

from typing import Any

from minitorch.autograd.fused import Fused
from minitorch.autograd.node import Array
from minitorch.autograd.primitive import sum_to_shape
from minitorch.cuda import gemm, kernels, xp_of
from minitorch.ops.elementwise import sigmoid, tanh
from minitorch.ops.linalg import bias_gradient, matmul
from minitorch.ops.shape import concat


def lstm_cell_reference(a: Any, h: Any, c: Any, W: Any) -> Any:
    """The next state (2, N, H), h and below it c, given `a = x @ Wx + b` (N, 4H), h and c (N, H), and W (H, 4H).

    f, i, o, u = a + h @ W, in this order, sigmoid of the first three and tanh of u;  c = f c + i u;  h = o tanh(c).
    """
    H = W.shape[0]
    gates = a + matmul(h, W)
    s, u = sigmoid(gates[:, : 3 * H]), tanh(gates[:, 3 * H :])
    c = s[:, :H] * c + s[:, H : 2 * H] * u
    h = s[:, 2 * H :] * tanh(c)
    return concat(h.reshape((1, *h.shape)), c.reshape((1, *c.shape)))


def _gates(gates: Array) -> tuple[Array, Array, Array, Array]:
    H = gates.shape[1] // 4
    return gates[:, :H], gates[:, H : 2 * H], gates[:, 2 * H : 3 * H], gates[:, 3 * H :]


def _lstm_forward(a: Array, h: Array, c: Array, W: Array) -> tuple[Array, Any]:
    gates = matmul(h, W)
    if kernels.takes(a, h, c, W):
        y, t = kernels.lstm_cell(kernels.contiguous(a), gates, kernels.contiguous(c))
        return y, (gates, t)
    xp = xp_of(a)
    H = W.shape[0]
    gates += a
    gates[:, : 3 * H] = sigmoid(gates[:, : 3 * H])
    gates[:, 3 * H :] = xp.tanh(gates[:, 3 * H :])
    f, i, o, u = _gates(gates)
    y = xp.empty((2, *c.shape), gates.dtype)
    y[1] = f * c
    y[1] += i * u
    t = xp.tanh(y[1])
    y[0] = o * t
    return y, (gates, t)


def _lstm_backward(
    g: Array, y: Array, saved: Any, wanted: tuple[bool, ...], a: Array, h: Array, c: Array, W: Array
) -> tuple[Array | None, ...]:
    gates, t = saved
    if kernels.takes(a, h, c, W):
        d, dc = kernels.lstm_cell_gradient(kernels.contiguous(g), gates, t, kernels.contiguous(c))
        dh = matmul(d, W.T) if wanted[1] else None
        return d, dh, dc, matmul(h.T, d) if wanted[3] else None
    f, i, o, u = _gates(gates)
    dc = g[0] * o
    dc *= 1 - t * t
    dc += g[1]
    d = xp_of(a).empty_like(gates)
    df, di, do, du = _gates(d)
    df[...] = dc * c
    di[...] = dc * u
    do[...] = g[0] * t
    du[...] = dc * i
    du *= 1 - u * u
    sigmoids = gates[:, : 3 * W.shape[0]]
    d[:, : 3 * W.shape[0]] *= sigmoids * (1 - sigmoids)
    dh = matmul(d, W.T) if wanted[1] else None
    dW = matmul(h.T, d) if wanted[3] else None
    return d, dh, dc * f if wanted[2] else None, dW


lstm_cell = Fused(
    reference=lstm_cell_reference,
    forward=_lstm_forward,
    backward=_lstm_backward,
    argnums=(0, 1, 2, 3),
    name="lstm_cell",
)


def gru_cell_reference(a: Any, h: Any, W: Any, b: Any) -> Any:
    """The next state (N, H), given `a = x @ Wx + bx` (N, 3H), h (N, H), W (H, 3H) and b (3H,).

    r, z, n = a and r', z', n' = h @ W + b, in this order;  r = sigmoid(r + r'), z = sigmoid(z + z'),
    n = tanh(n + r n');  h = (1 - z) n + z h.
    """
    H = W.shape[0]
    from_h = matmul(h, W) + b
    s = sigmoid(a[:, : 2 * H] + from_h[:, : 2 * H])
    n = tanh(a[:, 2 * H :] + s[:, :H] * from_h[:, 2 * H :])
    return n + s[:, H:] * (h - n)


def _gru_forward(a: Array, h: Array, W: Array, b: Array) -> tuple[Array, Any]:
    H = W.shape[0]
    from_h = matmul(h, W)
    if kernels.takes(a, h, W, b):
        y, gates = kernels.gru_cell(*map(kernels.contiguous, (a, from_h, b, h)))
        return y, (gates, from_h)
    from_h += b
    s = sigmoid(a[:, : 2 * H] + from_h[:, : 2 * H])
    inner = from_h[:, 2 * H :]
    n = s[:, :H] * inner
    n += a[:, 2 * H :]
    xp_of(a).tanh(n, out=n)
    y = h - n
    y *= s[:, H:]
    y += n
    return y, (s, n, inner)


def _gru_backward(
    g: Array, y: Array, saved: Any, wanted: tuple[bool, ...], a: Array, h: Array, W: Array, b: Array
) -> tuple[Array | None, ...]:
    if kernels.takes(a, h, W, b):
        gates, from_h = saved
        return _gru_backward_on_device(kernels.contiguous(g), gates, from_h, wanted, kernels.contiguous(h), W)
    s, n, inner = saved
    H = W.shape[0]
    r, z = s[:, :H], s[:, H:]
    da = xp_of(a).empty_like(a)
    dn = da[:, 2 * H :]
    dn[...] = g * (1 - z)
    dn *= 1 - n * n
    da[:, :H] = dn * inner
    da[:, H : 2 * H] = g * (h - n)
    da[:, : 2 * H] *= s * (1 - s)
    d = da.copy()
    d[:, 2 * H :] *= r
    dh = None
    if wanted[1]:
        dh = matmul(d, W.T)
        dh += g * z
    dW = matmul(h.T, d) if wanted[2] else None
    return da, dh, dW, sum_to_shape(d, b.shape) if wanted[3] else None


def _gru_backward_on_device(
    g: Array, gates: Array, from_h: Array, wanted: tuple[bool, ...], h: Array, W: Array
) -> tuple[Array | None, ...]:
    da, d, dh = kernels.gru_cell_gradient(g, gates, from_h, h)
    if wanted[1]:
        gemm(d, W, out=dh, beta=1.0, transpose_b=True)
    dW = gemm(h, d, transpose_a=True) if wanted[2] else None
    return da, dh, dW, bias_gradient(d) if wanted[3] else None


gru_cell = Fused(
    reference=gru_cell_reference, forward=_gru_forward, backward=_gru_backward, argnums=(0, 1, 2, 3), name="gru_cell"
)
