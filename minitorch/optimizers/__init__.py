"""Optimizers, which change Parameters by their gradients, and hooks that change gradients before that."""

from minitorch.optimizers.adam import Adam
from minitorch.optimizers.hooks import ClipGrad, FreezeParam, WeightDecay
from minitorch.optimizers.optimizer import Optimizer
from minitorch.optimizers.sgd import SGD, MomentumSGD

__all__ = ["SGD", "Adam", "ClipGrad", "FreezeParam", "MomentumSGD", "Optimizer", "WeightDecay"]
