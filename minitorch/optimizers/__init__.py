"""Optimizers, which change Parameters by their gradients, hooks that change gradients before that, and schedules."""

from minitorch.optimizers import schedules
from minitorch.optimizers.adadelta import AdaDelta
from minitorch.optimizers.adagrad import AdaGrad
from minitorch.optimizers.adam import Adam, AdamW
from minitorch.optimizers.hooks import ClipGrad, FreezeParam, WeightDecay
from minitorch.optimizers.lion import Lion
from minitorch.optimizers.optimizer import Optimizer
from minitorch.optimizers.rmsprop import RMSprop
from minitorch.optimizers.sgd import SGD, MomentumSGD

__all__ = [
    "SGD",
    "AdaDelta",
    "AdaGrad",
    "Adam",
    "AdamW",
    "ClipGrad",
    "FreezeParam",
    "Lion",
    "MomentumSGD",
    "Optimizer",
    "RMSprop",
    "WeightDecay",
    "schedules",
]
