"""Noise for training: dropout."""

from typing import Any

import numpy as np

from minitorch import random
from minitorch.config import Config
from minitorch.cuda import xp_of
from minitorch.errors import ConfigError
from minitorch.ops import elementwise, noise
from minitorch.variable import Variable, as_variable


def dropout(x: Any, dropout_ratio: float = 0.5) -> Variable:
    """Zero each element with probability `dropout_ratio` and scale the others to keep the mean; `x` in test mode.

    The mask is a pure function of the seed, the training step and the number of draws before it in this step.
    Source: Srivastava et al., "Dropout: A Simple Way to Prevent Neural Networks from Overfitting", JMLR 2014.

    Raises:
        ConfigError: the ratio is not between 0 and 1.
    """
    if not 0 <= dropout_ratio <= 1:
        raise ConfigError(f"dropout: dropout_ratio {dropout_ratio!r} is not a probability; it must be from 0 to 1")
    a = as_variable(x)
    if not Config.train or dropout_ratio == 0:
        return a
    xp = xp_of(a.data)
    draw = random.draw("dropout", xp)
    if xp is not np or dropout_ratio == 1:
        return noise.dropped(a, ratio=dropout_ratio, draw=draw)
    mask = noise.mask_of(draw, dropout_ratio, a.shape, np)  # kept on the host, where drawing anew would take longer
    return elementwise.dropout(a, mask, scale=1.0 / (1.0 - dropout_ratio))
