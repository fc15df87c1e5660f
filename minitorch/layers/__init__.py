"""Layers, `L` by custom: functions with Parameters of their own."""

from minitorch.layers.dropout import Dropout
from minitorch.layers.layer import Layer
from minitorch.layers.linear import Linear

__all__ = ["Dropout", "Layer", "Linear"]
