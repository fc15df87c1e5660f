"""minitorch: a deep learning framework on NumPy and CuPy: an autograd core to read in an afternoon, and a Trainer."""

from minitorch import cuda, datasets, errors, functions, layers, models, optimizers, random, trainer, transforms, utils
from minitorch.autograd.function import Function
from minitorch.autograd.fused import Fused
from minitorch.autograd.primitive import primitive
from minitorch.config import Config, no_grad, test_mode, using_config
from minitorch.cpu.threads import get_num_threads, set_num_threads
from minitorch.cuda import Device, as_cupy, as_numpy
from minitorch.dataloader import DataLoader, SeqDataLoader
from minitorch.datasets import Dataset
from minitorch.layers import Layer
from minitorch.models import Model
from minitorch.random import seed
from minitorch.trainer import Callback, Every, Trainer
from minitorch.variable import Parameter, Variable, as_variable

__version__ = "0.1.0.dev0"

__all__ = [
    "Callback", "Config", "DataLoader", "Dataset", "Device", "Every", "Function", "Fused", "Layer", "Model",
    "Parameter", "SeqDataLoader", "Trainer", "Variable", "as_cupy", "as_numpy", "as_variable", "cuda", "datasets",
    "errors", "functions", "get_num_threads", "layers", "models", "no_grad", "optimizers", "primitive", "random",
    "seed", "set_num_threads", "test_mode", "trainer", "transforms", "using_config", "utils",
]  # fmt: skip
