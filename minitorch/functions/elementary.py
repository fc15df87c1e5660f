"""Elementary functions of each element, and arithmetic with more than an operator's worth of arguments."""

from typing import Any

import numpy as np

from minitorch.autograd.primitive import PrimitiveFunction
from minitorch.errors import ConfigError
from minitorch.ops import elementwise
from minitorch.variable import Variable, as_variable


def add(x0: Any, x1: Any) -> Variable:
    """`x0 + x1`, broadcast."""
    return _apply(elementwise.add, x0, x1)


def sub(x0: Any, x1: Any) -> Variable:
    """`x0 - x1`, broadcast."""
    return _apply(elementwise.sub, x0, x1)


def mul(x0: Any, x1: Any) -> Variable:
    """`x0 * x1`, broadcast."""
    return _apply(elementwise.mul, x0, x1)


def div(x0: Any, x1: Any) -> Variable:
    """`x0 / x1`, broadcast."""
    return _apply(elementwise.div, x0, x1)


def neg(x: Any) -> Variable:
    """`-x`."""
    return elementwise.neg(as_variable(x))


def pow(x: Any, c: Any) -> Variable:
    """`x ** c`, where either may be a Variable; at a base of 0 the derivative for the exponent is 0."""
    return _apply(elementwise.pow_, x, c)


def exp(x: Any) -> Variable:
    """Raise e to the power of each element."""
    return elementwise.exp(as_variable(x))


def log(x: Any) -> Variable:
    """The natural logarithm of each element."""
    return elementwise.log(as_variable(x))


def sqrt(x: Any) -> Variable:
    """The square root of each element."""
    return elementwise.sqrt(as_variable(x))


def abs(x: Any) -> Variable:
    """The absolute value of each element; its derivative at 0 is 0."""
    return elementwise.abs_(as_variable(x))


def sin(x: Any) -> Variable:
    """The sine of each element, in radians."""
    return elementwise.sin(as_variable(x))


def cos(x: Any) -> Variable:
    """The cosine of each element, in radians."""
    return elementwise.cos(as_variable(x))


def tanh(x: Any) -> Variable:
    """The hyperbolic tangent of each element."""
    return elementwise.tanh(as_variable(x))


def maximum(x0: Any, x1: Any) -> Variable:
    """The larger of two, element by element; where they are equal, each gets half of the gradient."""
    return _apply(elementwise.maximum, x0, x1)


def minimum(x0: Any, x1: Any) -> Variable:
    """The smaller of two, element by element; where they are equal, each gets half of the gradient."""
    return _apply(elementwise.minimum, x0, x1)


def where(condition: Any, x0: Any, x1: Any) -> Variable:
    """`x0` where `condition` (booleans) holds, else `x1`; the gradient goes where the value came from."""
    return elementwise.where(as_variable(condition), x0, x1)


def clip(x: Any, x_min: float | None = None, x_max: float | None = None) -> Variable:
    """Each element limited to [x_min, x_max]; the gradient is 1 inside and at the ends, 0 outside.

    Raises:
        ConfigError: `x_min` is greater than `x_max`.
    """
    if x_min is not None and x_max is not None and x_min > x_max:
        raise ConfigError(f"clip: x_min {x_min} is greater than x_max {x_max}; swap them")
    return elementwise.clip(as_variable(x), low=x_min, high=x_max)


def _apply(op: PrimitiveFunction, x0: Any, x1: Any) -> Variable:
    """`op(x0, x1)` as a Variable. A number stays a number, whose dtype is weak and which is on every device."""
    if isinstance(x0, int | float | np.generic):
        x1 = as_variable(x1)
    else:
        x0 = as_variable(x0)
    y: Variable = op(x0, x1)
    return y
