"""`BatchNorm`: each channel normalised by what it is over a batch, or over the batches before."""

from typing import Any

import numpy as np

from minitorch import functions as F
from minitorch.errors import ConfigError, ShapeError
from minitorch.layers.layer import Layer
from minitorch.variable import Parameter, Variable, as_variable


class BatchNorm(Layer):
    """Batch normalisation of (N, C) or (N, C, H, W): see `minitorch.functions.batch_norm`.

    The running averages avg_mean and avg_var are saved with the weights, but no optimizer touches them. A Parameter of
    this layer has its size from the first call on, or from the weights that are loaded.

    Args:
        decay: the share of the running averages that stays at each step of training.
        eps: keeps the root from 0.
        dtype: of the Parameters.

    Raises:
        ConfigError: `decay` is not from 0 to 1, or `eps` is negative.
    """

    def __init__(self, decay: float = 0.9, eps: float = 2e-5, dtype: Any = np.float32) -> None:
        super().__init__()
        if not 0 <= decay <= 1 or eps < 0:
            raise ConfigError(
                f"BatchNorm: decay {decay!r} must be from 0 to 1, and eps {eps!r} not negative; BatchNorm(decay, eps) "
                "takes the number of channels from the first batch"
            )
        self.decay = decay
        self.eps = eps
        self.avg_mean = Parameter(None, name="avg_mean", requires_grad=False, shape=(None,), dtype=dtype)
        self.avg_var = Parameter(None, name="avg_var", requires_grad=False, shape=(None,), dtype=dtype)
        self.gamma = Parameter(None, name="gamma", shape=(None,), dtype=dtype)
        self.beta = Parameter(None, name="beta", shape=(None,), dtype=dtype)

    def forward(self, x: Any) -> Variable:
        """(N, C, ...), unchanged."""
        if self.gamma.data is None:
            shape = as_variable(x).shape
            if len(shape) < 2:
                raise ShapeError(f"BatchNorm: the input has shape {shape}; wanted (N, C) or (N, C, H, W)")
            for param, value in ((self.avg_mean, 0), (self.avg_var, 1), (self.gamma, 1), (self.beta, 0)):
                param.assign(np.full(shape[1], value))
        return F.batch_norm(x, self.gamma, self.beta, self.avg_mean, self.avg_var, self.decay, self.eps)
