"""Models: layers put together."""

from minitorch.models.gpt import GPT
from minitorch.models.model import MLP, Model, Sequential
from minitorch.models.resnet import ResNet, ResNet50, ResNet101, ResNet152
from minitorch.models.squeezenet import SqueezeNet
from minitorch.models.vgg import VGG16

__all__ = [
    "GPT", "MLP", "VGG16", "Model", "ResNet", "ResNet50", "ResNet101", "ResNet152", "Sequential", "SqueezeNet",
]  # fmt: skip
