"""`SGD` and `MomentumSGD`."""

import numpy as np

from minitorch.cpu import update
from minitorch.cuda import xp_of
from minitorch.optimizers.optimizer import Optimizer, fractions, positive
from minitorch.variable import Parameter


class SGD(Optimizer):
    """Stochastic gradient descent: `p -= lr * g`.

    Args:
        lr: the learning rate.
    """

    hyperparameters = ("lr",)

    def __init__(self, lr: float = 0.01) -> None:
        super().__init__()
        positive("SGD", lr=lr)
        self.lr = lr

    def update_one(self, param: Parameter) -> None:
        """Change `param.data` in place."""
        p, g = param.data, param.grad.data
        if xp_of(p) is np:
            update.sgd(p, g, self.lr)
        else:
            p -= self.lr * g


class MomentumSGD(Optimizer):
    """Stochastic gradient descent with momentum: `v = momentum * v - lr * g`, `p += v`.

    Source: Polyak, "Some methods of speeding up the convergence of iteration methods", 1964.

    Args:
        lr: the learning rate.
        momentum: the share of the last step that is kept.
    """

    hyperparameters = ("lr", "momentum")

    def __init__(self, lr: float = 0.01, momentum: float = 0.9) -> None:
        super().__init__()
        positive("MomentumSGD", lr=lr)
        fractions("MomentumSGD", momentum=momentum)
        self.lr = lr
        self.momentum = momentum

    def update_one(self, param: Parameter) -> None:
        """Change `param.data` in place."""
        p, g = param.data, param.grad.data
        v = self.state_of(param, v=None)["v"]
        if xp_of(p) is np:
            update.momentum(p, g, v, self.lr, self.momentum)
        else:
            v *= self.momentum
            v -= self.lr * g
            p += v
