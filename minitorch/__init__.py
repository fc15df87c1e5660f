"""minitorch: a deep learning framework on NumPy and CuPy: an autograd core to read in an afternoon, and a Trainer.

Each name is loaded when it is first used, so a program waits only for the parts that it needs.
"""

from typing import TYPE_CHECKING

from minitorch.lazy import when_used

__version__ = "0.1.0.dev0"

is_simple_core = True  # steps 28 and 29 of the book ask; there is one core here, and it serves the book's first loops

__all__ = [
    "Callback", "Config", "DataLoader", "Dataset", "Device", "Every", "Function", "Fused", "Layer", "Model",
    "Parameter", "SeqDataLoader", "Trainer", "Variable", "as_cupy", "as_numpy", "as_variable", "cuda", "datasets",
    "errors", "functions", "get_num_threads", "layers", "metrics", "models", "no_grad", "optimizers", "primitive",
    "random", "seed", "set_num_threads", "test_mode", "trainer", "transforms", "using_config", "utils",
]  # fmt: skip

if TYPE_CHECKING:
    from minitorch import (
        cuda,
        datasets,
        errors,
        functions,
        layers,
        metrics,
        models,
        optimizers,
        random,
        trainer,
        transforms,
        utils,
    )
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
else:
    HOMES = {
        "Callback": "trainer", "Config": "config", "DataLoader": "dataloader", "Dataset": "datasets", "Device": "cuda",
        "Every": "trainer", "Function": "autograd.function", "Fused": "autograd.fused", "Layer": "layers",
        "Model": "models", "Parameter": "variable", "SeqDataLoader": "dataloader", "Trainer": "trainer",
        "Variable": "variable", "as_cupy": "cuda", "as_numpy": "cuda", "as_variable": "variable", "cuda": "",
        "datasets": "", "errors": "", "functions": "", "get_num_threads": "cpu.threads", "layers": "", "metrics": "",
        "models": "", "no_grad": "config", "optimizers": "", "primitive": "autograd.primitive", "random": "",
        "seed": "random", "set_num_threads": "cpu.threads", "test_mode": "config", "trainer": "", "transforms": "",
        "using_config": "config", "utils": "",
    }  # fmt: skip
    __getattr__, __dir__ = when_used(__name__, HOMES)
