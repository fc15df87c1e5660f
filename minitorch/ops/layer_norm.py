"""Layer normalisation over the last axis, with a hand-written backward."""

from typing import Any

from minitorch.autograd.fused import Fused
from minitorch.autograd.node import Array
from minitorch.autograd.primitive import fit
from minitorch.cpu import layer_norm as on_host
from minitorch.cpu.onednn import layer_norm as by_onednn
from minitorch.cuda import kernels, xp_of


def layer_norm_reference(x: Any, gamma: Any, beta: Any, *, eps: float) -> Any:
    """`(x - mean) / sqrt(variance + eps) * gamma + beta` over the last axis; gamma and beta may both be None."""
    d = x - x.mean(axis=-1, keepdims=True)
    y = d * ((d * d).mean(axis=-1, keepdims=True) + eps) ** -0.5
    return y if gamma is None else y * gamma + beta


def _forward(x: Array, gamma: Array | None, beta: Array | None, *, eps: float) -> tuple[Array, Any]:
    if kernels.takes(x, gamma, beta):
        y, *moments = kernels.layer_norm(kernels.contiguous(x), gamma, beta, eps=eps)
        return y, moments
    if by_onednn.takes(x, gamma, beta):
        return by_onednn.forward(x, gamma, beta, eps)
    if on_host.takes(x, gamma, beta):
        return on_host.forward(x, gamma, beta, eps)
    xp = xp_of(x)
    z = x - x.mean(axis=-1, keepdims=True)
    inverse = (z * z).mean(axis=-1, keepdims=True)
    inverse += eps
    inverse = 1 / xp.sqrt(inverse)
    z *= inverse
    return (z if gamma is None else z * gamma + beta), (z, inverse)


def _backward(
    g: Array, y: Array, saved: Any, wanted: tuple[bool, ...], x: Array, gamma: Array | None, beta: Array | None, *,
    eps: float,
) -> tuple[Array | None, ...]:  # fmt: skip
    if kernels.takes(x, gamma, beta):
        return _backward_on_device(kernels.contiguous(g), wanted, kernels.contiguous(x), gamma, *saved)
    if by_onednn.takes(x, gamma, beta):
        return by_onednn.backward(g, saved, x, gamma, eps)
    if on_host.takes(x, gamma, beta):
        return on_host.backward(g, saved, x, gamma, eps)
    z, inverse = saved
    dx = dgamma = None
    if wanted[1]:
        dgamma = fit(g * z, gamma)
    if wanted[0]:
        dx = g.copy() if gamma is None else g * gamma
        along = (dx * z).mean(axis=-1, keepdims=True)
        dx -= dx.mean(axis=-1, keepdims=True)
        dx -= z * along
        dx *= inverse
        dx = fit(dx, x)
    return dx, dgamma, fit(g.copy(), beta) if wanted[2] else None


def _backward_on_device(
    g: Array, wanted: tuple[bool, ...], x: Array, gamma: Array | None, mean: Array, inverse: Array
) -> tuple[Array | None, ...]:
    dx = kernels.layer_norm_gradient(g, x, gamma, mean, inverse) if wanted[0] else None
    if not any(wanted[1:]):
        return dx, None, None
    return dx, *kernels.layer_norm_parameter_gradients(g, x, mean, inverse)


layer_norm = Fused(
    reference=layer_norm_reference, forward=_forward, backward=_backward, argnums=(0, 1, 2), name="layer_norm"
)
