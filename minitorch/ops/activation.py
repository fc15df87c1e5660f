"""Activations beyond sigmoid, tanh and relu: leaky relu, elu, softplus, silu, gelu and its error function."""

import math
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from minitorch.autograd.fused import Fused
from minitorch.autograd.node import Array
from minitorch.autograd.primitive import primitive
from minitorch.cpu import activation as on_host
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


# erf(x) by least squares fits of the relative error at Chebyshev nodes with Lawson's weights, in 60 digits. All
# coefficients are positive, so that nothing cancels. From the constant term up.
_FAR = 28.0  # erf is 1 there, and exp(-x²) is 0
# For float32 tanh(x P(x²) / Q(x²)), right to 4e-9 and then 1 as far as _FAR: the argument of tanh is smoother than erf.
_ERF_SINGLE = (
    (3472.4839957333306, 861.0813510780499, 131.24387264161706, 6.7038244202490045),
    (3077.408805747685, 482.8237928658305, 72.90613711087396, 1.0),
)
# For float64 x P(x²) / Q(x²), right to 4e-17 up to an end at which this is a little above 1.
_END = 6.0
_ERF_DOUBLE = (
    (1.1283791670955126, 0.22035873448639182, 0.06615423120290426, 0.006899666165136652, 0.0008565625916295105,
     5.7057056745537325e-05, 3.906418000629327e-06, 1.6987200949040723e-07, 6.770620612984946e-09,
     1.7231029934077403e-10, 3.334036693253109e-12, 2.2178177910010036e-14, 1.5610543001894136e-17),
    (1.0, 0.5286211770938665, 0.13483471995596405, 0.022006982684122555, 0.0025678866042624852,
     0.00022643540050537483, 1.5525725684287714e-05, 8.366311688128046e-07, 3.5224958066700846e-08,
     1.1265571827192946e-09, 2.5519953514431738e-11, 3.31079324309998e-13, 8.803406503942316e-16),
)  # fmt: skip


def _polynomial(z: Array, coefficients: tuple[float, ...]) -> Array:
    *lower, second, first = coefficients
    y = z + second if first == 1 else z * first + second
    for c in lower[::-1]:
        y *= z
        y += c
    return y


def _erf_within(x: Array) -> tuple[Array, Array]:
    """erf(x) for float32 or float64 with |x| up to _FAR, and x²."""
    xp, z = xp_of(x), x * x
    if x.dtype == np.float32:
        y = _polynomial(z, _ERF_SINGLE[0])
        y *= x
        y /= _polynomial(z, _ERF_SINGLE[1])
        return xp.tanh(y), z
    near, z_near = xp.clip(x, -_END, _END), xp.minimum(z, _END * _END)
    return xp.clip(near * _polynomial(z_near, _ERF_DOUBLE[0]) / _polynomial(z_near, _ERF_DOUBLE[1]), -1, 1), z


def _erf_kernel(a: Array) -> tuple[Array]:
    if a.dtype == np.float16:
        return (_erf_kernel(a.astype(np.float32))[0].astype(np.float16),)
    return (_erf_within(xp_of(a).clip(a, -_FAR, _FAR))[0],)


@primitive
def erf(a: Array) -> Array:
    (y,) = _by_blocks(_erf_kernel, a)
    return y


erf.defvjp(lambda g, y, a: g * (2 / math.sqrt(math.pi)) * exp(-(a * a)))


def gelu_reference(a: Any) -> Any:
    """`a` times the probability that a standard normal number is below `a`."""
    return a * (0.5 * erf(a * math.sqrt(0.5)) + 0.5)


def _gelu_into(a: Array, y: Array, slope: Array | None) -> None:
    """The gelu of `a` in y, and its derivative, which is all that a backward needs, in `slope`, which may be `a`."""
    xp = xp_of(a)
    below, z = _erf_within(xp.clip(a * math.sqrt(0.5), -_FAR, _FAR))
    below *= 0.5
    below += 0.5
    xp.multiply(a, below, out=y)
    if slope is not None:
        z = xp.exp(-z)
        z *= 1 / math.sqrt(2 * math.pi)
        z *= a
        xp.add(z, below, out=slope)


def _gelu_apply(z: Array, y: Array) -> None:
    """The gelu of z in y, and its derivative in z where that is another array; by parts that stay in the cache."""
    rows = max(1, BLOCK // max(1, z.shape[-1]))
    for begin in range(0, len(z), rows):
        at = slice(begin, begin + rows)
        _gelu_into(z[at], y[at], None if z is y else z[at])


GELU = on_host.Activation(_gelu_apply, lambda g, slope, dz: np.multiply(g, slope, out=dz), keeps=True)
GELU_BY_ONEDNN = on_host.Activation(partial(eltwise.apply, "gelu_erf"), partial(eltwise.slope, "gelu_erf"), keeps=True)


def _gelu_forward(a: Array) -> tuple[Array, Any]:
    if kernels.takes(a):
        return kernels.bias_activation(kernels.contiguous(a), None, "gelu"), None
    if eltwise.takes("gelu_erf", a):
        return eltwise.forward("gelu_erf", a), None
    xp, x = xp_of(a), a.astype(np.float32) if a.dtype == np.float16 else a
    y, slope = xp.empty_like(x), xp.empty_like(x)
    if xp is not np or x.size <= BLOCK or not x.flags.c_contiguous:
        _gelu_into(x, y, slope)
    else:
        flat = [b.reshape(-1) for b in (x, y, slope)]

        def task(i: int) -> None:
            _gelu_into(*[b[i * BLOCK : (i + 1) * BLOCK] for b in flat])

        parallel(task, -(-x.size // BLOCK))
    return y.astype(a.dtype, copy=False), slope.astype(a.dtype, copy=False)


def _gelu_backward(g: Array, y: Array, slope: Any, wanted: tuple[bool, ...], a: Array) -> tuple[Array, ...]:
    if kernels.takes(a):
        g, a = kernels.contiguous(g), kernels.contiguous(a)
        return (kernels.bias_activation_backward(g, a, None, "gelu", bias=False)[0],)
    if slope is None:
        return (eltwise.backward("gelu_erf", g, a),)
    return (on_host.by_blocks(GELU.slope, g, slope) if on_host.takes(g, slope) else g * slope,)


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
    y = 0.5 * t  # before the product with a, which twice as large would overflow
    y += 0.5
    y *= a
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
