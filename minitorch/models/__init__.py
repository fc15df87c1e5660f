"""Models: layers put together."""

from minitorch.models.gpt import GPT
from minitorch.models.model import MLP, Model, Sequential

__all__ = ["GPT", "MLP", "Model", "Sequential"]
