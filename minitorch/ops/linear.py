"""A fully connected layer as one operation, with its activation: bias and activation are computed with the product."""

from typing import Any

from minitorch.autograd.fused import Fused
from minitorch.autograd.node import Array
from minitorch.autograd.primitive import fit
from minitorch.config import Config
from minitorch.cpu import activation as of_host
from minitorch.cpu import linear as on_host
from minitorch.cpu.onednn import eltwise
from minitorch.cuda import kernels
from minitorch.errors import ShapeError
from minitorch.ops import activation, elementwise
from minitorch.ops.linalg import add_bias, as_rows, matmul, product

ACTIVATIONS: dict[str, Any] = {
    "relu": elementwise.relu,
    "sigmoid": elementwise.sigmoid,
    "tanh": elementwise.tanh,
    "gelu": activation.gelu,
}
ON_HOST = {
    None: None,
    "relu": of_host.RELU,
    "sigmoid": of_host.SIGMOID,
    "tanh": of_host.TANH,
    "gelu": activation.GELU,
}


def linear_reference(x: Any, W: Any, b: Any, *, act: str | None = None) -> Any:
    """`act(x @ W + b)` over the last axis of x (..., I), with W (I, O), and b (O,) or None."""
    y = matmul(as_rows(x), W).reshape((*x.shape[:-1], W.shape[1]))
    if b is not None:
        y = y + b
    return y if act is None else ACTIVATIONS[act](y)


def check_fit(x: Array, W: Array, b: Array | None) -> None:
    """Raise ShapeError unless `linear` can be applied to these arrays."""
    if x.ndim < 1 or W.ndim != 2 or x.shape[-1] != W.shape[0]:
        raise ShapeError(
            f"linear: x {x.shape} does not fit W {W.shape}; the last axis of x must equal the first of W, (in_size, "
            "out_size): flatten x, or make the layer for this in_size"
        )
    if b is not None and b.shape != (W.shape[1],):
        raise ShapeError(f"linear: b {b.shape} does not fit W {W.shape}; b must have shape ({W.shape[1]},)")


def _forward(x: Array, W: Array, b: Array | None, *, act: str | None = None) -> tuple[Array, Any]:
    check_fit(x, W, b)
    rows = as_rows(x)  # one product of matrices, where a stack of them would be many small ones
    if on_host.takes(x, W, b):
        by = activation.GELU_BY_ONEDNN if act == "gelu" and W.size and eltwise.takes("gelu_erf", x) else ON_HOST[act]
        y, kept = on_host.forward(rows, W, b, by, keep=Config.enable_backprop)
        return y.reshape((*x.shape[:-1], W.shape[1])), (by, kept)
    if act is not None and kernels.takes(x, W, b):
        kept = product(rows, W)
        bias = None if b is None else kernels.contiguous(b)
        y = kernels.bias_activation(kept, bias, act, out=None if act == "gelu" else kept)
    else:
        y = kept = product(rows, W)
        if b is not None:
            add_bias(y, b)
        if act is not None:
            y, kept = _activated(y, act)
    return y.reshape((*x.shape[:-1], W.shape[1])), kept


def _activated(z: Array, act: str) -> tuple[Array, Any]:
    """The activation of z, and what `_slope` needs."""
    if act == "gelu":
        y, saved = activation.gelu.forward(z)
        return y, (z, saved)
    y = ACTIVATIONS[act](z)
    return y, y


def _slope(g: Array, kept: Any, act: str) -> Array:
    """The gradient of what was activated."""
    if act == "gelu":
        z, saved = kept
        return activation.gelu.backward(g, None, saved, (True,), z)[0]
    return ACTIVATIONS[act].op.vjps[0](g, kept, None)


def _backward(
    g: Array, y: Array, kept: Any, wanted: tuple[bool, ...], x: Array, W: Array, b: Array | None, *,
    act: str | None = None,
) -> tuple[Array | None, ...]:  # fmt: skip
    rows, dz, db = as_rows(x), as_rows(g), None
    if on_host.takes(x, W, b):
        by, kept = kept
        dx, dW, db = on_host.backward(dz, kept, rows, W, by, wanted)
        return None if dx is None else dx.reshape(x.shape), dW, db
    if kernels.takes(x, W, b):
        bias = None if b is None else kernels.contiguous(b)
        if act is not None or wanted[2]:
            dz, db = kernels.bias_activation_backward(kernels.contiguous(dz), kept, bias, act or "none", bias=wanted[2])
    elif act is not None:
        dz = _slope(dz, kept, act)
    if wanted[2] and db is None:
        db = fit(dz, b)
    dx = fit(matmul(dz, W.T).reshape(x.shape), x) if wanted[0] else None
    return dx, fit(matmul(rows.T, dz), W) if wanted[1] else None, db


linear = Fused(reference=linear_reference, forward=_forward, backward=_backward, argnums=(0, 1, 2), name="linear")
