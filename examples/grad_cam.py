"""Shows where a network looks: Grad-CAM maps of digits, for a network trained for a moment, or of a photograph.

Source: Selvaraju et al., "Grad-CAM: Visual Explanations from Deep Networks via Gradient-Based Localization", ICCV 2017.
"""

import argparse
from pathlib import Path

import numpy as np

import minitorch
import minitorch.functions as F
import minitorch.layers as L
from minitorch import DataLoader, Model, Trainer, Variable, optimizers
from minitorch.cli import usage_errors
from minitorch.models import VGG16, Sequential
from minitorch.trainer.callbacks import ConsoleLogger
from minitorch.transforms import Compose, Normalize, ToFloat


class DigitNet(Model):
    """A small convolutional network in two parts: `features`, images to maps, and `head`, maps to scores."""

    def __init__(self):
        super().__init__()
        self.features = Sequential(
            *[L.Conv2d(8, kernel_size=5, pad=2), F.relu, lambda x: F.pooling(x, 2, 2)],
            *[L.Conv2d(16, kernel_size=3, pad=1), L.BatchNorm(), F.relu],
        )
        self.head = Sequential(lambda x: F.pooling(x, 2, 2), F.flatten, L.Linear(64), F.relu, L.Linear(10))

    def forward(self, x):
        return self.head(self.features(x))


class VGG16InParts(VGG16):
    """VGG16 cut behind its last convolution."""

    def features(self, x):
        for stage, count in enumerate((2, 2, 3, 3, 3), start=1):
            x = x if stage == 1 else F.pooling(x, 2, 2)
            for i in range(1, count + 1):
                x = F.relu(getattr(self, f"conv{stage}_{i}")(x))
        return x

    def head(self, x):
        x = F.flatten(F.pooling(x, 2, 2))
        return self.fc8(F.relu(self.fc7(F.relu(self.fc6(x)))))


def grad_cam(model, x):
    """The class that each image (N, C, H, W) is taken for, (N,), and how much each place speaks for it, (N, h, w)."""
    with minitorch.test_mode():
        features = Variable(model.features(x).data)  # a leaf of its own, so that its gradient is kept
        scores = model.head(features)
        classes = scores.data.argmax(axis=1)
        scores[np.arange(len(classes)), classes].sum().backward()
    weights = features.grad.data.mean(axis=(2, 3), keepdims=True)
    maps = np.maximum((weights * features.data).sum(axis=1), 0)
    return classes, maps / np.maximum(maps.max(axis=(1, 2), keepdims=True), 1e-12)


def draw(images, maps, titles, path):
    """Each image (H, W) or (H, W, 3), and below it the same under its map."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(1.2 * len(images), 2.7) if len(images) > 1 else (5, 10), layout="constrained")
    grid = figure.subplots(2, len(images), squeeze=False)
    for axes in grid.ravel():
        axes.set_axis_off()
    for (above, below), image, heat, title in zip(grid.T, images, maps, titles, strict=True):
        above.set_title(title, fontsize=10)
        for axes in (above, below):
            axes.imshow(image, cmap="gray_r")
        extent = (-0.5, image.shape[1] - 0.5, image.shape[0] - 0.5, -0.5)
        below.imshow(heat, cmap="OrRd", alpha=0.65, extent=extent, interpolation="bilinear", vmin=0, vmax=1)
    figure.savefig(path, dpi=150)


def on_digits(steps, count):
    """Train on MNIST; some test images, their maps, and titles for them."""
    transform = Compose([ToFloat(), Normalize(0.0, 255.0)])
    train_set = minitorch.datasets.MNIST(train=True, transform=transform)
    test_set = minitorch.datasets.MNIST(train=False, transform=transform)
    model = DigitNet()
    trainer = Trainer(model, optimizers.Adam(0.002), loss=F.softmax_cross_entropy, callbacks=[ConsoleLogger()])
    trainer.fit(DataLoader(train_set, 64), steps=steps)
    x, t = test_set.batch(range(count))
    classes, maps = grad_cam(model, x)
    print(f"{(classes == t).sum()} of {count} images taken for what they are")
    return x[:, 0], maps, [f"taken for {c}" for c in classes]


def on_photograph(path):
    """The photograph as VGG16 sees it, the map, and a title."""
    from PIL import Image

    image = Image.open(path)
    classes, maps = grad_cam(VGG16InParts(pretrained=True), VGG16.preprocess(image)[None])
    return [np.asarray(image.convert("RGB").resize((224, 224)))], maps, [f"class {classes[0]} of ImageNet"]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=300, help="updates of the network for digits (300)")
    parser.add_argument("--limit", type=int, default=10, help="how many digits to show (10)")
    parser.add_argument("--image", type=Path, help="a photograph instead, for VGG16 (downloads its weights, 500 MB)")
    parser.add_argument("--seed", type=int, default=0, help="of weights and order (0)")
    parser.add_argument("--picture", type=Path, default=Path("grad_cam.png"), help="the PNG file (grad_cam.png)")
    args = parser.parse_args()

    minitorch.seed(args.seed)
    draw(*(on_photograph(args.image) if args.image else on_digits(args.steps, args.limit)), args.picture)
    print(f"picture: {args.picture}")


if __name__ == "__main__":
    with usage_errors():
        main()
