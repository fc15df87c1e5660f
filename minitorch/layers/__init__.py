"""Layers, `L` by custom: functions with Parameters of their own."""

from minitorch.layers.attention import MultiHeadAttention, TransformerBlock
from minitorch.layers.batch_norm import BatchNorm
from minitorch.layers.conv import Conv2d, Deconv2d
from minitorch.layers.dropout import Dropout
from minitorch.layers.embed import EmbedID
from minitorch.layers.layer import Layer
from minitorch.layers.linear import Linear
from minitorch.layers.norm import GroupNorm, LayerNorm
from minitorch.layers.recurrent import GRU, LSTM, RNN

__all__ = [
    "GRU", "LSTM", "RNN", "BatchNorm", "Conv2d", "Deconv2d", "Dropout", "EmbedID", "GroupNorm", "Layer", "LayerNorm",
    "Linear", "MultiHeadAttention", "TransformerBlock",
]  # fmt: skip
