"""`AdaGrad`."""

from minitorch.cuda import kernels
from minitorch.optimizers.multi_tensor import launched_by
from minitorch.optimizers.optimizer import Optimizer
from minitorch.optimizers.rules import rules_for
from minitorch.variable import Parameter


class AdaGrad(Optimizer):
    """A rate for each weight that falls with its past gradients: `h += g**2`, `p -= lr * g / (sqrt(h) + eps)`.

    As in DeZero and PyTorch, eps is added outside of the root.

    Source: Duchi, Hazan, Singer, "Adaptive Subgradient Methods for Online Learning and Stochastic Optimization",
    JMLR 2011, with diagonal matrices.

    Args:
        lr: the learning rate.
        eps: keeps the division finite.
    """

    hyperparameters = ("lr", "eps")

    def __init__(self, lr: float = 0.001, eps: float = 1e-8) -> None:
        super().__init__()
        self.check(lr=lr, eps=eps)
        self.lr = lr
        self.eps = eps

    @launched_by(kernels.adagrad, ("h",), ("eps",))
    def update_one(self, param: Parameter) -> None:
        """Change `param.data` in place."""
        p, g = param.data, param.grad.data
        rules_for(p).adagrad(p, g, **self.state_of(param, h=None), **self.options_of(param))
