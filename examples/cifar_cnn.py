"""Trains a small convolutional network on images of ten classes: photographs, clothes, or digits.

CIFAR10 and FashionMNIST are downloaded where they are not found; the digits of MNIST come with the project.
"""

import argparse
from pathlib import Path

import minitorch
import minitorch.functions as F
import minitorch.layers as L
from minitorch import DataLoader, Trainer, datasets, optimizers
from minitorch.cli import usage_errors
from minitorch.models import Sequential
from minitorch.trainer.callbacks import (
    ConsoleLogger,
    DevicePlacement,
    EpochTimer,
    PlotCurves,
    ProgressBar,
    SampleImages,
)
from minitorch.transforms import Compose, Normalize, RandomCrop, RandomHorizontalFlip, ToFloat

DATASETS = {"mnist": datasets.MNIST, "fashion": datasets.FashionMNIST, "cifar10": datasets.CIFAR10}
SCALED = [ToFloat(), Normalize(127.5, 127.5)]  # pixels from -1 to 1
CHANGED = {  # random changes that leave an image of its class what it is
    "mnist": [RandomCrop(28, padding=2)],
    "fashion": [RandomHorizontalFlip()],
    "cifar10": [RandomCrop(32, padding=4), RandomHorizontalFlip()],
}


def convolution(channels, stride=1):
    """A convolution of 3×3, normalised and rectified."""
    return [L.Conv2d(channels, kernel_size=3, stride=stride, pad=1, nobias=True), L.BatchNorm(), F.relu]


def halved(x):
    """Of every 2×2 pixels the largest."""
    return F.pooling(x, kernel_size=2, stride=2)


def network(channels):
    """Three stages, each of half the size and twice the channels of the one before: images -> scores (N, 10)."""
    return Sequential(
        *convolution(channels),
        halved,
        *convolution(2 * channels),
        halved,
        *convolution(4 * channels),
        F.global_average_pooling,
        L.Linear(10),
    )


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", choices=DATASETS, default="mnist", help="the images (mnist)")
    parser.add_argument("--epochs", type=int, default=3, help="passes over the training images (3)")
    parser.add_argument("--steps", type=int, help="stop after so many updates, within an epoch too")
    parser.add_argument("--batch-size", type=int, default=128, help="images in a batch (128)")
    parser.add_argument("--channels", type=int, default=16, help="of the first stage (16)")
    parser.add_argument("--lr", type=float, default=0.003, help="learning rate of AdamW (0.003)")
    parser.add_argument("--device", default="auto", help="cpu, cuda, cuda:1, or auto: a GPU if one works (auto)")
    parser.add_argument("--seed", type=int, default=0, help="of weights, order and changes of the images (0)")
    parser.add_argument("--pictures", type=Path, help="folder for curves and the worst test images (minitorch[plots])")
    args = parser.parse_args()

    minitorch.seed(args.seed)
    dataset = DATASETS[args.data]
    train_set = dataset(train=True, transform=Compose(CHANGED[args.data] + SCALED))
    test_set = dataset(train=False, transform=Compose(SCALED))
    train_loader = DataLoader(train_set, args.batch_size)
    test_loader = DataLoader(test_set, args.batch_size, shuffle=False)
    callbacks = [DevicePlacement(args.device), EpochTimer(), ProgressBar(), ConsoleLogger()]
    if args.pictures:
        callbacks.append(PlotCurves(args.pictures))
        callbacks.append(SampleImages(args.pictures, test_loader, classes=list(dataset.labels().values())))
    trainer = Trainer(
        network(args.channels),
        optimizers.AdamW(args.lr),
        loss=F.softmax_cross_entropy,
        metrics={"accuracy": F.accuracy},
        callbacks=callbacks,
    )
    result = trainer.fit(train_loader, test_loader, epochs=args.epochs, steps=args.steps)
    if args.pictures:
        print(f"pictures: {args.pictures}")
    print(f"test accuracy {trainer.evaluate(test_loader)['accuracy']:.4f} after {result.state.step} steps")


if __name__ == "__main__":
    with usage_errors():
        main()
