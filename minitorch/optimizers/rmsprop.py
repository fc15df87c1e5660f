"""`RMSprop`."""

from minitorch.cuda import kernels
from minitorch.optimizers.multi_tensor import launched_by
from minitorch.optimizers.optimizer import Optimizer
from minitorch.optimizers.rules import rules_for
from minitorch.variable import Parameter


class RMSprop(Optimizer):
    """Gradients divided by their recent size: `msg` the decaying mean of `g**2`, `p -= lr * g / (sqrt(msg) + eps)`.

    As in PyTorch, eps is added outside of the root.

    Source: Tieleman, Hinton, "Lecture 6.5: rmsprop", Coursera, 2012.

    Args:
        lr: the learning rate.
        alpha: the decay of the mean (in `Adam`, `alpha` is the learning rate; both names are those of the field).
        eps: keeps the division finite.
    """

    hyperparameters = ("lr", "alpha", "eps")
    decays = ("alpha",)
    fading = ("msg",)

    def __init__(self, lr: float = 0.01, alpha: float = 0.99, eps: float = 1e-8) -> None:
        super().__init__()
        self.check(lr=lr, alpha=alpha, eps=eps)
        self.lr = lr
        self.alpha = alpha
        self.eps = eps

    @launched_by(kernels.rmsprop, ("msg",), ("alpha", "eps"))
    def update_one(self, param: Parameter) -> None:
        """Change `param.data` in place."""
        p, g = param.data, param.grad.data
        rules_for(p).rmsprop(p, g, **self.state_of(param, msg=None), **self.options_of(param))
