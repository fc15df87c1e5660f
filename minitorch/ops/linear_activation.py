"""A fully connected layer and its activation as one operation: on a device, bias and activation are one launch."""

from typing import Any

from minitorch.autograd.fused import Fused
from minitorch.autograd.node import Array
from minitorch.cuda import kernels
from minitorch.ops import activation, elementwise
from minitorch.ops.linalg import as_rows, check_fit, linear, matmul, product

ACTIVATIONS: dict[str, Any] = {
    "relu": elementwise.relu,
    "sigmoid": elementwise.sigmoid,
    "tanh": elementwise.tanh,
    "gelu": activation.gelu,
}


def linear_activation_reference(x: Any, W: Any, b: Any, *, act: str) -> Any:
    """`act(x @ W + b)` over the last axis of x; see `linear`."""
    return ACTIVATIONS[act](linear(x, W, b))


def _forward(x: Array, W: Array, b: Array, *, act: str) -> tuple[Array, Any]:
    if not kernels.takes(x, W, b):
        z = linear(x, W, b)
        return _activate(z, act)
    check_fit(x, W, b)
    z = product(as_rows(x), W)
    y = kernels.bias_activation(z, kernels.contiguous(b), act, out=None if act == "gelu" else z)
    return y.reshape((*x.shape[:-1], W.shape[1])), z if act == "gelu" else None


def _activate(z: Array, act: str) -> tuple[Array, Any]:
    """The activation of z, and what its backward needs besides."""
    if act == "gelu":
        y, below = activation.gelu.forward(z)
        return y, (z, below)
    return ACTIVATIONS[act](z), None


def _backward(
    g: Array, y: Array, saved: Any, wanted: tuple[bool, ...], x: Array, W: Array, b: Array, *, act: str
) -> tuple[Array | None, ...]:
    if kernels.takes(x, W, b):
        rows = kernels.contiguous(as_rows(g))
        of_act = as_rows(y) if saved is None else saved
        dz, db = kernels.bias_activation_backward(rows, of_act, kernels.contiguous(b), act, bias=wanted[2])
    else:
        dz = as_rows(_slope(g, y, saved, act))
        db = dz.sum(axis=0) if wanted[2] else None
    dx = matmul(dz, W.T).reshape(x.shape) if wanted[0] else None
    return dx, matmul(as_rows(x).T, dz) if wanted[1] else None, db


def _slope(g: Array, y: Array, saved: Any, act: str) -> Array:
    """The gradient of what was activated."""
    if act == "gelu":
        z, below = saved
        return activation.gelu.backward(g, y, below, (True,), z)[0]
    return ACTIVATIONS[act].op.vjps[0](g, y, None)


linear_activation = Fused(
    reference=linear_activation_reference,
    forward=_forward,
    backward=_backward,
    argnums=(0, 1, 2),
    name="linear_activation",
)
