"""`Adam`, and `AdamW` with weight decay apart from the gradient."""

from minitorch.cuda import kernels
from minitorch.optimizers.multi_tensor import launched_by
from minitorch.optimizers.optimizer import Optimizer
from minitorch.optimizers.rules import rules_for
from minitorch.variable import Parameter


class Adam(Optimizer):
    """Adaptive moments: `p -= lr * m_hat / (sqrt(v_hat) + eps)` with both moments corrected for their start at zero.

    Source: Kingma, Ba, "Adam: A Method for Stochastic Optimization", ICLR 2015, Algorithm 1, as in PyTorch. (DeZero
    adds eps to the uncorrected root, as the end of the paper's section 2 does.)

    Args:
        alpha: the learning rate; afterwards the attribute `lr`.
        beta1: the decay of the mean of gradients, m.
        beta2: the decay of the mean of squared gradients, v.
        eps: keeps the division finite.
    """

    hyperparameters: tuple[str, ...] = ("lr", "beta1", "beta2", "eps")
    decays = ("beta1", "beta2")
    fading = ("m", "v")

    def __init__(self, alpha: float = 0.001, beta1: float = 0.9, beta2: float = 0.999, eps: float = 1e-8) -> None:
        super().__init__()
        self.check(alpha=alpha, beta1=beta1, beta2=beta2, eps=eps)
        self.lr = alpha
        self.beta1 = beta1
        self.beta2 = beta2
        self.eps = eps

    @launched_by(kernels.adam, ("m", "v"), ("beta1", "beta2", "eps"), counter="t")
    def update_one(self, param: Parameter) -> None:
        """Change `param.data` in place."""
        p, g = param.data, param.grad.data
        state = self.state_of(param, m=None, v=None, t=0)
        state["t"] += 1
        rules_for(p).adam(p, g, **state, **self.options_of(param))


class AdamW(Adam):
    """Adam with decoupled weight decay: `p -= lr * (m_hat / (sqrt(v_hat) + eps) + weight_decay * p)`.

    Source: Loshchilov, Hutter, "Decoupled Weight Decay Regularization", ICLR 2019, Algorithm 2, with the decay
    multiplied by the learning rate as in PyTorch.

    Args:
        alpha: the learning rate; afterwards the attribute `lr`.
        beta1: the decay of the mean of gradients, m.
        beta2: the decay of the mean of squared gradients, v.
        eps: keeps the division finite.
        weight_decay: the share of a Parameter, times the learning rate, that each update takes off it.
    """

    hyperparameters = (*Adam.hyperparameters, "weight_decay")

    def __init__(
        self,
        alpha: float = 0.001,
        beta1: float = 0.9,
        beta2: float = 0.999,
        eps: float = 1e-8,
        weight_decay: float = 0.01,
    ) -> None:
        super().__init__(alpha, beta1, beta2, eps)
        self.check(weight_decay=weight_decay)
        self.weight_decay = weight_decay
