"""Activations beyond sigmoid, tanh and relu: leaky relu, elu, softplus, silu, gelu and its error function."""

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from minitorch.autograd.fused import Fused
from minitorch.autograd.node import Array
from minitorch.autograd.primitive import primitive
from minitorch.cpu.onednn import eltwise
from minitorch.cpu.threads import parallel
from minitorch.cuda import kernels, xp_of
from minitorch.ops.elementwise import exp, sigmoid, tanh, where

BLOCK = 1 << 16  # elements: what the polynomials below go over ten times and more stays in the cache


@primitive
def leaky_relu(a: Array, *, slope: float) -> Array:
    return xp_of(a).where(a > 0, a, a * slope)


leaky_relu.defvjp(lambda g, y, a, slope: where(a > 0, g, g * slope))


@primitive
def elu(a: Array, *, alpha: float) -> Array:
    xp = xp_of(a)
    return xp.where(a > 0, a, alpha * xp.expm1(xp.minimum(a, 0)))


elu.defvjp(lambda g, y, a, alpha: where(a > 0, g, g * (y + alpha)))


@primitive
def softplus(a: Array) -> Array:
    xp = xp_of(a)
    return xp.maximum(a, 0) + xp.log1p(xp.exp(-xp.abs(a)))


softplus.defvjp(lambda g, y, a: g * sigmoid(a))


