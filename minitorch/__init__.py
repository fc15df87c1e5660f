"""minitorch: a deep learning framework on NumPy and CuPy: an autograd core to read in an afternoon, and a Trainer."""

from minitorch import cuda, datasets, errors, functions, layers, models, optimizers, random, transforms, utils
from minitorch.autograd.function import Function
from minitorch.autograd.fused import Fused
from minitorch.autograd.primitive import primitive
from minitorch.config import Config, no_grad, test_mode, using_config
from minitorch.cuda import Device, as_cupy, as_numpy
from minitorch.dataloader import DataLoader, SeqDataLoader
from minitorch.datasets import Dataset
from minitorch.layers import Layer
from minitorch.models import Model
from minitorch.random import seed
from minitorch.variable import Parameter, Variable, as_variable

__version__ = "0.1.0.dev0"

__all__ = [
    "Config", "DataLoader", "Dataset", "Device", "Function", "Fused", "Layer", "Model", "Parameter", "SeqDataLoader",
    "Variable", "as_cupy", "as_numpy", "as_variable", "cuda", "datasets", "errors", "functions", "layers", "models",
    "no_grad", "optimizers", "primitive", "random", "seed", "test_mode", "transforms", "using_config", "utils",
]  # fmt: skip
