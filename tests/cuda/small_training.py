"""A training step on arrays, all of whose work is done on the device: two layers and a few small samples."""

from typing import Any

import numpy as np

from minitorch.cuda import kernels
from minitorch.cuda.gemm import gemm
from minitorch.cuda.graph import DeviceScalar


class SmallTraining:
    """Parameters, their optimizer state, a data set on the device, and the work of one step on them.

    Attributes:
        lr: the learning rate.
        totals: sum of losses, right answers and samples so far.
        state: all arrays that a step changes.
    """

    def __init__(self, cupy: Any) -> None:
        rng = np.random.default_rng(0)
        self._params = [cupy.asarray(rng.normal(size=s).astype(np.float32)) for s in ((8, 5), (5,), (5, 3))]
        moments = [[cupy.zeros_like(p) for p in self._params] for _ in range(2)]
        self._tensors = kernels.Tensors(self._params, *moments)
        data, labels = rng.integers(0, 256, (12, 8)).astype(np.uint8), rng.integers(0, 3, 12)
        self._data = [cupy.asarray(a) for a in (data, labels, rng.permutation(12))]
        self._scale, self._shift = cupy.full(1, 1 / 255, np.float32), cupy.zeros(1, np.float32)
        self._batch, self._step = DeviceScalar(0, np.int64), DeviceScalar(0, np.int64)
        self._one = cupy.ones((), np.float32)
        self.lr = DeviceScalar(0.1, np.float32)
        self.totals = cupy.zeros(3)
        self.state = [*self._params, *moments[0], *moments[1], self._batch.array, self._step.array, self.totals]

    def work(self) -> Any:
        """One step; returns its loss."""
        W1, b1, W2 = self._params
        x, t = kernels.gather_batch(*self._data, self._batch.array, rows=4, scale=self._scale, shift=self._shift)
        h = kernels.bias_activation(gemm(x, W1), b1, "relu")
        d = self._dropped(h)
        loss, p = kernels.softmax_cross_entropy_forward(gemm(d, W2), t, self.totals)
        g = kernels.softmax_cross_entropy_backward(self._one, p, t)
        dh = self._dropped(gemm(g, W2.T))
        dz, db = kernels.bias_activation_backward(dh, h, None, "relu", bias=True)
        grads = [gemm(x.T, dz), db, gemm(d.T, g)]
        _, clip = kernels.gradient_norm(self._tensors, grads, 1.0)
        self._step.advance()
        settings = {"beta1": 0.9, "beta2": 0.999, "eps": 1e-8}
        kernels.adam(self._tensors, grads, lr=self.lr.array, step=self._step.array, clip=clip, **settings)
        self._batch.advance()
        return loss

    def _dropped(self, a: Any) -> Any:
        return kernels.dropped(a, 0.5, seed=1, step=self._step.array, draw=0)
