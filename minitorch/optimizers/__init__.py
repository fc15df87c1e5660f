"""Optimizers, which change Parameters by their gradients, hooks that change gradients before that, and schedules."""

from typing import TYPE_CHECKING

from minitorch.lazy import when_used

__all__ = [
    "SGD", "AdaDelta", "AdaGrad", "Adam", "AdamW", "ClipGrad", "FreezeParam", "Lion", "MomentumSGD", "Optimizer",
    "RMSprop", "WeightDecay", "schedules",
]  # fmt: skip

if TYPE_CHECKING:
    from minitorch.optimizers import schedules
    from minitorch.optimizers.adadelta import AdaDelta
    from minitorch.optimizers.adagrad import AdaGrad
    from minitorch.optimizers.adam import Adam, AdamW
    from minitorch.optimizers.hooks import ClipGrad, FreezeParam, WeightDecay
    from minitorch.optimizers.lion import Lion
    from minitorch.optimizers.optimizer import Optimizer
    from minitorch.optimizers.rmsprop import RMSprop
    from minitorch.optimizers.sgd import SGD, MomentumSGD
else:
    HOMES = {
        "SGD": "sgd", "AdaDelta": "adadelta", "AdaGrad": "adagrad", "Adam": "adam", "AdamW": "adam",
        "ClipGrad": "hooks", "FreezeParam": "hooks", "Lion": "lion", "MomentumSGD": "sgd", "Optimizer": "optimizer",
        "RMSprop": "rmsprop", "WeightDecay": "hooks", "schedules": "",
    }  # fmt: skip
    __getattr__, __dir__ = when_used(__name__, HOMES)
