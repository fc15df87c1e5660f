"""A small part of real MNIST as files, for programs under test that read MNIST."""

import gzip
from pathlib import Path

import numpy as np

from minitorch.datasets import MNIST

DATA = Path(__file__).parents[1] / "examples" / "data" / "mnist"


def write_small_mnist(folder, train, test):
    """Write the first `train` training images and the first `test` test images to `folder`, which is made."""
    folder.mkdir(parents=True)
    for part, n in (("train", train), ("t10k", test)):
        whole = MNIST(train=part == "train", root=DATA)
        for name, array in (("images-idx3", whole.data[:n, 0]), ("labels-idx1", whole.label[:n])):
            sizes = b"".join(size.to_bytes(4, "big") for size in array.shape)
            with gzip.open(folder / f"{part}-{name}-ubyte.gz", "wb", compresslevel=1) as file:
                file.write(bytes([0, 0, 8, array.ndim]) + sizes + array.astype(np.uint8).tobytes())
