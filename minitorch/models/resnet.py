"""`ResNet` with 50, 101 or 152 layers: bottlenecks with a shortcut around each."""

from typing import Any

from minitorch import functions as F
from minitorch import layers as L
from minitorch.errors import ConfigError
from minitorch.models.model import Model
from minitorch.models.pretrained import check_classes, dezero_weights
from minitorch.variable import Variable

BLOCKS = {50: (3, 4, 6, 3), 101: (3, 4, 23, 3), 152: (3, 8, 36, 3)}  # bottlenecks in each stage, by number of layers
VARIANTS = ("original", "torchvision")


class ResNet(Model):
    """The residual network of He, Zhang, Ren and Sun; with 50 layers 25,557,032 Parameters.

    Its paths are DeZero's: `conv1`, `bn1`, `res2.a.conv1`, `res2.b1.conv1`, ..., `fc6`.
    Source: "Deep Residual Learning for Image Recognition", CVPR 2016.

    Args:
        n_layers: 50, 101 or 152.
        pretrained: load the weights that DeZero published, trained on ImageNet; images go through
            `VGG16.preprocess` first.
        variant: where a stage makes the image smaller. "original": in its first 1×1 convolution, as in the paper and
            in DeZero's weights. "torchvision": in its first 3×3 convolution, as in the weights of that library.
        classes: the number of scores that it gives.

    Raises:
        ConfigError: there is no such number of layers or variant, or no weights of DeZero's for this variant.
        StateError: `pretrained` with a number of classes other than 1000.
        DownloadError: the weights can be neither found nor downloaded.
    """

    def __init__(
        self, n_layers: int = 152, pretrained: bool = False, *, variant: str = "original", classes: int = 1000
    ) -> None:
        super().__init__()
        if n_layers not in BLOCKS:
            raise ConfigError(f"ResNet: n_layers is {n_layers!r}; it can be {', '.join(map(str, BLOCKS))}")
        if variant not in VARIANTS:
            raise ConfigError(f"ResNet: variant is {variant!r}; it can be {' or '.join(map(repr, VARIANTS))}")
        self.n_layers = n_layers
        self.variant = variant
        self.conv1 = L.Conv2d(64, 7, 2, 3, nobias=True)
        self.bn1 = _norm(variant)
        counts = BLOCKS[n_layers]
        self.res2 = BuildingBlock(counts[0], 64, 1, variant)
        self.res3 = BuildingBlock(counts[1], 128, 2, variant)
        self.res4 = BuildingBlock(counts[2], 256, 2, variant)
        self.res5 = BuildingBlock(counts[3], 512, 2, variant)
        self.fc6 = L.Linear(classes)
        if pretrained:
            check_classes("ResNet", classes)
            if variant != "original":
                raise ConfigError(
                    "ResNet: DeZero's weights are for the variant 'original'; for those of torchvision use "
                    "minitorch.models.torchvision.load_torchvision_weights"
                )
            self.load_state_dict(without_first_bias(dezero_weights(f"resnet{n_layers}")))

    def forward(self, x: Any) -> Variable:
        """(N, 3, H, W) -> scores (N, classes)."""
        x = F.relu(self.bn1(self.conv1(x)))
        x = F.pooling(x, 3, 2, cover_all=True) if self.variant == "original" else F.pooling(x, 3, 2, 1)
        for stage in (self.res2, self.res3, self.res4, self.res5):
            x = stage(x)
        y: Variable = self.fc6(F.global_average_pooling(x))
        return y


class ResNet50(ResNet):
    """`ResNet` with 50 layers."""

    def __init__(self, pretrained: bool = False, *, variant: str = "original", classes: int = 1000) -> None:
        super().__init__(50, pretrained, variant=variant, classes=classes)


class ResNet101(ResNet):
    """`ResNet` with 101 layers."""

    def __init__(self, pretrained: bool = False, *, variant: str = "original", classes: int = 1000) -> None:
        super().__init__(101, pretrained, variant=variant, classes=classes)


class ResNet152(ResNet):
    """`ResNet` with 152 layers."""

    def __init__(self, pretrained: bool = False, *, variant: str = "original", classes: int = 1000) -> None:
        super().__init__(152, pretrained, variant=variant, classes=classes)


class BuildingBlock(L.Layer):
    """One stage: a bottleneck `a` that changes size and channels, then `b1`, `b2`, ... that keep them.

    Args:
        count: how many bottlenecks.
        channels: inside the bottlenecks; four times as many come out.
        stride: by how much `a` makes the image smaller.
        variant: of the `ResNet`.
    """

    def __init__(self, count: int, channels: int, stride: int, variant: str) -> None:
        super().__init__()
        self.a = Bottleneck(channels, stride, variant, project=True)
        self.names = ["a", *[f"b{i}" for i in range(1, count)]]
        for name in self.names[1:]:
            setattr(self, name, Bottleneck(channels, 1, variant, project=False))

    def forward(self, x: Any) -> Variable:
        """(N, C, H, W) -> (N, 4 * channels, H / stride, W / stride)."""
        for name in self.names:
            x = getattr(self, name)(x)
        y: Variable = x
        return y


class Bottleneck(L.Layer):
    """Three convolutions, the middle one on few channels, and a shortcut around them.

    Args:
        channels: of the first two convolutions; the third gives four times as many.
        stride: by how much the image becomes smaller.
        variant: of the `ResNet`.
        project: whether the shortcut is a convolution, `conv4`, or the input itself.
    """

    def __init__(self, channels: int, stride: int, variant: str, *, project: bool) -> None:
        super().__init__()
        first, second = (stride, 1) if variant == "original" else (1, stride)
        self.conv1 = L.Conv2d(channels, 1, first, nobias=True)
        self.bn1 = _norm(variant)
        self.conv2 = L.Conv2d(channels, 3, second, 1, nobias=True)
        self.bn2 = _norm(variant)
        self.conv3 = L.Conv2d(4 * channels, 1, nobias=True)
        self.bn3 = _norm(variant)
        self.project = project
        if project:
            self.conv4 = L.Conv2d(4 * channels, 1, stride, nobias=True)
            self.bn4 = _norm(variant)

    def forward(self, x: Any) -> Variable:
        """(N, C, H, W) -> (N, 4 * channels, H / stride, W / stride)."""
        h = F.relu(self.bn1(self.conv1(x)))
        h = F.relu(self.bn2(self.conv2(h)))
        h = self.bn3(self.conv3(h))
        shortcut = self.bn4(self.conv4(x)) if self.project else x
        return F.relu(h + shortcut)


def without_first_bias(state: dict[str, Any]) -> dict[str, Any]:
    """Weights in which the first convolution may have a bias, as Caffe's had, with it moved into what follows.

    Batch norm takes the mean away again, so the same bias less in the running mean gives the same output.
    """
    state = dict(state)
    bias = state.pop("conv1.b", None)
    if bias is not None:
        state["bn1.avg_mean"] = state["bn1.avg_mean"] - bias
    return state


def _norm(variant: str) -> L.BatchNorm:
    return L.BatchNorm(eps=2e-5 if variant == "original" else 1e-5)
