"""Hooks of an optimizer: they change gradients in place, between backward and update."""

from typing import Any

import numpy as np

from minitorch.cpu import update
from minitorch.cuda import xp_of
from minitorch.errors import ConfigError
from minitorch.optimizers.checks import HasParams, positive
from minitorch.variable import Parameter


class WeightDecay:
    """Adds `rate * p` to the gradient of every Parameter, as a penalty of `rate / 2 * sum(p**2)` would.

    Args:
        rate: the strength of the penalty.
    """

    def __init__(self, rate: float) -> None:
        positive("WeightDecay", rate=rate)
        self.rate = rate

    def __call__(self, params: list[Parameter]) -> None:
        """Change the gradients in place."""
        for param in params:
            p, g = param.data, param.grad.data
            if xp_of(p) is np:
                update.add_scaled(g, p, self.rate)
            else:
                g += self.rate * p


class ClipGrad:
    """Scales all gradients together so that their norm, taken over all of them, is at most `max_norm`.

    Nothing is read back from a GPU. Source: Pascanu et al., "On the difficulty of training recurrent neural networks",
    ICML 2013.

    Args:
        max_norm: the largest norm to let pass.
    """

    def __init__(self, max_norm: float) -> None:
        positive("ClipGrad", max_norm=max_norm)
        self.max_norm = max_norm

    def __call__(self, params: list[Parameter]) -> None:
        """Change the gradients in place."""
        clip_norm([p.grad.data for p in params], self.max_norm)


class FreezeParam:
    """Keeps the Parameters of some layers as they are.

    Args:
        layers: layers, models or single Parameters.

    Raises:
        ConfigError: one is none of these.
    """

    def __init__(self, *layers: HasParams | Parameter) -> None:
        self.params: list[Parameter] = []
        for layer in layers:
            if isinstance(layer, Parameter):
                self.params.append(layer)
            elif isinstance(layer, HasParams):
                self.params.extend(layer.params())
            else:
                raise ConfigError(f"FreezeParam: got {layer!r}; give layers, models or Parameters, such as model.l0")

    def __call__(self, params: list[Parameter]) -> None:
        """Clear the gradients of the frozen Parameters, so that the optimizer passes them over."""
        for param in self.params:
            param.cleargrad()
        params[:] = [p for p in params if p.grad is not None]


def clip_norm(grads: list[Any], max_norm: float) -> Any:
    """Scale `grads` in place so that their norm, taken over all of them, is at most `max_norm`; returns it as it was.

    Nothing is read back from a GPU: there the norm is an array of no axes.
    """
    if not grads:
        return 0.0
    xp = xp_of(grads[0])
    norm = xp.sqrt(sum(_sum_of_squares(g) for g in grads))
    rate = xp.minimum(max_norm / (norm + 1e-6), 1.0)
    if xp is np and rate == 1:  # to ask a GPU would be to wait for it
        return norm
    for g in grads:
        g *= rate.astype(g.dtype)
    return norm


def _sum_of_squares(g: Any) -> Any:
    """Of all elements; on a GPU without the product of vectors, which cannot be captured."""
    return np.vdot(g, g) if xp_of(g) is np else (g * g).sum()
