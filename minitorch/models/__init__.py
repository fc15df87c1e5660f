"""Models: layers put together."""

from typing import TYPE_CHECKING

from minitorch.lazy import when_used

__all__ = [
    "GPT", "MLP", "VGG16", "Model", "ResNet", "ResNet50", "ResNet101", "ResNet152", "Sequential", "SqueezeNet",
]  # fmt: skip

if TYPE_CHECKING:
    from minitorch.models.gpt import GPT
    from minitorch.models.model import MLP, Model, Sequential
    from minitorch.models.resnet import ResNet, ResNet50, ResNet101, ResNet152
    from minitorch.models.squeezenet import SqueezeNet
    from minitorch.models.vgg import VGG16
else:
    HOMES = {
        "GPT": "gpt", "MLP": "model", "VGG16": "vgg", "Model": "model", "ResNet": "resnet", "ResNet101": "resnet",
        "ResNet152": "resnet", "ResNet50": "resnet", "Sequential": "model", "SqueezeNet": "squeezenet",
    }  # fmt: skip
    __getattr__, __dir__ = when_used(__name__, HOMES)
