"""Trains a generative adversarial network on MNIST: one network invents digits, another tells them from real ones.

Source: Goodfellow et al., "Generative Adversarial Nets", NeurIPS 2014; the networks are like those of DeZero's example,
with fewer channels.
"""

import argparse
from pathlib import Path

import minitorch
import minitorch.functions as F
import minitorch.layers as L
from minitorch import DataLoader, Model, Trainer, optimizers
from minitorch.cli import usage_errors
from minitorch.models import Sequential
from minitorch.trainer.callbacks import Checkpoint, ConsoleLogger, DevicePlacement, EpochTimer, ProgressBar
from minitorch.transforms import Compose, Normalize, ToFloat

LATENT = 100


class GAN(Model):
    """A generator, (N, 100) -> (N, 1, 28, 28), and a discriminator, (N, 1, 28, 28) -> (N, 1): scores for "real"."""

    def __init__(self, channels):
        super().__init__()
        self.generator = Sequential(
            *[L.Linear(4 * channels * 7 * 7), L.BatchNorm(), F.relu],
            lambda x: x.reshape(-1, 4 * channels, 7, 7),
            *[L.Deconv2d(2 * channels, kernel_size=4, stride=2, pad=1), L.BatchNorm(), F.relu],
            *[L.Deconv2d(1, kernel_size=4, stride=2, pad=1), F.sigmoid],
        )
        self.discriminator = Sequential(
            *[L.Conv2d(channels, kernel_size=4, stride=2, pad=1), F.leaky_relu],
            *[L.Conv2d(2 * channels, kernel_size=4, stride=2, pad=1), L.BatchNorm(), F.leaky_relu],
            *[F.flatten, L.Linear(1)],
        )


class GANTrainer(Trainer):
    """Updates the discriminator, then the generator, each by an optimizer of its own, in each step."""

    def training_step(self, batch):
        real, _ = batch
        noise = minitorch.random.normal("gan", (len(real), LATENT), xp=minitorch.cuda.get_array_module(real))
        self.fake = self.model.generator(noise)
        score, fake_score = self.model.discriminator(real), self.model.discriminator(self.fake.data)
        return F.softplus(-score).mean() + F.softplus(fake_score).mean()

    def optimizer_step(self):
        self.optimizers["discriminator"].update()
        loss = F.softplus(-self.model.discriminator(self.fake)).mean()
        self.log("generator_loss", loss)
        self.model.cleargrads()  # those of the discriminator's loss
        loss.backward()
        self.optimizers["generator"].update()
        self.fake = None

    def predict_step(self, batch):
        return self.model.generator(batch)


def draw(images, path):
    """The images (N, 1, 28, 28), side by side in rows of 16."""
    from matplotlib.figure import Figure

    rows = len(images) // 16
    sheet = images.reshape(rows, 16, 28, 28).transpose(0, 2, 1, 3).reshape(rows * 28, 16 * 28)
    figure = Figure(figsize=(8, 8 * rows / 16 + 0.4), layout="constrained")
    plot = figure.add_subplot()
    plot.set_axis_off()
    plot.set_title("Digits that nobody has written")
    plot.imshow(sheet, cmap="gray_r", vmin=0, vmax=1)
    figure.savefig(path, dpi=120)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--epochs", type=int, default=5, help="passes over the training images (5)")
    parser.add_argument("--steps", type=int, help="stop after so many updates, within an epoch too")
    parser.add_argument("--batch-size", type=int, default=128, help="images in a batch (128)")
    parser.add_argument("--channels", type=int, default=16, help="of the discriminator's first layer (16)")
    parser.add_argument("--lr", type=float, default=0.0005, help="learning rate of both optimizers (0.0005)")
    parser.add_argument("--device", default="auto", help="cpu, cuda, cuda:1, or auto: a GPU if one works (auto)")
    parser.add_argument("--seed", type=int, default=0, help="of weights, order and noise (0)")
    parser.add_argument("--out", type=Path, metavar="FOLDER", help="keep checkpoints there")
    parser.add_argument("--resume", metavar="PATH", help='a checkpoint, or "auto" for the newest in --out')
    parser.add_argument("--picture", type=Path, help="draw 128 new digits into this PNG file (needs minitorch[plots])")
    args = parser.parse_args()

    minitorch.seed(args.seed)
    train_set = minitorch.datasets.MNIST(train=True, transform=Compose([ToFloat(), Normalize(0.0, 255.0)]))
    trainer = GANTrainer(
        GAN(args.channels),
        {name: optimizers.Adam(args.lr, beta1=0.5) for name in ("discriminator", "generator")},
        callbacks=[
            DevicePlacement(args.device),
            EpochTimer(),
            ProgressBar(),
            ConsoleLogger(),
            *([] if args.out is None else [Checkpoint(args.out, overwrite=args.resume is None)]),
        ],
    )
    train = DataLoader(train_set, args.batch_size, drop_last=True)
    trainer.fit(train, epochs=args.epochs, steps=args.steps, resume=args.resume)
    if args.picture:
        noise = minitorch.random.normal("gan", (128, LATENT))
        draw(trainer.predict([noise]), args.picture)
        print(f"picture: {args.picture}")


if __name__ == "__main__":
    with usage_errors():
        main()
