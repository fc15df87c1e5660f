"""`AdaDelta`."""

from minitorch.cuda import kernels
from minitorch.optimizers.multi_tensor import launched_by
from minitorch.optimizers.optimizer import Optimizer
from minitorch.optimizers.rules import rules_for
from minitorch.variable import Parameter


class AdaDelta(Optimizer):
    """Steps in proportion to the steps before: `dx = sqrt((msdx + eps) / (msg + eps)) * g`, `p -= lr * dx`.

    `msg` and `msdx` are the decaying means of `g**2`, this gradient included, and of `dx**2`, this step not yet.

    Source: Zeiler, "ADADELTA: An Adaptive Learning Rate Method", arXiv:1212.5701, Algorithm 1; `lr` as in PyTorch.

    Args:
        rho: the decay of both means.
        eps: starts the steps, and keeps the division finite.
        lr: a factor of each step, 1 in the paper; for schedules and groups.
    """

    hyperparameters = ("lr", "rho", "eps")
    decays = ("rho",)
    fading = ("msg", "msdx")

    def __init__(self, rho: float = 0.95, eps: float = 1e-6, lr: float = 1.0) -> None:
        super().__init__()
        self.check(rho=rho, eps=eps, lr=lr)
        self.lr = lr
        self.rho = rho
        self.eps = eps

    @launched_by(kernels.adadelta, ("msg", "msdx"), ("rho", "eps"))
    def update_one(self, param: Parameter) -> None:
        """Change `param.data` in place."""
        p, g = param.data, param.grad.data
        rules_for(p).adadelta(p, g, **self.state_of(param, msg=None, msdx=None), **self.options_of(param))
