"""Layers, `L` by custom: functions with Parameters of their own."""

from typing import TYPE_CHECKING

from minitorch.lazy import when_used

__all__ = [
    "GRU", "LSTM", "RNN", "BatchNorm", "Conv2d", "Deconv2d", "Dropout", "EmbedID", "GroupNorm", "Layer", "LayerNorm",
    "Linear", "MultiHeadAttention", "TransformerBlock",
]  # fmt: skip

if TYPE_CHECKING:
    from minitorch.layers.attention import MultiHeadAttention, TransformerBlock
    from minitorch.layers.batch_norm import BatchNorm
    from minitorch.layers.conv import Conv2d, Deconv2d
    from minitorch.layers.dropout import Dropout
    from minitorch.layers.embed import EmbedID
    from minitorch.layers.layer import Layer
    from minitorch.layers.linear import Linear
    from minitorch.layers.norm import GroupNorm, LayerNorm
    from minitorch.layers.recurrent import GRU, LSTM, RNN
else:
    HOMES = {
        "GRU": "recurrent", "LSTM": "recurrent", "RNN": "recurrent", "BatchNorm": "batch_norm", "Conv2d": "conv",
        "Deconv2d": "conv", "Dropout": "dropout", "EmbedID": "embed", "GroupNorm": "norm", "Layer": "layer",
        "LayerNorm": "norm", "Linear": "linear", "MultiHeadAttention": "attention", "TransformerBlock": "attention",
    }  # fmt: skip
    __getattr__, __dir__ = when_used(__name__, HOMES)
