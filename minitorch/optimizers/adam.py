"""`Adam`."""

import math

import numpy as np

from minitorch.cpu import update
from minitorch.cuda import xp_of
from minitorch.optimizers.optimizer import Optimizer, fractions, positive
from minitorch.variable import Parameter


class Adam(Optimizer):
    """Adaptive moments: `p -= lr * m_hat / (sqrt(v_hat) + eps)` with both moments corrected for their start at zero.

    Source: Kingma, Ba, "Adam: A Method for Stochastic Optimization", ICLR 2015, Algorithm 1.

    Args:
        alpha: the learning rate; afterwards the attribute `lr`.
        beta1: the decay of the mean of gradients, m.
        beta2: the decay of the mean of squared gradients, v.
        eps: keeps the division finite.
    """

    hyperparameters = ("lr", "beta1", "beta2", "eps")

    def __init__(self, alpha: float = 0.001, beta1: float = 0.9, beta2: float = 0.999, eps: float = 1e-8) -> None:
        super().__init__()
        positive("Adam", alpha=alpha, eps=eps)
        fractions("Adam", beta1=beta1, beta2=beta2)
        self.lr = alpha
        self.beta1 = beta1
        self.beta2 = beta2
        self.eps = eps

    def update_one(self, param: Parameter) -> None:
        """Change `param.data` in place."""
        p, g = param.data, param.grad.data
        state = self.state_of(param, m=None, v=None, t=0)
        state["t"] += 1
        m, v, t = state["m"], state["v"], state["t"]
        step = self.lr / (1 - self.beta1**t)
        root = math.sqrt(1 - self.beta2**t)
        if xp_of(p) is np:
            update.adam(p, g, m, v, step=step, beta1=self.beta1, beta2=self.beta2, root=root, eps=self.eps)
        else:
            m *= self.beta1
            m += (1 - self.beta1) * g
            v *= self.beta2
            v += (1 - self.beta2) * (g * g)
            p -= step * m / (xp_of(p).sqrt(v) / root + self.eps)
