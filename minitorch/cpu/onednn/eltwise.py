"""Activations by oneDNN, forward and backward, block by block and by all threads."""

from typing import Any

import numpy as np

from minitorch.cpu.onednn import library
from minitorch.cpu.onednn.primitive import DIFF_DST, DIFF_SRC, DST, FORWARD_TRAINING, SRC, Primitive, plain, primitive
from minitorch.cpu.threads import parallel

Array = np.ndarray[Any, Any]

KINDS = {"gelu_tanh": 43, "gelu_erf": 49}  # dnnl_eltwise_...
LEAST = {"gelu_tanh": 1 << 17, "gelu_erf": 1 << 12}  # elements from which on forward and backward together are faster
BLOCK = 1 << 17  # elements in one task: fewer are done before another thread wakes up


def takes(kind: str, a: Any) -> bool:
    """Whether oneDNN computes the activation `kind` of this array."""
    return bool(a.size >= LEAST[kind] and library.takes(a))


def forward(kind: str, a: Array) -> Array:
    """The activation `kind` of `a`."""
    return _by_blocks(kind, {SRC: a}, DST)


def backward(kind: str, g: Array, a: Array) -> Array:
    """`g` times the slope of the activation `kind` at `a`."""
    g = np.ascontiguousarray(g, np.float32)
    return _by_blocks(kind, {SRC: a, DIFF_DST: g}, DIFF_SRC)


def apply(kind: str, z: Array, y: Array) -> None:
    """Write the activation `kind` of z to y, which may be z, on this thread; see `cpu.activation.Activation`."""
    if z.flags.c_contiguous and y.flags.c_contiguous:
        _primitive(kind, DST, z.size).run({SRC: z, DST: y})
    else:
        y[...] = forward(kind, z.copy())


def slope(kind: str, g: Array, z: Array, dz: Array) -> None:
    """Write `g` times the slope of the activation `kind` at z to dz, on this thread."""
    if g.flags.c_contiguous and z.flags.c_contiguous and dz.flags.c_contiguous:
        _primitive(kind, DIFF_SRC, z.size).run({SRC: z, DIFF_DST: g, DIFF_SRC: dz})
    else:
        dz[...] = backward(kind, g, z.copy())


def _by_blocks(kind: str, arrays: dict[int, Array], out: int) -> Array:
    """Run the primitive for `kind` on each block of the arrays; returns what it writes as `out`."""
    result = np.empty_like(arrays[SRC])
    flat = {what: a.reshape(-1) for what, a in {**arrays, out: result}.items()}

    def task(i: int) -> None:
        blocks = {what: a[i * BLOCK : (i + 1) * BLOCK] for what, a in flat.items()}
        _primitive(kind, out, blocks[SRC].size).run(blocks)

    parallel(task, -(-result.size // BLOCK))
    return result


def _primitive(kind: str, out: int, size: int) -> Primitive:
    layout = plain((size,))
    made = primitive("eltwise_forward", FORWARD_TRAINING, KINDS[kind], layout, layout, 0.0, 0.0)
    if made is not None and out == DIFF_SRC:
        made = primitive("eltwise_backward", KINDS[kind], layout, layout, layout, 0.0, 0.0, forward=made)
    assert made is not None  # there is one for all sizes
    return made
