"""Fused kernels for arrays on a device, each with the NumPy function that defines it.

Launchers take float32 arrays in C order, see `takes` and `contiguous`; on NumPy arrays they compute the definition,
more slowly than `minitorch.ops` does there. No kernel adds with atomics: the same input gives the same bits. Nothing is
compiled before its first launch.
"""

from minitorch.cuda.kernels.activation import ACTIVATIONS, bias_activation, bias_activation_backward
from minitorch.cuda.kernels.batch_norm import batch_moments, batch_norm, batch_norm_gradients
from minitorch.cuda.kernels.columns import col2im, im2col
from minitorch.cuda.kernels.cross_entropy import accuracy, softmax_cross_entropy_backward, softmax_cross_entropy_forward
from minitorch.cuda.kernels.embedding import add_rows
from minitorch.cuda.kernels.gather import IDS, LABELS, gather_batch
from minitorch.cuda.kernels.gru import gru_cell, gru_cell_gradient
from minitorch.cuda.kernels.kernel import KERNELS, Kernel, contiguous, source, takes
from minitorch.cuda.kernels.layer_norm import layer_norm, layer_norm_gradient, layer_norm_parameter_gradients
from minitorch.cuda.kernels.lstm import lstm_cell, lstm_cell_gradient
from minitorch.cuda.kernels.numbers import NUMBERS, write_numbers
from minitorch.cuda.kernels.philox import dropped, random_bits
from minitorch.cuda.kernels.pooling import average_pool, average_pool_gradient, max_pool, max_pool_gradient
from minitorch.cuda.kernels.softmax import softmax, softmax_gradient
from minitorch.cuda.kernels.sort import sorted_places
from minitorch.cuda.kernels.tensors import Tensors
from minitorch.cuda.kernels.totals import VALUES, add_to_sums
from minitorch.cuda.kernels.update import (
    adadelta,
    adagrad,
    adam,
    average,
    count_updates,
    gradient_norm,
    lion,
    momentum,
    rmsprop,
    sgd,
    unscale,
)

__all__ = [
    "ACTIVATIONS", "IDS", "KERNELS", "LABELS", "NUMBERS", "VALUES", "Kernel", "Tensors", "accuracy", "adadelta",
    "adagrad", "adam", "add_rows", "add_to_sums", "average", "average_pool", "average_pool_gradient",
    "batch_moments", "batch_norm", "batch_norm_gradients", "bias_activation", "bias_activation_backward", "col2im",
    "contiguous", "count_updates", "dropped", "gather_batch", "gradient_norm", "gru_cell", "gru_cell_gradient",
    "im2col", "layer_norm", "layer_norm_gradient", "layer_norm_parameter_gradients", "lion", "lstm_cell",
    "lstm_cell_gradient", "max_pool", "max_pool_gradient", "momentum", "random_bits", "rmsprop", "sgd", "softmax",
    "softmax_cross_entropy_backward", "softmax_cross_entropy_forward", "softmax_gradient", "sorted_places",
    "source", "takes", "unscale", "write_numbers",
]  # fmt: skip
