"""An LSTM over all time steps of a sequence by oneDNN, the product with the input's weights included.

The sequences of a batch are shared out to the threads in runs, each of which gives its part of the gradients of the
weights; how they are cut depends on the shapes alone.
"""

from collections.abc import Callable
from typing import Any

import attrs
import numpy as np

from minitorch.cpu.onednn import library
from minitorch.cpu.onednn.primitive import (
    BACKWARD,
    BIAS,
    DIFF_BIAS,
    DIFF_DST,
    DIFF_SRC,
    DIFF_WEIGHTS,
    DST,
    FORWARD_TRAINING,
    SRC,
    WEIGHTS,
    WORKSPACE,
    Layout,
    Primitive,
    chosen,
    plain,
    primitive,
    reorder,
)
from minitorch.cpu.threads import parallel

Array = np.ndarray[Any, Any]

ONWARDS = 1  # dnnl_unidirectional_left2right
DEFAULTS, OVERWRITE = 0, 1  # of dnnl_rnn_flags_t: gradients of weights are written, not added to what was there
# DNNL_ARG_SRC_ITER and so on come after those of the layer.
SRC_H, SRC_C, DST_H, DST_C, WEIGHTS_H = SRC + 1, SRC + 2, DST + 1, DST + 2, WEIGHTS + 1
DIFF_SRC_H, DIFF_SRC_C, DIFF_DST_H, DIFF_DST_C = DIFF_SRC + 1, DIFF_SRC + 2, DIFF_DST + 1, DIFF_DST + 2
DIFF_WEIGHTS_H = DIFF_WEIGHTS + 1

GATES = [1, 0, 3, 2]  # oneDNN's i, f, u, o among our f, i, o, u, and the other way round
STEPS = 4  # from which on it is faster
SEQUENCES = 16  # in one run at least, or half as many where there would be one run only
RUNS = 8  # at most: each has gradients of the weights of its own


@attrs.frozen
class Run:
    """Some sequences of a batch: what the forward read and wrote, which the backward needs."""

    at: slice
    kernel: Primitive
    arrays: dict[int, Array]


def takes(x: Array, Wx: Array, b: Array, h: Array, c: Array, W: Array) -> bool:
    """Whether oneDNN computes with these arrays, which fit each other, and x has enough steps."""
    if not library.takes(x, Wx, b, h, c, W) or x.ndim != 3 or len(x) < STEPS:
        return False
    H = len(W)
    return bool(h.shape == c.shape == (x.shape[1], H) and W.shape[1] == Wx.shape[1] == 4 * H)


