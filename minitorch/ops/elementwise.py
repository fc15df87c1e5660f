"""Element by element: arithmetic, powers, exponentials, activations, comparison, selection.

Operands broadcast as in NumPy; the gradient of a stretched operand is summed by the engine, not here.
"""

from typing import Any

from minitorch.autograd.node import Array
from minitorch.autograd.primitive import primitive, untracked
from minitorch.cpu import activation as on_host
from minitorch.cuda import kernels, xp_of


@primitive
def add(a: Array, b: Array) -> Array:
    return a + b


add.defvjp(lambda g, y, a, b: g, lambda g, y, a, b: g)


@primitive
def sub(a: Array, b: Array) -> Array:
    return a - b


sub.defvjp(lambda g, y, a, b: g, lambda g, y, a, b: -g)


@primitive
def mul(a: Array, b: Array) -> Array:
    return a * b


mul.defvjp(lambda g, y, a, b: g * b, lambda g, y, a, b: g * a)


@primitive
def div(a: Array, b: Array) -> Array:
    return a / b


div.defvjp(lambda g, y, a, b: g / b, lambda g, y, a, b: -g * y / b)


@primitive
def neg(a: Array) -> Array:
    return -a


neg.defvjp(lambda g, y, a: -g)


@primitive
def log(a: Array) -> Array:
    return xp_of(a).log(a)


log.defvjp(lambda g, y, a: g / a)


@primitive
def where(condition: Array, a: Array, b: Array) -> Array:
    return xp_of(condition).where(condition, a, b)


where.defvjp(
    None,
    lambda g, y, c, a, b: where(c, g, 0.0),
    lambda g, y, c, a, b: where(c, 0.0, g),
)


@primitive
def pow_(a: Array, b: Array) -> Array:
    return a**b


def _pow_base_rule(g: Any, y: Any, a: Any, b: Any) -> Any:
    if isinstance(b, int | float):
        return g * (b * a ** (b - 1)) if b else g * 0.0
    return g * b * a ** where((a == 0) * (b == 0), 0.0, b - 1)


# For a base of 0 the derivative for the exponent is taken as 0, its limit from the right for positive exponents.
pow_.defvjp(
    _pow_base_rule,
    lambda g, y, a, b: g * y * log(where(a == 0, 1.0, a)),
)


@primitive
def maximum(a: Array, b: Array) -> Array:
    return xp_of(b if isinstance(a, int | float) else a).maximum(a, b)


@primitive
def minimum(a: Array, b: Array) -> Array:
    return xp_of(b if isinstance(a, int | float) else a).minimum(a, b)


@untracked
def share(a: Array, b: Array, y: Array) -> Array:
    """1 where `a` gave the result `y`, 1/2 where `a` and `b` tie, 0 elsewhere, in the dtype of `y`."""
    won, lost = y == a, y == b
    return won.astype(y.dtype) * (1 - (won & lost).astype(y.dtype) * 0.5)


for _extreme in (maximum, minimum):
    _extreme.defvjp(lambda g, y, a, b: g * share(a, b, y), lambda g, y, a, b: g * share(b, a, y))


@primitive
def exp(a: Array) -> Array:
    return xp_of(a).exp(a)


exp.defvjp(lambda g, y, a: g * y)


@primitive
def sqrt(a: Array) -> Array:
    return xp_of(a).sqrt(a)


sqrt.defvjp(lambda g, y, a: 0.5 * g / y)


@untracked
def sign(a: Array) -> Array:
    return xp_of(a).sign(a)


@primitive
def abs_(a: Array) -> Array:
    return xp_of(a).abs(a)


abs_.defvjp(lambda g, y, a: g * sign(a))


@primitive
def sin(a: Array) -> Array:
    return xp_of(a).sin(a)


@primitive
def cos(a: Array) -> Array:
    return xp_of(a).cos(a)


sin.defvjp(lambda g, y, a: g * cos(a))
cos.defvjp(lambda g, y, a: -g * sin(a))


@primitive
def tanh(a: Array) -> Array:
    return xp_of(a).tanh(a)


def _slope_on_device(g: Array, y: Array, act: str) -> Array:
    """`g` times the derivative of an activation that gave y, in one launch."""
    return kernels.bias_activation_backward(kernels.contiguous(g), kernels.contiguous(y), None, act, bias=False)[0]


def _tanh_rule(g: Any, y: Any, a: Any) -> Any:
    if kernels.takes(g, y):
        return _slope_on_device(g, y, "tanh")
    return g * (1 - y * y)


tanh.defvjp(_tanh_rule)


@primitive
def sigmoid(a: Array) -> Array:
    if kernels.takes(a):
        return kernels.bias_activation(kernels.contiguous(a), None, "sigmoid")
    if on_host.takes(a, a):
        return on_host.by_blocks(on_host.SIGMOID.apply, a)
    y = xp_of(a).tanh(a * 0.5)  # of tanh, because exp(-a) overflows
    y *= 0.5
    y += 0.5
    return y


def _sigmoid_rule(g: Any, y: Any, a: Any) -> Any:
    if kernels.takes(g, y):
        return _slope_on_device(g, y, "sigmoid")
    if on_host.takes(g, y):
        return on_host.by_blocks(on_host.SIGMOID.slope, g, y)
    return g * (y * (1 - y))


sigmoid.defvjp(_sigmoid_rule)


@primitive
def relu(a: Array) -> Array:
    return on_host.by_blocks(on_host.RELU.apply, a, per_thread=2) if on_host.takes(a, a) else xp_of(a).maximum(a, 0)


def _relu_rule(g: Any, y: Any, a: Any) -> Any:
    if kernels.takes(g, y):
        return _slope_on_device(g, y, "relu")
    if on_host.takes(g, y):
        return on_host.by_blocks(on_host.RELU.slope, g, y, per_thread=2)
    return g * (y > 0)


relu.defvjp(_relu_rule)


@primitive
def clip(a: Array, *, low: float | None, high: float | None) -> Array:
    return xp_of(a).clip(a, low, high)


@untracked
def inside(a: Array, *, low: float | None, high: float | None) -> Array:
    """Whether each element lies in [low, high], ends included; None is no bound."""
    within = a == a  # False for NaN
    if low is not None:
        within = within & (a >= low)
    return within if high is None else within & (a <= high)


clip.defvjp(lambda g, y, a, low, high: g * inside(a, low=low, high=high))


@primitive
def cast(a: Array, *, dtype: Any) -> Array:
    return a.astype(dtype)


# The engine brings a gradient to its argument's dtype. Integers are steps of the argument: their derivative is 0.
cast.defvjp(lambda g, y, a, dtype: g if y.dtype.kind == "f" else g * 0.0)


@primitive
def dropout(a: Array, mask: Array, *, scale: float) -> Array:
    """`a` where `mask`, times `scale`; 0 elsewhere."""
    y = a * mask
    y *= scale
    return y


dropout.defvjp(lambda g, y, a, mask, scale: dropout(g, mask, scale=scale), None)


@untracked
def equal(a: Array, b: Array) -> Array:
    return a == b


@untracked
def not_equal(a: Array, b: Array) -> Array:
    return a != b


@untracked
def less(a: Array, b: Array) -> Array:
    return a < b


@untracked
def less_equal(a: Array, b: Array) -> Array:
    return a <= b


@untracked
def greater(a: Array, b: Array) -> Array:
    return a > b


@untracked
def greater_equal(a: Array, b: Array) -> Array:
    return a >= b
