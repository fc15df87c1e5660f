"""`SqueezeNet`: an image classifier with fifty times fewer Parameters than AlexNet."""

import math
from typing import Any

from minitorch import functions as F
from minitorch import layers as L
from minitorch.errors import ConfigError
from minitorch.models.model import Model
from minitorch.variable import Variable

# For each version: the first convolution (channels, kernel size), and the Fire layers before which the image is pooled.
VERSIONS = {"1.0": ((96, 7), (2, 5, 9)), "1.1": ((64, 3), (2, 4, 6))}
# The channels of each Fire layer, squeezed and expanded on either side.
FIRES = {2: (16, 64), 3: (16, 64), 4: (32, 128), 5: (32, 128), 6: (48, 192), 7: (48, 192), 8: (64, 256), 9: (64, 256)}
GAIN = math.sqrt(2)  # without it, nothing would be left of the scores after so many relu


class SqueezeNet(Model):
    """The network of Iandola et al.: 1,248,424 Parameters, or in version "1.1", as good and faster, 1,235,496.

    Its paths are those of the paper: `conv1`, `fire2.squeeze`, `fire2.expand1x1`, `fire2.expand3x3`, ..., `conv10`.
    Source: "SqueezeNet: AlexNet-level accuracy with 50x fewer parameters and <0.5MB model size", 2016.

    Args:
        version: "1.0" or "1.1".
        classes: the number of scores that it gives.

    Raises:
        ConfigError: there is no such version.
    """

    def __init__(self, version: str = "1.0", *, classes: int = 1000) -> None:
        super().__init__()
        if version not in VERSIONS:
            raise ConfigError(f"SqueezeNet: version is {version!r}; it can be {' or '.join(map(repr, VERSIONS))}")
        self.version = version
        channels, kernel_size = VERSIONS[version][0]
        self.conv1 = L.Conv2d(channels, kernel_size, 2, gain=GAIN)
        for i, (squeezed, expanded) in FIRES.items():
            setattr(self, f"fire{i}", Fire(squeezed, expanded))
        self.conv10 = L.Conv2d(classes, 1)

    def forward(self, x: Any) -> Variable:
        """(N, 3, H, W) -> scores (N, classes)."""
        x = F.relu(self.conv1(x))
        for i in FIRES:
            if i in VERSIONS[self.version][1]:
                x = F.pooling(x, 3, 2, cover_all=True)
            x = getattr(self, f"fire{i}")(x)
        x = F.relu(self.conv10(F.dropout(x)))
        return F.global_average_pooling(x)


class Fire(L.Layer):
    """A convolution of 1×1 to few channels, then one of 1×1 and one of 3×3 side by side.

    Args:
        squeezed: the few channels.
        expanded: the channels of each of the two; twice as many come out.
    """

    def __init__(self, squeezed: int, expanded: int) -> None:
        super().__init__()
        self.squeeze = L.Conv2d(squeezed, 1, gain=GAIN)
        self.expand1x1 = L.Conv2d(expanded, 1, gain=GAIN)
        self.expand3x3 = L.Conv2d(expanded, 3, pad=1, gain=GAIN)

    def forward(self, x: Any) -> Variable:
        """(N, C, H, W) -> (N, 2 * expanded, H, W)."""
        h = F.relu(self.squeeze(x))
        return F.relu(F.concat([self.expand1x1(h), self.expand3x3(h)], axis=1))