def _by_blocks(kernel: Callable[..., tuple[Array, ...]], *arrays: Array) -> tuple[Array, ...]:
    """What `kernel`, elementwise, makes of arrays of one shape and dtype: on the host block by block, in threads."""
    a = arrays[0]
    if xp_of(a) is not np or a.size <= BLOCK or not all(b.flags.c_contiguous for b in arrays):
        return kernel(*arrays)
    flat = [b.reshape(-1) for b in arrays]
    first = kernel(*[b[:BLOCK] for b in flat])
    results = [np.empty(a.shape, y.dtype) for y in first]

    def task(i: int) -> None:
        at = slice(i * BLOCK, (i + 1) * BLOCK)
        for result, y in zip(results, first if i == 0 else kernel(*[b[at] for b in flat]), strict=True):
            result.reshape(-1)[at] = y

    parallel(task, -(-a.size // BLOCK))
    return tuple(results)


def _silu_kernel(a: Array) -> tuple[Array, Array]:
    s = sigmoid(a)
    return a * s, s


def _silu_backward_kernel(g: Array, s: Array, a: Array) -> tuple[Array]:
    d = 1 - s
    d *= a
    d += 1
    d *= s
    d *= g
    return (d,)


silu = Fused(
    reference=lambda a: a * sigmoid(a),
    forward=lambda a: _by_blocks(_silu_kernel, a),
    backward=lambda g, y, s, wanted, a: _by_blocks(_silu_backward_kernel, g, s, a),
    argnums=(0,),
    name="silu",
)


# erf(x) = x P(x²) / Q(x²) for |x| up to an end at which this is a little above 1: a least squares fit of the relative
# error at Chebyshev nodes with Lawson's weights, in 60 digits, right to 2e-8 (degree 5) and 4e-17 (degree 12). All
# coefficients are positive, so that nothing cancels. From the constant term up.
_ERF_SINGLE = (
    4.0,
    (1.1283791469693534, 0.1904299425888856, 0.05274643561329359, 0.003765233527288707, 0.0002846312931377681,
     2.0466380761053278e-06),
    (1.0, 0.5020969043899352, 0.11411393735533683, 0.014968535608025975, 0.001161997620955744, 3.804305262163738e-05),
)  # fmt: skip
_ERF_DOUBLE = (
    6.0,
    (1.1283791670955126, 0.22035873448639182, 0.06615423120290426, 0.006899666165136652, 0.0008565625916295105,
     5.7057056745537325e-05, 3.906418000629327e-06, 1.6987200949040723e-07, 6.770620612984946e-09,
     1.7231029934077403e-10, 3.334036693253109e-12, 2.2178177910010036e-14, 1.5610543001894136e-17),
    (1.0, 0.5286211770938665, 0.13483471995596405, 0.022006982684122555, 0.0025678866042624852,
     0.00022643540050537483, 1.5525725684287714e-05, 8.366311688128046e-07, 3.5224958066700846e-08,
     1.1265571827192946e-09, 2.5519953514431738e-11, 3.31079324309998e-13, 8.803406503942316e-16),
)  # fmt: skip


def _polynomial(z: Array, coefficients: tuple[float, ...]) -> Array:
    y = z * coefficients[-1]
    for c in coefficients[-2:0:-1]:
        y += c
        y *= z
    y += coefficients[0]
    return y


def _erf_kernel(a: Array) -> tuple[Array]:
    if a.dtype == np.float16:
        return (_erf_kernel(a.astype(np.float32))[0].astype(np.float16),)
    xp = xp_of(a)
    end, above, below = _ERF_DOUBLE if a.dtype == np.float64 else _ERF_SINGLE
    x = xp.clip(a, -end, end)
    z = x * x
    x *= _polynomial(z, above)
    x /= _polynomial(z, below)
    return (xp.clip(x, -1, 1),)


@primitive
def erf(a: Array) -> Array:
    (y,) = _by_blocks(_erf_kernel, a)
    return y


erf.defvjp(lambda g, y, a: g * (2 / math.sqrt(math.pi)) * exp(-(a * a)))


def gelu_reference(a: Any) -> Any:
    """`a` times the probability that a standard normal number is below `a`."""
    return a * (0.5 * erf(a * math.sqrt(0.5)) + 0.5)


def _gelu_kernel(a: Array) -> tuple[Array, Array]:
    (below,) = _erf_kernel(a * math.sqrt(0.5))
    below *= 0.5
    below += 0.5
    return a * below, below


def _gelu_backward_kernel(g: Array, below: Array, a: Array) -> tuple[Array]:
    d = a * a
    d *= -0.5
    d = xp_of(a).exp(d)
    d *= 1 / math.sqrt(2 * math.pi)
    d *= a
    d += below
    d *= g
    return (d,)


def _gelu_forward(a: Array) -> tuple[Array, Any]:
    if kernels.takes(a):
        return kernels.bias_activation(kernels.contiguous(a), None, "gelu"), None
    if eltwise.takes("gelu_erf", a):
        return eltwise.forward("gelu_erf", a), None
    return _by_blocks(_gelu_kernel, a)


def _gelu_backward(g: Array, y: Array, below: Any, wanted: tuple[bool, ...], a: Array) -> tuple[Array, ...]:
    if kernels.takes(a):
        g, a = kernels.contiguous(g), kernels.contiguous(a)
        return (kernels.bias_activation_backward(g, a, None, "gelu", bias=False)[0],)
    if below is None:
        return (eltwise.backward("gelu_erf", g, a),)
    return _by_blocks(_gelu_backward_kernel, g, below, a)


gelu = Fused(
    reference=gelu_reference,
    forward=_gelu_forward,
    backward=_gelu_backward,
    argnums=(0,),
    name="gelu",
)

_INNER, _CUBIC = math.sqrt(2 / math.pi), 0.044715  # Hendrycks and Gimpel's approximation


def gelu_tanh_reference(a: Any) -> Any:
    """`gelu` with `erf(a / sqrt(2))` replaced by a tanh of a cubic."""
    return 0.5 * a * (tanh(_INNER * (a + _CUBIC * (a * a * a))) + 1.0)


def _gelu_tanh_kernel(a: Array) -> tuple[Array, Array]:
    t = a * a
    t *= _INNER * _CUBIC
    t += _INNER
    t *= a
    t = xp_of(a).tanh(t)
    y = t + 1
    y *= a
    y *= 0.5
    return y, t


def _gelu_tanh_backward_kernel(g: Array, t: Array, a: Array) -> tuple[Array]:
    d = a * a
    d *= 1.5 * _INNER * _CUBIC
    d += 0.5 * _INNER
    d *= a
    d *= 1 - t * t
    d += 0.5
    d += 0.5 * t
    d *= g
    return (d,)


def _gelu_tanh_forward(a: Array) -> tuple[Array, Any]:
    if eltwise.takes("gelu_tanh", a):
        return eltwise.forward("gelu_tanh", a), None
    return _by_blocks(_gelu_tanh_kernel, a)


def _gelu_tanh_backward(g: Array, y: Array, t: Any, wanted: tuple[bool, ...], a: Array) -> tuple[Array, ...]:
    if t is None:
        return (eltwise.backward("gelu_tanh", g, a),)
    return _by_blocks(_gelu_tanh_backward_kernel, g, t, a)


gelu_tanh = Fused(
    reference=gelu_tanh_reference,
    forward=_gelu_tanh_forward,
    backward=_gelu_tanh_backward,
    argnums=(0,),
    name="gelu_tanh",
)
