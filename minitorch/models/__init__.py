"""Models: layers put together."""

from minitorch.models.model import MLP, Model, Sequential

__all__ = ["MLP", "Model", "Sequential"]
