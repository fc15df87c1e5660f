"""Trains a recurrent network to predict a noisy sine, by backpropagation through time that is cut every few steps.

The data and the network are those of *Deep Learning from Scratch 3*, steps 59 (RNN) and 60 (LSTM).
"""

import argparse
from pathlib import Path

import numpy as np

import minitorch
import minitorch.functions as F
import minitorch.layers as L
from minitorch import Model, SeqDataLoader, Trainer, optimizers
from minitorch.cli import usage_errors
from minitorch.datasets import ArrayDataset, SinCurve

CELLS = {"rnn": L.RNN, "lstm": L.LSTM}


class Predictor(Model):
    """The value at the next time step from the one at this step, and from all before it through the cell's state."""

    def __init__(self, cell, hidden_size):
        super().__init__()
        self.cell = CELLS[cell](hidden_size)
        self.out = L.Linear(1)

    def forward(self, x):
        return self.out(self.cell(x))


class SequenceTrainer(Trainer):
    """Goes through a batch of windows, (N, T, 1), step by step; the state lives on from batch to batch."""

    def training_step(self, batch):
        x, t = batch
        losses = [F.mean_squared_error(self.model(x[:, i]), t[:, i]) for i in range(x.shape[1])]
        return sum(losses) / len(losses)

    def on_epoch_start(self):
        if self.state.batch == 0:  # an epoch resumed in its middle goes on with its state
            self.model.cell.reset_state()

    def on_batch_end(self, outputs):
        outputs.loss.unchain_backward()  # the state keeps its numbers, and forgets how it was computed


def windows(dataset, length):
    """The series cut into windows of so many time steps: x and t of shape (n, length, 1)."""
    n = len(dataset) // length
    return ArrayDataset(*[a[: n * length].reshape(n, length, 1) for a in (dataset.data, dataset.label)])


def predicted(model, series, heard):
    """What the model says after each value; from time step `heard` on it is given its own words instead."""
    model.cell.reset_state()
    y = []
    with minitorch.no_grad():
        for i in range(len(series)):
            y.append(model(series[i : i + 1] if i < heard else y[-1]).data)
    return np.concatenate(y)[:, 0]


def draw(model, series, path):
    """The cosine, the prediction of each next value, and how the network goes on alone."""
    from matplotlib.figure import Figure

    n, heard = len(series), len(series) // 2
    figure = Figure(figsize=(8, 4), layout="constrained")
    plot = figure.add_subplot(xlabel="time step", title="A cosine, predicted by a network that has learned a sine")
    plot.plot(series[:, 0], color="#BBBBBB", linewidth=6, label="cosine")
    ahead = predicted(model, series, n)
    plot.plot(np.arange(1, n + 1), ahead, color="#0072B2", label="next value, after the true ones")
    own = predicted(model, series, heard)[heard - 1 :]
    plot.plot(np.arange(heard, n + 1), own, "--", color="#D55E00", label="next value, after its own")
    plot.spines[["top", "right"]].set_visible(False)
    plot.legend(frameon=False, loc="upper center")
    figure.savefig(path, dpi=120)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cell", choices=CELLS, default="lstm", help="the layer that keeps the state (lstm)")
    parser.add_argument("--epochs", type=int, default=100, help="passes over the series (100)")
    parser.add_argument("--hidden", type=int, default=100, help="size of the state (100)")
    parser.add_argument("--length", type=int, default=30, help="time steps between two cuts (30)")
    parser.add_argument("--batch-size", type=int, default=11, help="stretches of the series learned side by side (11)")
    parser.add_argument("--seed", type=int, default=0, help="of the weights (0)")
    parser.add_argument("--picture", type=Path, help="draw predictions into this PNG file (needs minitorch[plots])")
    args = parser.parse_args()
    if args.length < 1:
        parser.error(f"--length is {args.length}; it must be at least 1")

    minitorch.seed(args.seed)
    loader = SeqDataLoader(windows(SinCurve(train=True), args.length), args.batch_size)
    model = Predictor(args.cell, args.hidden)
    trainer = SequenceTrainer(model, optimizers.Adam(), callbacks=[])
    result = trainer.fit(loader, epochs=args.epochs)
    for epoch in range(0, len(result.history), max(1, len(result.history) // 10)):
        print(f"epoch {epoch + 1:>4}: loss {result.history[epoch]['loss']:.6f}")
    test_set = SinCurve(train=False)
    error = predicted(model, test_set.data, len(test_set)) - test_set.label[:, 0]
    print(f"at the end: loss {result.metrics['loss']:.6f}, on the cosine {np.mean(error**2):.6f}")
    if args.picture:
        draw(model, test_set.data, args.picture)
        print(f"picture: {args.picture}")


if __name__ == "__main__":
    with usage_errors():
        main()
