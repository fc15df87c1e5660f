"""Trains a small GPT to write a text character by character, and prints what it writes.

The text is the Declaration of Independence and the Constitution of the United States, or any other file.
"""

import argparse
from pathlib import Path

import numpy as np

import minitorch
import minitorch.functions as F
from minitorch import DataLoader, Device, Every, Trainer, optimizers
from minitorch.cli import usage_errors
from minitorch.datasets import TinyText
from minitorch.errors import ConfigError
from minitorch.models import GPT
from minitorch.trainer.callbacks import DevicePlacement

TEXT = Path(__file__).parent / "data" / "text" / "declaration_and_constitution.txt"


class CharTrainer(Trainer):
    """Predicts each character of a window from those before it; says how it goes at each log interval."""

    def training_step(self, batch):
        x, t = batch
        y = self.model(x)
        return F.softmax_cross_entropy(y.reshape(-1, y.shape[-1]), t.reshape(-1))

    def on_batch_end(self, outputs):
        if outputs.metrics:
            print(f"step {self.state.step:>5}: loss {outputs.metrics['loss']:.4f}, {self.state.elapsed:.1f} s")

    def on_validation_end(self, metrics):
        print(f"step {self.state.step:>5}: loss {metrics['val_loss']:.4f} on the end of the text")


def apart(dataset):
    """The windows that do not overlap, as a list of samples."""
    return [dataset[i] for i in range(0, len(dataset), dataset.context)]


def numbered(beginning, dataset):
    """The numbers of the characters of `beginning`."""
    unknown = set(beginning) - set(dataset.char_to_id)
    if unknown or not beginning:
        raise ConfigError(f"--beginning {beginning!r}: needs characters of the text, without {sorted(unknown)}")
    return np.array([[dataset.char_to_id[char] for char in beginning]])


def written(model, dataset, ids, n, temperature):
    """The text of `ids`, and `n` characters that the model adds to it."""
    ids = minitorch.as_numpy(model.generate(ids, n, temperature))
    return "".join(dataset.id_to_char[i] for i in ids[0].tolist())


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--text", type=Path, default=TEXT, help="a file in UTF-8 (the state papers)")
    parser.add_argument("--steps", type=int, default=1000, help="updates (1000)")
    parser.add_argument("--batch-size", type=int, default=32, help="windows in a batch (32)")
    parser.add_argument("--context", type=int, default=64, help="characters in a window (64)")
    parser.add_argument("--width", type=int, default=64, help="size of the vectors, a multiple of 4 (64)")
    parser.add_argument("--layers", type=int, default=2, help="transformer blocks (2)")
    parser.add_argument("--lr", type=float, default=2e-3, help="learning rate (0.002)")
    parser.add_argument("--beginning", default="We the People", help='what the sample begins with ("We the People")')
    parser.add_argument("--characters", type=int, default=400, help="length of the sample (400)")
    parser.add_argument("--temperature", type=float, default=0.7, help="0 takes the likeliest character (0.7)")
    parser.add_argument("--device", default="auto", help="cpu, cuda, cuda:1, or auto: a GPU if one works (auto)")
    parser.add_argument("--seed", type=int, default=0, help="of weights and order (0)")
    args = parser.parse_args()

    minitorch.seed(args.seed)
    device = Device(args.device)
    train_set = TinyText(args.text, args.context)
    test_set = TinyText(args.text, args.context, train=False)
    beginning = device.put(numbered(args.beginning, train_set))  # before the training, since it may be refused
    model = GPT(len(train_set.char_to_id), args.context, args.width, args.layers, n_heads=4, dropout_ratio=0.1)
    trainer = CharTrainer(
        model,
        optimizers.AdamW(args.lr, weight_decay=0.1).add_hook(optimizers.ClipGrad(1.0)),
        callbacks=[DevicePlacement(device)],
        log_every=Every(steps=50),
        validate_every=Every(steps=250),
    )
    trainer.fit(
        DataLoader(train_set, args.batch_size),
        DataLoader(apart(test_set), args.batch_size, shuffle=False),
        steps=args.steps,
    )
    print(f"at the end: loss {trainer.evaluate(DataLoader(apart(test_set), 32))['loss']:.4f} on the end of the text")
    print("-" * 40)
    print(written(model, train_set, beginning, args.characters, args.temperature))


if __name__ == "__main__":
    with usage_errors():
        main()
