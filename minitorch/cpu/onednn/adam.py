"""Adam's step by oneDNN: root, quotient, product and sum in one pass, where NumPy takes four."""

from typing import Any

import numpy as np

from minitorch.config import Config
from minitorch.cpu.onednn import library
from minitorch.cpu.onednn import primitive as onednn

Array = np.ndarray[Any, Any]

LEAST = 1 << 16  # elements of a Parameter from which on it is the faster one
MULTIPLY = 0x1FFF1  # dnnl_binary_mul
SQUARE_ROOT, LINEAR, POWER = 37, 38, 48  # dnnl_eltwise_...


def takes(p: Array) -> bool:
    """Whether oneDNN makes the step of this Parameter, which may lie in memory as it likes."""
    return p.size >= LEAST and p.dtype == np.float32 and Config.use_onednn and library.find().library is not None


def step(p: Array, m: Array, v: Array, scale: Array, rate: Array, eps: float) -> None:
    """`p += rate * m / (sqrt(scale * v) + eps)` for arrays in C order; `scale` and `rate` have one element."""
    _step(p.size, eps).run({
        onednn.SRC: v, onednn.SRC_1: scale, onednn.after(3): m, onednn.after(4): rate, onednn.DST: p
    })  # fmt: skip


def _step(size: int, eps: float) -> onednn.Primitive:
    many, one = onednn.plain((size,)), onednn.plain((1,))
    steps = (
        ("eltwise", SQUARE_ROOT, 0.0, 0.0),
        ("eltwise", LINEAR, 1.0, float(eps)),
        ("eltwise", POWER, 1.0, -1.0),
        ("binary", MULTIPLY, many),
        ("binary", MULTIPLY, one),
        ("sum", 1.0, 0, 0),  # the last two: no zero point, and of the type of the result
    )
    made = onednn.primitive("binary", MULTIPLY, many, one, many, steps=steps)
    assert made is not None  # there is one for all sizes
    return made