def forward(x: Array, Wx: Array, b: Array, h: Array, c: Array, W: Array) -> tuple[Array, list[Run]]:
    """The states (T + 1, N, H), h of each step and last the final c, of `lstm_sequence`."""
    T, N, _ = x.shape
    y = np.empty((T + 1, *c.shape), np.float32)
    count = min(RUNS, max(1, N // SEQUENCES, min(2, 2 * N // SEQUENCES)))
    runs = []
    for i in range(count):
        at = slice(N * i // count, N * (i + 1) // count)
        runs.append(Run(at, _forward_kernel(T, at.stop - at.start, *Wx.shape), {}))
    packed = _packed({run.kernel for run in runs}, Wx, W, b)

    def task(i: int) -> None:
        at, kernel, arrays = runs[i].at, runs[i].kernel, runs[i].arrays
        arrays |= {SRC: np.ascontiguousarray(x[:, at]), SRC_H: h[at], SRC_C: c[at]}
        arrays |= {DST: np.empty((T, *c[at].shape), np.float32), DST_H: np.empty_like(c[at]), DST_C: y[T, at]}
        arrays[WORKSPACE] = np.empty(kernel.layout(WORKSPACE).size, np.uint8)
        kernel.run(arrays | packed[kernel])
        y[:T, at] = arrays[DST]

    parallel(task, count)
    return y, runs


def backward(
    g: Array, runs: list[Run], x: Array, Wx: Array, b: Array, h: Array, c: Array, W: Array
) -> tuple[Array, ...]:
    """The gradients of `forward` for each of its arguments, given `g` (T + 1, N, H) for its result."""
    T = len(x)
    dx, dh, dc = np.empty_like(x), np.empty_like(h), np.empty_like(c)
    dWx, db, dW = [np.empty((len(runs), *a.shape), np.float32) for a in (Wx, b, W)]
    kernels = [_backward_kernel(run.kernel, T, run.at.stop - run.at.start, *Wx.shape) for run in runs]
    packed = _packed(set(kernels), Wx, W, b)

    def task(i: int) -> None:
        at, arrays, kernel = runs[i].at, runs[i].arrays, kernels[i]
        g_at = np.ascontiguousarray(g[:, at], np.float32)
        found = {DIFF_SRC: np.empty_like(arrays[SRC]), DIFF_SRC_H: dh[at], DIFF_SRC_C: dc[at]}
        found |= {DIFF_WEIGHTS: dWx[i], DIFF_WEIGHTS_H: dW[i], DIFF_BIAS: db[i]}
        incoming = {DIFF_DST: g_at[:T], DIFF_DST_H: np.zeros_like(g_at[T]), DIFF_DST_C: g_at[T]}
        kernel.run(arrays | packed[kernel] | incoming | found)
        dx[:, at] = found[DIFF_SRC]

    parallel(task, len(runs))
    dWx, db, dW = [_by_gates(parts.sum(axis=0)).reshape(a.shape) for parts, a in ((dWx, Wx), (db, b), (dW, W))]
    return dx, dWx, db, dh, dc, dW


def _by_gates(a: Array) -> Array:
    """Weights (I, 4H) or a bias (4H,) with the gates in the other order: (I, 4, H) or (4, H)."""
    return a.reshape((*a.shape[:-1], 4, -1)).take(GATES, axis=-2)


def _packed(kernels: set[Primitive], Wx: Array, W: Array, b: Array) -> dict[Primitive, dict[int, Array]]:
    """For each kernel the weights as it wants them."""
    packed: dict[Primitive, dict[int, Array]] = {kernel: {BIAS: _by_gates(b)} for kernel in kernels}
    for what, weights in ((WEIGHTS, _by_gates(Wx)), (WEIGHTS_H, _by_gates(W))):
        for kernel, arrays in packed.items():
            wanted = kernel.layout(what)
            arrays[what] = np.empty(wanted.size // weights.itemsize, weights.dtype)
            reorder(plain((1, 1, *weights.shape)), wanted).run({SRC: weights, DST: arrays[what]})
    return packed


def _forward_kernel(T: int, N: int, inputs: int, columns: int) -> Primitive:
    made = primitive("lstm_forward", FORWARD_TRAINING, *_described(T, N, inputs, columns // 4, chosen), DEFAULTS)
    assert made is not None  # there is one for all sizes
    return made


def _backward_kernel(forward: Primitive, T: int, N: int, inputs: int, columns: int) -> Primitive:
    described = _described(T, N, inputs, columns // 4, chosen)
    gradients = _described(T, N, inputs, columns // 4, plain)[1:]
    made = primitive("lstm_backward", BACKWARD, *described, *gradients, OVERWRITE, forward=forward)
    assert made is not None
    return made


def _described(T: int, N: int, inputs: int, H: int, weights: Callable[[tuple[int, ...]], Layout]) -> tuple[Any, ...]:
    """The direction and the layouts of all arrays, in the order of the C function; no peepholes, no projection."""
    x, y, state = plain((T, N, inputs)), plain((T, N, H)), plain((1, 1, N, H))
    of_x, of_h, b = weights((1, 1, inputs, 4, H)), weights((1, 1, H, 4, H)), plain((1, 1, 4, H))
    return ONWARDS, x, state, state, of_x, of_h, None, None, b, y, state, state
