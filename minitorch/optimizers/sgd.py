"""`SGD` and `MomentumSGD`."""

from minitorch.cuda import kernels
from minitorch.optimizers.multi_tensor import launched_by
from minitorch.optimizers.optimizer import Optimizer
from minitorch.optimizers.rules import rules_for
from minitorch.variable import Parameter


class SGD(Optimizer):
    """Stochastic gradient descent: `p -= lr * g`.

    Args:
        lr: the learning rate.
    """

    hyperparameters = ("lr",)

    def __init__(self, lr: float = 0.01) -> None:
        super().__init__()
        self.check(lr=lr)
        self.lr = lr

    @launched_by(kernels.sgd)
    def update_one(self, param: Parameter) -> None:
        """Change `param.data` in place."""
        p, g = param.data, param.grad.data
        rules_for(p).sgd(p, g, **self.options_of(param))


class MomentumSGD(Optimizer):
    """Stochastic gradient descent with momentum: `v = momentum * v - lr * g`, `p += v`.

    The learning rate is that of the time of each gradient, as in DeZero. PyTorch leaves it out of v, and multiplies by
    that of the time of the step: the same as long as the learning rate stays the same.

    Source: Polyak, "Some methods of speeding up the convergence of iteration methods", 1964.

    Args:
        lr: the learning rate.
        momentum: the share of the last step that is kept.
        nesterov: look ahead, by `p += momentum * v - lr * g`: Sutskever et al., "On the importance of initialization
            and momentum in deep learning", ICML 2013, as Bengio et al., "Advances in optimizing recurrent networks",
            2013, write it.
    """

    hyperparameters = ("lr", "momentum", "nesterov")
    decays = ("momentum",)
    fading = ("v",)

    def __init__(self, lr: float = 0.01, momentum: float = 0.9, nesterov: bool = False) -> None:
        super().__init__()
        self.check(lr=lr, momentum=momentum)
        self.lr = lr
        self.momentum = momentum
        self.nesterov = bool(nesterov)

    @launched_by(kernels.momentum, ("v",), ("momentum", "nesterov"))
    def update_one(self, param: Parameter) -> None:
        """Change `param.data` in place."""
        p, g = param.data, param.grad.data
        v = self.state_of(param, v=None)["v"]
        rules_for(p).momentum(p, g, v, **self.options_of(param))
