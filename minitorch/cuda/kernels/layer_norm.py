"""Layer normalisation over the last axis, and back."""

from typing import Any

import numpy as np

from minitorch.cuda.array_module import xp_of
from minitorch.cuda.kernels.kernel import kernel, row_grid
from minitorch.cuda.kernels.sums import channel_sums, runs_of

Array = Any


@kernel("layer_norm")
def layer_norm_forward(
    x: Array, gamma: Array | None, beta: Array | None, y: Array, mean: Array, inverse: Array, rows: int, columns: int,
    eps: float,
) -> None:  # fmt: skip
    """`y = z gamma + beta`, z = (x - mean) inverse, with mean and 1 / sqrt(variance + eps) of each row; or y = z."""
    x = x.reshape(rows, columns)
    mean[...] = x.mean(axis=1)
    inverse[...] = 1 / np.sqrt(((x - mean[:, None]) ** 2).mean(axis=1) + eps)
    z = (x - mean[:, None]) * inverse[:, None]
    y[...] = (z if gamma is None else z * gamma + beta).reshape(y.shape)


@kernel("layer_norm")
def layer_norm_backward(
    g: Array, x: Array, gamma: Array | None, mean: Array, inverse: Array, dx: Array, rows: int, columns: int
) -> None:
    """`dx = inverse (d - mean(d) - z mean(d z))` over each row, for d = g gamma."""
    d = g.reshape(rows, columns) if gamma is None else g.reshape(rows, columns) * gamma
    z = (x.reshape(rows, columns) - mean[:, None]) * inverse[:, None]
    along = (d * z).mean(axis=1, keepdims=True)
    dx[...] = (inverse[:, None] * (d - d.mean(axis=1, keepdims=True) - z * along)).reshape(dx.shape)


@kernel("layer_norm")
def layer_norm_backward_sums(
    g: Array, x: Array, mean: Array, inverse: Array, partial: Array, rows: int, columns: int
) -> None:
    """`partial` (2, runs, columns): the sums of g z and of g."""
    g = g.reshape(rows, columns)
    z = (x.reshape(rows, columns) - mean[:, None]) * inverse[:, None]
    for k, a in enumerate((g * z, g)):
        partial[k] = [run.sum(axis=0) for run in runs_of(a.reshape(rows, columns, 1), partial.shape[1])]


def layer_norm(x: Array, gamma: Array | None, beta: Array | None, *, eps: float) -> tuple[Array, Array, Array]:
    """`z * gamma + beta`, with z = x of mean 0 and variance 1 over the last axis; and mean and 1 / deviation of rows.

    `gamma` and `beta` are both None for z itself.
    """
    xp, columns = xp_of(x), x.shape[-1]
    rows = x.size // max(columns, 1)
    y, mean, inverse = xp.empty_like(x), xp.empty(rows, np.float32), xp.empty(rows, np.float32)
    layer_norm_forward(
        row_grid(rows, columns), x, gamma, beta, y, mean, inverse, np.int32(rows), np.int32(columns), np.float32(eps)
    )
    return y, mean, inverse


def layer_norm_gradient(g: Array, x: Array, gamma: Array | None, mean: Array, inverse: Array) -> Array:
    """The gradient of x, given g and what `layer_norm` was given and returned."""
    rows, columns = mean.size, x.shape[-1]
    dx = xp_of(x).empty_like(x)
    grid = row_grid(rows, columns)
    layer_norm_backward(grid, g, x, gamma, mean, inverse, dx, np.int32(rows), np.int32(columns))
    return dx


def layer_norm_parameter_gradients(g: Array, x: Array, mean: Array, inverse: Array) -> tuple[Array, Array]:
    """The gradients of gamma and beta."""
    rows, columns = mean.size, x.shape[-1]
    sizes = np.int32(rows), np.int32(columns)
    dgamma, dbeta = channel_sums(
        xp_of(x), (rows, columns, 1), 2,
        lambda grid, partial: layer_norm_backward_sums(grid, g, x, mean, inverse, partial, *sizes),
    )  # fmt: skip
    return dgamma, dbeta
