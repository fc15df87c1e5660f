"""Trains a variational autoencoder on MNIST: digits as points of a plane, and any point of the plane as a digit.

Source: Kingma and Welling, "Auto-Encoding Variational Bayes", ICLR 2014, with the networks of DeZero's example.
"""

import argparse
from pathlib import Path

import numpy as np

import minitorch
import minitorch.functions as F
import minitorch.layers as L
from minitorch import DataLoader, Model, Trainer, optimizers
from minitorch.cli import usage_errors
from minitorch.models import MLP
from minitorch.trainer.callbacks import ConsoleLogger, DevicePlacement, EpochTimer, ProgressBar

LATENT = 2  # so that it can be drawn


class VAE(Model):
    """An encoder that gives each image a normal distribution of points, and a decoder that draws a point's image."""

    def __init__(self, hidden_size):
        super().__init__()
        self.hidden = L.Linear(hidden_size)
        self.mean = L.Linear(LATENT)
        self.log_var = L.Linear(LATENT)
        self.decoder = MLP((hidden_size, 28 * 28), activation=F.relu)

    def encode(self, x):
        h = F.relu(self.hidden(x))
        return self.mean(h), self.log_var(h)

    def decode(self, z):
        """The pixels as scores: their sigmoid is the brightness."""
        return self.decoder(z)


class VAETrainer(Trainer):
    """Maximises the evidence lower bound: images must be decoded from a point that is drawn for each."""

    def training_step(self, batch):
        x, _ = batch
        mean, log_var = self.model.encode(x)
        noise = minitorch.random.normal("vae", mean.shape, xp=minitorch.cuda.get_array_module(x))
        z = mean + F.exp(0.5 * log_var) * noise
        reconstruction = F.sigmoid_cross_entropy(self.model.decode(z), x)
        divergence = 0.5 * (mean**2 + F.exp(log_var) - log_var - 1).sum() / len(x)
        self.log("reconstruction", reconstruction)
        self.log("divergence", divergence)
        return reconstruction + divergence

    def predict_step(self, batch):
        return self.model.encode(batch[0])[0] if isinstance(batch, tuple) else F.sigmoid(self.model.decode(batch))


def draw(trainer, dataset, path):
    """The digits all over the plane, and where the images of `dataset` lie in it."""
    from matplotlib.figure import Figure

    n, edge = 22, 3
    axis = np.linspace(-edge, edge, n, dtype=np.float32)
    points = np.stack(np.meshgrid(axis, axis[::-1]), axis=-1).reshape(-1, LATENT)
    images = trainer.predict([points]).reshape(n, n, 28, 28).transpose(0, 2, 1, 3).reshape(n * 28, n * 28)
    means = trainer.predict(DataLoader(dataset, 1000, shuffle=False))

    figure = Figure(figsize=(11, 5.4), layout="constrained")
    left, right = figure.subplots(1, 2)
    left.imshow(images, cmap="gray_r", extent=(-edge, edge, -edge, edge), vmin=0, vmax=1)
    left.set_title("What is decoded at each point")
    for digit in range(10):
        of_digit = means[dataset.label == digit]
        right.scatter(of_digit[:, 0], of_digit[:, 1], s=3, color=f"C{digit}", alpha=0.5, linewidths=0, label=str(digit))
    right.set(title="Where test images are encoded", xlim=(-edge, edge), ylim=(-edge, edge), aspect="equal")
    right.legend(markerscale=4, frameon=False, loc="upper left", bbox_to_anchor=(1, 1))
    figure.savefig(path, dpi=120)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--epochs", type=int, default=10, help="passes over the training images (10)")
    parser.add_argument("--steps", type=int, help="stop after so many updates, within an epoch too")
    parser.add_argument("--batch-size", type=int, default=100, help="images in a batch (100)")
    parser.add_argument("--hidden", type=int, default=512, help="size of the hidden layers (512)")
    parser.add_argument("--lr", type=float, default=0.001, help="learning rate of Adam (0.001)")
    parser.add_argument("--device", default="auto", help="cpu, cuda, cuda:1, or auto: a GPU if one works (auto)")
    parser.add_argument("--seed", type=int, default=0, help="of weights, order and noise (0)")
    parser.add_argument("--picture", type=Path, help="draw the plane into this PNG file (needs minitorch[plots])")
    args = parser.parse_args()

    minitorch.seed(args.seed)
    train_set, test_set = minitorch.datasets.MNIST(train=True), minitorch.datasets.MNIST(train=False)
    trainer = VAETrainer(
        VAE(args.hidden),
        optimizers.Adam(args.lr),
        callbacks=[DevicePlacement(args.device), EpochTimer(), ProgressBar(), ConsoleLogger()],
    )
    result = trainer.fit(
        DataLoader(train_set, args.batch_size),
        DataLoader(test_set, 1000, shuffle=False),
        epochs=args.epochs,
        steps=args.steps,
    )
    print(f"minus the evidence lower bound: {result.metrics['loss']:.2f}")
    if args.picture:
        draw(trainer, test_set, args.picture)
        print(f"picture: {args.picture}")


if __name__ == "__main__":
    with usage_errors():
        main()
