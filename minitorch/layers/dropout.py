"""`Dropout`: noise between layers while training."""

from typing import Any

from minitorch import functions as F
from minitorch.errors import ConfigError
from minitorch.layers.layer import Layer
from minitorch.variable import Variable


class Dropout(Layer):
    """Zeroes each element with probability `dropout_ratio` while training; passes its input on in test mode.

    Raises:
        ConfigError: the ratio is not between 0 and 1.
    """

    def __init__(self, dropout_ratio: float = 0.5) -> None:
        super().__init__()
        if not 0 <= dropout_ratio <= 1:
            raise ConfigError(f"Dropout: dropout_ratio {dropout_ratio!r} is not a probability; it must be from 0 to 1")
        self.dropout_ratio = dropout_ratio

    def forward(self, x: Any) -> Variable:
        """Any shape, unchanged."""
        return F.dropout(x, self.dropout_ratio)

    def __repr__(self) -> str:
        return f"Dropout({self.dropout_ratio})"
