"""`VGG16`: convolutions of 3×3, deep and plain."""

from typing import Any

import numpy as np

from minitorch import functions as F
from minitorch import layers as L
from minitorch.errors import DTypeError
from minitorch.models.model import Model
from minitorch.models.pretrained import check_classes, dezero_weights
from minitorch.variable import Variable

WIDTHS = ((64, 2), (128, 2), (256, 3), (512, 3), (512, 3))  # channels, and how many convolutions, in each stage


class VGG16(Model):
    """The network with 16 layers of weights of Simonyan and Zisserman, 138,357,544 Parameters.

    Its paths are DeZero's: `conv1_1`, ..., `conv5_3`, `fc6`, `fc7`, `fc8`. The size of its input is free until the
    first call fixes that of `fc6`; trained weights are for 224 × 224.
    Source: "Very Deep Convolutional Networks for Large-Scale Image Recognition", ICLR 2015.

    Args:
        pretrained: load the weights that DeZero published, trained on ImageNet; images go through `preprocess` first.
        classes: the number of scores that it gives.

    Raises:
        StateError: `pretrained` with a number of classes other than 1000.
        DownloadError: the weights can be neither found nor downloaded.
    """

    def __init__(self, pretrained: bool = False, *, classes: int = 1000) -> None:
        super().__init__()
        for stage, (channels, count) in enumerate(WIDTHS, start=1):
            for i in range(1, count + 1):
                setattr(self, f"conv{stage}_{i}", L.Conv2d(channels, kernel_size=3, pad=1))
        self.fc6 = L.Linear(4096)
        self.fc7 = L.Linear(4096)
        self.fc8 = L.Linear(classes)
        if pretrained:
            check_classes("VGG16", classes)
            self.load_state_dict(dezero_weights("vgg16"))

    def forward(self, x: Any) -> Variable:
        """(N, 3, H, W) -> scores (N, classes)."""
        for stage, (_, count) in enumerate(WIDTHS, start=1):
            for i in range(1, count + 1):
                x = F.relu(getattr(self, f"conv{stage}_{i}")(x))
            x = F.pooling(x, 2, 2)
        x = F.flatten(x)
        x = F.dropout(F.relu(self.fc6(x)))
        x = F.dropout(F.relu(self.fc7(x)))
        y: Variable = self.fc8(x)
        return y

    @staticmethod
    def preprocess(image: Any, size: tuple[int, int] | None = (224, 224), dtype: Any = np.float32) -> Any:
        """A Pillow image as the weights of DeZero want it: (3, H, W), channels blue, green, red, less their mean.

        Args:
            image: of any mode.
            size: (width, height) to scale it to; None leaves it as it is.
            dtype: of the array.

        Raises:
            DTypeError: `image` is no Pillow image.
        """
        if not hasattr(image, "convert"):
            raise DTypeError(
                f"VGG16.preprocess: got {type(image).__name__}; give a Pillow image, such as Image.open(path)"
            )
        image = image.convert("RGB")
        if size is not None:
            image = image.resize(size)
        pixels = np.asarray(image, dtype=dtype)[:, :, ::-1]
        means = np.array([103.939, 116.779, 123.68], dtype=dtype)  # of the images of ImageNet
        return (pixels - means).transpose(2, 0, 1)
