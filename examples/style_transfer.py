"""Paints one picture in the style of another: an image is the Parameter, a convolutional network judges it.

Source: Gatys, Ecker and Bethge, "Image Style Transfer Using Convolutional Neural Networks", CVPR 2016. With random
weights it works too, if less well: He, Wang and Hopcroft, "A Powerful Generative Model Using Random Weights for the
Deep Image Representation", NeurIPS 2016.
"""

import argparse
from pathlib import Path

import numpy as np

import minitorch
import minitorch.functions as F
from minitorch import Every, Model, Parameter, Trainer, optimizers
from minitorch.cli import usage_errors
from minitorch.errors import DownloadError
from minitorch.models import VGG16
from minitorch.trainer.callbacks import DevicePlacement

MEAN = np.array([103.939, 116.779, 123.68], np.float32).reshape(3, 1, 1)  # of ImageNet: blue, green, red
CONTENT = 3  # the stage whose maps stand for what is in the image; its colours and all stages make its style


class Painting(Model):
    """The image to be painted, (1, 3, H, W) from 0 to 1 in red, green and blue, and the network that looks at it."""

    def __init__(self, image, network):
        super().__init__()
        self.image = Parameter(image.copy())
        self.mean = Parameter(MEAN, requires_grad=False)
        self.network = network
        for param in network.params():
            param.requires_grad = False

    def forward(self, image):
        """What the network sees of an image: its colours, and the maps (1, C, h, w) of each of four stages."""
        x = image[:, ::-1] * 255 - self.mean
        maps = [x]
        for stage, count in enumerate((2, 2, 2, 1), start=1):
            for i in range(1, count + 1):
                x = F.relu(getattr(self.network, f"conv{stage}_{i}")(x))
            maps.append(x)
            x = F.average_pooling(x, 2, 2)
        return maps


def gram(maps):
    """How much each channel goes together with each other one, wherever in the image: (C, C)."""
    rows = maps.reshape(maps.shape[1], -1)
    return rows @ rows.T / rows.shape[1]


def distance(x, target):
    """The squared difference, as a share of the square of `target`."""
    return ((x - target) ** 2).sum() / (target**2).sum()


def roughness(image):
    """How much neighbouring pixels differ."""
    return F.abs(image[:, :, 1:] - image[:, :, :-1]).mean() + F.abs(image[:, :, :, 1:] - image[:, :, :, :-1]).mean()


class Painter(Trainer):
    """Moves the maps of the image towards those of the content, and their Gram matrices towards those of the style."""

    def __init__(self, *args, style_weight, **settings):
        super().__init__(*args, **settings)
        self.style_weight = style_weight
        self.wanted = None

    def training_step(self, batch):
        if self.wanted is None:
            content, style = batch
            with minitorch.no_grad():
                self.wanted = self.model(minitorch.as_variable(content))[CONTENT], list(map(gram, self.model(style)))
        maps = self.model(self.model.image)
        content_loss = distance(maps[CONTENT], self.wanted[0])
        style_loss = sum(distance(gram(x), target) for x, target in zip(maps, self.wanted[1], strict=True))
        self.log("content", content_loss)
        self.log("style", style_loss)
        return content_loss + self.style_weight * style_loss + 0.3 * roughness(self.model.image)

    def optimizer_step(self):
        super().optimizer_step()
        image = self.model.image.data
        image.clip(0, 1, out=image)

    def on_batch_end(self, outputs):
        if outputs.metrics:
            print(f"step {self.state.step:>4}: " + "  ".join(f"{k} {v:.4f}" for k, v in outputs.metrics.items()))


def landscape(size):
    """A sun above hills, to be painted: (size, size, 3)."""
    y, x = np.mgrid[0 : 1 : size * 1j, 0 : 1 : size * 1j]
    image = np.stack([0.55 + 0.4 * y, 0.75 + 0.1 * y, 0.95 - 0.2 * y], axis=-1)
    image[np.hypot(x - 0.68, y - 0.3) < 0.14] = 0.98, 0.85, 0.3
    image[y > 0.62 + 0.1 * np.sin(7 * x)] = 0.3, 0.55, 0.35
    image[y > 0.78 + 0.08 * np.sin(5 * x + 2)] = 0.15, 0.35, 0.25
    return image


def waves(size):
    """Curved bands of blue and gold, to paint like: (size, size, 3)."""
    y, x = np.mgrid[0 : 1 : size * 1j, 0 : 1 : size * 1j]
    band = np.sin(40 * (y + 0.12 * np.sin(9 * x)) + 3 * np.sin(13 * x + 5 * y))
    shade = 0.5 + 0.5 * np.clip(3 * band, -1, 1)[..., None]
    gold, blue = np.array([0.95, 0.75, 0.25]), np.array([0.1, 0.2, 0.5])
    return shade * gold + (1 - shade) * blue + 0.05 * np.sin(150 * (x + y))[..., None]


def read(path, size):
    """The picture in a file, scaled to (size, size, 3), from 0 to 1."""
    from PIL import Image

    return np.asarray(Image.open(path).convert("RGB").resize((size, size))) / 255


def vgg16(pretrained):
    """VGG16, with the weights of ImageNet if they are wanted and can be had."""
    try:
        return VGG16(pretrained=pretrained)
    except DownloadError as error:
        print(f"note: random weights, since those of ImageNet could not be had: {error}")
        return VGG16()


def draw(images, path):
    """The images (3, H, W) side by side, with their titles."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(4 * len(images), 4.3), layout="constrained")
    for axes, (title, image) in zip(figure.subplots(1, len(images)), images.items(), strict=True):
        axes.set_axis_off()
        axes.set_title(title)
        axes.imshow(image.transpose(1, 2, 0).clip(0, 1), interpolation="bicubic")
    figure.savefig(path, dpi=120)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--content", type=Path, help="the picture to be painted (a drawn landscape)")
    parser.add_argument("--style", type=Path, help="the picture to paint like (drawn waves)")
    parser.add_argument("--steps", type=int, default=150, help="updates of the image (150)")
    parser.add_argument("--size", type=int, default=128, help="width and height of the image (128)")
    parser.add_argument("--style-weight", type=float, default=3.0, help="of the style against the content (3.0)")
    parser.add_argument("--lr", type=float, default=0.02, help="learning rate of Adam (0.02)")
    parser.add_argument("--pretrained", action="store_true", help="use weights of ImageNet (downloads 500 MB)")
    parser.add_argument("--device", default="auto", help="cpu, cuda, cuda:1, or auto: a GPU if one works (auto)")
    parser.add_argument("--picture", type=Path, default=Path("style.png"), help="the PNG file (style.png)")
    args = parser.parse_args()
    if args.size < 16:
        parser.error(f"--size is {args.size}; the network halves it four times, so it must be at least 16")

    pictures = [
        read(args.content, args.size) if args.content else landscape(args.size),
        read(args.style, args.size) if args.style else waves(args.size),
    ]
    content, style = [picture.astype(np.float32).transpose(2, 0, 1)[None] for picture in pictures]
    painting = Painting(content, vgg16(args.pretrained))
    painter = Painter(
        painting,
        optimizers.Adam(args.lr),
        style_weight=args.style_weight,
        callbacks=[DevicePlacement(args.device)],
        log_every=Every(steps=10),
    )
    painter.fit([(content, style)], steps=args.steps)
    image = minitorch.as_numpy(painting.image.data)
    draw({"content": content[0], "style": style[0], "content in this style": image[0]}, args.picture)
    print(f"picture: {args.picture}")


if __name__ == "__main__":
    with usage_errors():
        main()
