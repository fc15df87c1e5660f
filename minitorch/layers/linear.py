"""`Linear`: the fully connected layer."""

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from minitorch import functions as F
from minitorch import random
from minitorch.errors import ConfigError, ShapeError
from minitorch.layers.layer import Layer
from minitorch.variable import Parameter, Variable, as_variable


class Linear(Layer):
    """`x @ W + b` over the last axis of `x`; W starts as normal × sqrt(1 / in_size), b as zeros.

    Args:
        out_size: the size of the last axis of the output.
        nobias: leave out b.
        dtype: of the Parameters.
        in_size: the size of the last axis of the input; None: taken from the first call.
        activation: a function applied to the output, for some of them in the same pass: see `F.linear`.

    Raises:
        ConfigError: a size is not a positive integer, `nobias` neither True nor False, or `activation` no function.
    """

    def __init__(
        self,
        out_size: int,
        nobias: bool = False,
        dtype: Any = np.float32,
        in_size: int | None = None,
        *,
        activation: Callable[[Any], Variable] | None = None,
    ) -> None:
        super().__init__()
        for name, size in (("out_size", out_size), ("in_size", in_size)):
            if size is not None and (not isinstance(size, int | np.integer) or size < 1):
                raise ConfigError(f"Linear: {name} is {size!r}; a size is a positive integer")
        if not isinstance(nobias, bool):
            raise ConfigError(
                f"Linear: nobias is {nobias!r:.80}; it must be True or False. Linear(out_size) takes the size of the "
                "input from the first batch, or as in_size=..."
            )
        if activation is not None and not callable(activation):
            raise ConfigError(
                f"Linear: activation is {activation!r}; give a function of one Variable, such as F.relu, or None"
            )
        self.in_size = in_size
        self.out_size = out_size
        self.activation = activation
        self.W = Parameter(None, name="W", shape=(in_size, out_size), dtype=dtype)
        self.b = None if nobias else Parameter(np.zeros(out_size, dtype=dtype), name="b")
        if in_size is not None:
            self._draw_weights()

    def _draw_weights(self) -> None:
        shape = (self.in_size, self.out_size)
        W = random.normal("weights", shape, self.W.wanted_dtype)  # type: ignore[arg-type]
        W *= math.sqrt(1 / self.in_size)  # type: ignore[operator]
        self.W.assign(W)

    def forward(self, x: Any) -> Variable:
        """(..., in_size) -> (..., out_size)."""
        self.size_from(x)
        return F.linear(x, self.W, self.b, self.activation)

    def size_from(self, x: Any) -> None:
        """Take the size of the input from x, where it is not known yet, and draw the weights.

        Raises:
            ShapeError: x has no features.
        """
        if self.W.data is None:
            shape = as_variable(x).shape
            if not shape or not shape[-1]:
                raise ShapeError(f"Linear: the input has shape {shape}; its last axis, the features, must not be empty")
            self.in_size = shape[-1]
            self._draw_weights()

    def __repr__(self) -> str:
        in_size = self.in_size if self.W.data is None else self.W.shape[0]
        return f"Linear({'?' if in_size is None else in_size} -> {self.out_size})"
