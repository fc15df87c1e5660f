"""Activations: what stands between the layers of a network."""

from typing import Any

from minitorch.errors import ConfigError
from minitorch.ops import activation, elementwise
from minitorch.ops import softmax as softmax_ops
from minitorch.ops.reduce import Axis
from minitorch.variable import Variable, as_variable


def sigmoid(x: Any) -> Variable:
    """`1 / (1 + exp(-x))`, computed without overflow."""
    return elementwise.sigmoid(as_variable(x))


def relu(x: Any) -> Variable:
    """`max(x, 0)`; its derivative at 0 is 0."""
    return elementwise.relu(as_variable(x))


def leaky_relu(x: Any, slope: float = 0.2) -> Variable:
    """`x` where it is above 0, else `slope * x`; its derivative at 0 is `slope`."""
    return activation.leaky_relu(as_variable(x), slope=slope)


def elu(x: Any, alpha: float = 1.0) -> Variable:
    """`x` where it is above 0, else `alpha * (exp(x) - 1)`; its derivative at 0 is `alpha`.

    Source: Clevert, Unterthiner and Hochreiter, "Fast and Accurate Deep Network Learning by Exponential Linear Units",
    ICLR 2016.
    """
    return activation.elu(as_variable(x), alpha=alpha)


def softplus(x: Any) -> Variable:
    """`log(1 + exp(x))`, computed without overflow."""
    return activation.softplus(as_variable(x))


def silu(x: Any) -> Variable:
    """`x * sigmoid(x)`, also called swish.

    Source: Elfwing, Uchibe and Doya, "Sigmoid-Weighted Linear Units for Neural Network Function Approximation in
    Reinforcement Learning", Neural Networks 2018.
    """
    return activation.silu(as_variable(x))


def gelu(x: Any, approximate: str = "none") -> Variable:
    """`x` times the probability that a standard normal number is below `x`.

    Source: Hendrycks and Gimpel, "Gaussian Error Linear Units", 2016.

    Args:
        x: any shape.
        approximate: "none" for `x * (1 + erf(x / sqrt(2))) / 2`, right to rounding; "tanh" for
            `x * (1 + tanh(sqrt(2 / pi) * (x + 0.044715 * x**3))) / 2`, off by up to 5e-4, with which GPT-2 was trained.

    Raises:
        ConfigError: `approximate` is neither.
    """
    forms = {"none": activation.gelu, "tanh": activation.gelu_tanh}
    if approximate not in forms:
        raise ConfigError(f"gelu: approximate is {approximate!r}; it is 'none' or 'tanh'")
    return forms[approximate](as_variable(x))


def softmax(x: Any, axis: Axis = 1) -> Variable:
    """`exp(x) / sum(exp(x))` over `axis`, computed without overflow."""
    return softmax_ops.softmax(as_variable(x), axis=axis)


def log_softmax(x: Any, axis: Axis = 1) -> Variable:
    """The logarithm of `softmax(x)`, computed without underflow."""
    return softmax_ops.log_softmax(as_variable(x), axis=axis)


def logsumexp(x: Any, axis: Axis = None, keepdims: bool = False) -> Variable:
    """`log(sum(exp(x)))` over `axis`, of all elements by default, computed without overflow."""
    return softmax_ops.logsumexp(as_variable(x), axis=axis, keepdims=keepdims)
