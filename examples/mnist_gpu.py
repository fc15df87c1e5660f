"""Trains a fully connected network on MNIST with a Trainer, on the GPU if one works.

It is the network of *Deep Learning from Scratch 3*, step 52: 784-1000-10, sigmoid, SGD, batches of 100, 5 epochs.
The same loop written by hand is in handwritten_loop.py.
"""

import argparse
from pathlib import Path

import minitorch
import minitorch.functions as F
from minitorch import DataLoader, Every, Trainer, optimizers
from minitorch.cli import usage_errors
from minitorch.models import MLP
from minitorch.trainer import run_folder
from minitorch.trainer.callbacks import (
    Checkpoint,
    ConsoleLogger,
    DevicePlacement,
    EpochTimer,
    JSONLLogger,
    ProgressBar,
)

DATA = Path(__file__).parent / "data" / "mnist"


class MnistTrainer(Trainer):
    """Says what is computed on a batch; everything else is the Trainer's and the callbacks' work."""

    def training_step(self, batch):
        x, t = batch
        y = self.model(x)
        self.log("accuracy", F.accuracy(y, t))
        return F.softmax_cross_entropy(y, t)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--epochs", type=int, default=5, help="epochs in all, resumed ones included (5)")
    parser.add_argument("--batch-size", type=int, default=100, help="samples in a batch (100)")
    parser.add_argument("--lr", type=float, default=0.01, help="learning rate (0.01)")
    parser.add_argument("--device", default="auto", help="cpu, cuda, cuda:1, or auto: a GPU if one works (auto)")
    parser.add_argument("--seed", type=int, default=0, help="of weights and order (0)")
    parser.add_argument(
        "--out", type=Path, default=Path("runs/mnist"), help="where the run gets a new folder (runs/mnist)"
    )
    parser.add_argument("--resume", metavar="PATH", help='a checkpoint, or "auto" for the newest run in --out')
    args = parser.parse_args()

    minitorch.seed(args.seed)
    train_loader = DataLoader(minitorch.datasets.MNIST(train=True, root=DATA), args.batch_size)
    test_loader = DataLoader(minitorch.datasets.MNIST(train=False, root=DATA), args.batch_size, shuffle=False)

    folder = run_folder(args.out, args.resume)
    trainer = MnistTrainer(
        MLP((1000, 10)),
        optimizers.SGD(args.lr),
        callbacks=[
            DevicePlacement(args.device),
            EpochTimer(),
            ProgressBar(),
            ConsoleLogger(),
            JSONLLogger(folder),
            Checkpoint(folder, every=Every(epochs=1)),
        ],
    )
    result = trainer.fit(train_loader, test_loader, epochs=args.epochs, resume=args.resume)
    if "val_accuracy" in result.metrics:  # not if the run was stopped in its first epoch
        print(f"test accuracy {result.metrics['val_accuracy']:.4f} after {result.state.epoch} epochs")


if __name__ == "__main__":
    with usage_errors():
        main()
