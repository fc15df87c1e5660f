"""Activations by oneDNN, forward and backward, block by block and by all threads."""

from functools import partial
from typing import Any

import numpy as np

from minitorch.cpu.activation import by_blocks
from minitorch.cpu.onednn import library
from minitorch.cpu.onednn.primitive import DIFF_DST, DIFF_SRC, DST, FORWARD_TRAINING, SRC, Primitive, plain, primitive

Array = np.ndarray[Any, Any]

KINDS = {"gelu_tanh": 43, "gelu_erf": 49}  # dnnl_eltwise_...
LEAST = {"gelu_tanh": 1 << 17, "gelu_erf": 1 << 12}  # elements from which on forward and backward together are faster
LARGE = 1e38  # oneDNN computes twice its argument on the way, which above this may overflow


def takes(kind: str, a: Any) -> bool:
    """Whether oneDNN computes the activation `kind` of this array."""
    return bool(a.size >= LEAST[kind] and library.takes(a))


def forward(kind: str, a: Array) -> Array:
    """The activation `kind` of `a`."""
    return by_blocks(partial(apply, kind), a)  # type: ignore[no-any-return]


def backward(kind: str, g: Array, a: Array) -> Array:
    """`g` times the slope of the activation `kind` at `a`."""
    return by_blocks(partial(slope, kind), np.ascontiguousarray(g, np.float32), a)  # type: ignore[no-any-return]


def apply(kind: str, z: Array, y: Array) -> None:
    """Write the activation `kind` of z to y, which may be z, on this thread; see `cpu.activation.Activation`."""
    if not (z.flags.c_contiguous and y.flags.c_contiguous):
        y[...] = forward(kind, z.copy())
        return
    large = z > LARGE if np.fmax.reduce(z, axis=None) > LARGE else None
    same = None if large is None else z[large]
    _primitive(kind, DST, z.size).run({SRC: z, DST: y})
    if large is not None:
        y[large] = same


def slope(kind: str, g: Array, z: Array, dz: Array) -> None:
    """Write `g` times the slope of the activation `kind` at z to dz, on this thread."""
    if g.flags.c_contiguous and z.flags.c_contiguous and dz.flags.c_contiguous:
        _primitive(kind, DIFF_SRC, z.size).run({SRC: z, DIFF_DST: g, DIFF_SRC: dz})
    else:
        dz[...] = backward(kind, g, z.copy())


def _primitive(kind: str, out: int, size: int) -> Primitive:
    layout = plain((size,))
    made = primitive("eltwise_forward", FORWARD_TRAINING, KINDS[kind], layout, layout, 0.0, 0.0)
    if made is not None and out == DIFF_SRC:
        made = primitive("eltwise_backward", KINDS[kind], layout, layout, layout, 0.0, 0.0, forward=made)
    assert made is not None  # there is one for all sizes
    return made
