"""Trains a small network to tell three spirals apart, and draws where it puts the borders.

The data and the network are those of *Deep Learning from Scratch 3*, steps 48 and 49.
"""

import argparse
from pathlib import Path

import numpy as np

import minitorch
import minitorch.functions as F
from minitorch import DataLoader, Trainer, optimizers
from minitorch.cli import usage_errors
from minitorch.models import MLP


def draw(model, dataset, path):
    """The classes of all points of the plane as colours, and the samples as dots."""
    from matplotlib.figure import Figure

    axis = np.linspace(-1.1, 1.1, 300, dtype=np.float32)
    points = np.stack(np.meshgrid(axis, axis), axis=-1).reshape(-1, 2)
    with minitorch.no_grad():
        classes = model(points).data.argmax(axis=1).reshape(300, 300)
    figure = Figure(figsize=(5, 5), layout="constrained")
    plot = figure.add_subplot(aspect="equal", xlabel="x0", ylabel="x1", title="Spiral: borders and samples")
    plot.contourf(axis, axis, classes, levels=[-0.5, 0.5, 1.5, 2.5], colors=["#88CCEE", "#DDCC77", "#CC6677"])
    for c, marker in enumerate("o^s"):
        x = dataset.data[dataset.label == c]
        plot.plot(x[:, 0], x[:, 1], marker, color="#222222", markersize=4, label=f"class {c}")
    plot.legend(loc="upper right")
    figure.savefig(path, dpi=120)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--epochs", type=int, default=300, help="epochs (300)")
    parser.add_argument("--hidden", type=int, default=10, help="size of the hidden layer (10)")
    parser.add_argument("--seed", type=int, default=0, help="of weights and order (0)")
    parser.add_argument("--picture", type=Path, help="draw the borders into this PNG file (needs minitorch[plots])")
    args = parser.parse_args()

    minitorch.seed(args.seed)
    train_set = minitorch.datasets.Spiral(train=True)
    test_set = minitorch.datasets.Spiral(train=False)
    model = MLP((args.hidden, 3))
    trainer = Trainer(
        model,
        optimizers.SGD(1.0),
        loss=F.softmax_cross_entropy,
        metrics={"accuracy": F.accuracy},
        callbacks=[],
    )
    result = trainer.fit(DataLoader(train_set, 30), DataLoader(test_set, 30, shuffle=False), epochs=args.epochs)
    for epoch in range(0, len(result.history), max(1, len(result.history) // 10)):
        print(f"epoch {epoch + 1:>4}: " + "  ".join(f"{k} {v:.4f}" for k, v in result.history[epoch].items()))
    print("at the end: " + "  ".join(f"{k} {v:.4f}" for k, v in result.metrics.items()))
    if args.picture:
        draw(model, train_set, args.picture)
        print(f"picture: {args.picture}")


if __name__ == "__main__":
    with usage_errors():
        main()
