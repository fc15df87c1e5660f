"""`Lion`."""

from minitorch.cuda import kernels
from minitorch.optimizers.multi_tensor import launched_by
from minitorch.optimizers.optimizer import Optimizer
from minitorch.optimizers.rules import rules_for
from minitorch.variable import Parameter


class Lion(Optimizer):
    """Steps of one size, by the sign of a mean: `p -= lr * (sign(beta1 * m + (1 - beta1) * g) + weight_decay * p)`.

    Afterwards `m = beta2 * m + (1 - beta2) * g`.

    Source: Chen et al., "Symbolic Discovery of Optimization Algorithms", NeurIPS 2023, Algorithm 2. It advises a
    learning rate 3 to 10 times smaller, and a weight decay as many times larger, than for `AdamW`.

    Args:
        lr: the learning rate.
        beta1: the share of the mean m in the direction of a step.
        beta2: the decay of m.
        weight_decay: the share of a Parameter, times the learning rate, that each update takes off it.
    """

    hyperparameters = ("lr", "beta1", "beta2", "weight_decay")
    decays = ("beta1", "beta2")  # m is not among `fading`: however small, its sign moves the Parameter

    def __init__(self, lr: float = 1e-4, beta1: float = 0.9, beta2: float = 0.99, weight_decay: float = 0.0) -> None:
        super().__init__()
        self.check(lr=lr, beta1=beta1, beta2=beta2, weight_decay=weight_decay)
        self.lr = lr
        self.beta1 = beta1
        self.beta2 = beta2
        self.weight_decay = weight_decay

    @launched_by(kernels.lion, ("m",), ("beta1", "beta2"))
    def update_one(self, param: Parameter) -> None:
        """Change `param.data` in place."""
        p, g = param.data, param.grad.data
        rules_for(p).lion(p, g, **self.state_of(param, m=None), **self.options_of(param))
