"""`LayerNorm` and `GroupNorm`: each sample normalised by itself, the same while training and in test mode."""

from typing import Any

import numpy as np

from minitorch import functions as F
from minitorch.errors import ConfigError, ShapeError
from minitorch.layers.layer import Layer
from minitorch.variable import Parameter, Variable, as_variable


class Affine(Layer):
    """Base of both: a factor gamma, which starts as ones, and a shift beta, as zeros, sized at the first call."""

    def __init__(self, size: int | None, eps: float, dtype: Any) -> None:
        super().__init__()
        if size is not None and (not isinstance(size, int | np.integer) or size < 1):
            raise ConfigError(f"{type(self).__name__}: the size is {size!r}; a size is a positive integer")
        self.eps = eps
        self.gamma = Parameter(None, name="gamma", shape=(size,), dtype=dtype)
        self.beta = Parameter(None, name="beta", shape=(size,), dtype=dtype)
        if size is not None:
            self._fill(size)

    def _fill(self, size: int) -> None:
        if self.gamma.data is None:
            self.gamma.assign(np.ones(size))
            self.beta.assign(np.zeros(size))


class LayerNorm(Affine):
    """`(x - mean) / sqrt(variance + eps) * gamma + beta` over the last axis: see `minitorch.functions.layer_norm`.

    Args:
        in_size: the size of the last axis; None: taken from the first call.
        eps: keeps the root from 0.
        dtype: of gamma and beta.
    """

    def __init__(self, in_size: int | None = None, eps: float = 1e-5, dtype: Any = np.float32) -> None:
        super().__init__(in_size, eps, dtype)

    def forward(self, x: Any) -> Variable:
        """(..., in_size), unchanged."""
        shape = as_variable(x).shape
        if not shape:
            raise ShapeError("LayerNorm: the input has no axes; it is normalised over its last axis")
        self._fill(shape[-1])
        return F.layer_norm(x, self.gamma, self.beta, self.eps)


class GroupNorm(Affine):
    """`(x - mean) / sqrt(variance + eps) * gamma + beta` over groups of channels: see `minitorch.functions.group_norm`.

    Args:
        groups: how many groups; the number of channels is a multiple of it.
        in_channels: the number of channels; None: taken from the first call.
        eps: keeps the root from 0.
        dtype: of gamma and beta.
    """

    def __init__(self, groups: int, in_channels: int | None = None, eps: float = 1e-5, dtype: Any = np.float32) -> None:
        super().__init__(in_channels, eps, dtype)
        self.groups = groups

    def forward(self, x: Any) -> Variable:
        """(N, in_channels, ...), unchanged."""
        shape = as_variable(x).shape
        if len(shape) < 2:
            raise ShapeError(f"GroupNorm: the input has shape {shape}; wanted (N, C, ...)")
        self._fill(shape[1])
        return F.group_norm(x, self.groups, self.gamma, self.beta, self.eps)

    def __repr__(self) -> str:
        return f"GroupNorm({self.groups})"
