"""Hooks of an optimizer: they change gradients in place, between backward and update."""

import numpy as np

from minitorch.cpu import update
from minitorch.cuda import xp_of
from minitorch.optimizers.optimizer import HasParams, params_of, positive
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
        grads = [p.grad.data for p in params]
        if not grads:
            return
        xp = xp_of(grads[0])
        norm = xp.sqrt(sum(xp.dot(g.ravel(), g.ravel()) for g in grads))
        rate = xp.minimum(self.max_norm / (norm + 1e-6), 1.0)
        for g in grads:
            g *= rate.astype(g.dtype)


class FreezeParam:
    """Keeps the Parameters of some layers as they are.

    Args:
        layers: layers, models or single Parameters.
    """

    def __init__(self, *layers: HasParams | Parameter) -> None:
        self.params = params_of(layers)

    def __call__(self, params: list[Parameter]) -> None:
        """Clear the gradients of the frozen Parameters, so that the optimizer passes them over."""
        for param in self.params:
            param.cleargrad()
        params[:] = [p for p in params if p.grad is not None]
