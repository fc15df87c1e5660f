"""`EmbedID`: a trained vector for each word number."""

from typing import Any

import numpy as np

from minitorch import functions as F
from minitorch import random
from minitorch.errors import ConfigError
from minitorch.layers.layer import Layer
from minitorch.variable import Parameter, Variable


class EmbedID(Layer):
    """The rows `W[x]`, one for each number in `x`; W starts as normal × `scale`.

    Args:
        in_size: how many numbers there are; they go from 0 to in_size - 1.
        out_size: the size of a vector.
        dtype: of W.
        scale: the standard deviation that W starts with.

    Raises:
        ConfigError: a size is not a positive integer.
    """

    def __init__(self, in_size: int, out_size: int, dtype: Any = np.float32, scale: float = 1.0) -> None:
        super().__init__()
        for name, size in (("in_size", in_size), ("out_size", out_size)):
            if not isinstance(size, int | np.integer) or size < 1:
                raise ConfigError(f"EmbedID: {name} is {size!r}; a size is a positive integer")
        self.W = Parameter(random.normal("weights", (in_size, out_size), dtype) * np.dtype(dtype).type(scale), name="W")

    def forward(self, x: Any) -> Variable:
        """Integers (...) -> (..., out_size)."""
        return F.embed_id(x, self.W)

    def __repr__(self) -> str:
        in_size, out_size = self.W.shape
        return f"EmbedID({in_size} -> {out_size})"
