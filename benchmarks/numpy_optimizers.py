"""SGD and Adam in NumPy by hand, with `out=` and memory made once: for contestants without a framework."""

from collections.abc import Sequence
from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]


class SGD:
    """`p -= lr * g`; the gradients are overwritten."""

    def __init__(self, params: Sequence[Array], grads: Sequence[Array], lr: float) -> None:
        self.pairs = list(zip(params, grads, strict=True))
        self.lr = lr

    def update(self) -> None:
        for p, g in self.pairs:
            g *= self.lr
            p -= g


class Adam:
    """Kingma and Ba's Algorithm 1, as it stands there."""

    def __init__(self, params: Sequence[Array], grads: Sequence[Array], lr: float) -> None:
        states = ([np.zeros_like(p) for p in params] for _ in range(4))
        self.rows = list(zip(params, grads, *states, strict=True))
        self.lr = lr
        self.t = 0

    def update(self) -> None:
        self.t += 1
        rate, root = self.lr / (1 - 0.9**self.t), (1 - 0.999**self.t) ** 0.5
        for p, g, m, v, s, r in self.rows:
            m *= 0.9
            np.multiply(g, 0.1, out=s)
            m += s
            v *= 0.999
            np.multiply(g, g, out=s)
            s *= 0.001
            v += s
            np.sqrt(v, out=s)
            s /= root
            s += 1e-8
            np.divide(m, s, out=r)
            r *= rate
            p -= r
