"""MNIST: 70,000 handwritten digits, found on this machine or downloaded, and checked.

Source: Y. LeCun, C. Cortes, C. J. C. Burges, "The MNIST database of handwritten digits", 1998.
"""

import math
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from minitorch.datasets.download import contents
from minitorch.datasets.images import ImageDataset
from minitorch.errors import DataError
from minitorch.transforms import Compose, Flatten, Normalize, ToFloat

PIXELS_0_TO_1 = Compose([Flatten(), ToFloat(), Normalize(0.0, 255.0)])
_KINDS = {b"\x00\x00\x08\x03": "images", b"\x00\x00\x08\x01": "labels"}  # IDX magic: uint8, number of axes


class MNIST(ImageDataset):
    """Images of handwritten digits, 28 by 28, and the digits: 60,000 to train on, 10,000 to test with.

    By default x is float32 of shape (784,), from 0 to 1, and t is int64. `data` is uint8 of shape (N, 1, 28, 28).

    Where the files are looked for, and when they are downloaded, `PublishedDataset` says; the subfolder is `mnist`.

    Args:
        train: the images to train on, or those to test with.
        transform: of an image; None gives uint8 of shape (1, 28, 28).
        target_transform: of a digit.
        root: a folder with the files `train-images-idx3-ubyte.gz` and so on.

    Raises:
        DataError: a file is damaged, cut short, or holds something else than its name says.
        DownloadError: the files are nowhere and could not be downloaded.
    """

    name: ClassVar[str] = "mnist"
    mirrors: ClassVar[tuple[str, ...]] = (
        "https://ossci-datasets.s3.amazonaws.com/mnist/",
        "https://storage.googleapis.com/cvdf-datasets/mnist/",
    )
    digests: ClassVar[dict[str, str]] = {
        "train-images-idx3-ubyte.gz": "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
        "train-labels-idx1-ubyte.gz": "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
        "t10k-images-idx3-ubyte.gz": "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
        "t10k-labels-idx1-ubyte.gz": "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
    }

    def __init__(
        self,
        train: bool = True,
        transform: Callable[[Any], Any] | None = PIXELS_0_TO_1,
        target_transform: Callable[[Any], Any] | None = None,
        *,
        root: str | os.PathLike[str] | None = None,
    ) -> None:
        super().__init__(train, transform, target_transform, root=root)

    def prepare(self) -> None:
        """Find, read and check the two files."""
        part = "train" if self.train else "t10k"
        image_path, label_path = self.find(f"{part}-images-idx3-ubyte.gz", f"{part}-labels-idx1-ubyte.gz")
        images, labels = self._read(image_path, "images"), self._read(label_path, "labels")
        if images.shape[1:] != (28, 28):
            raise DataError(f"{image_path}: images of {images.shape[1:]} pixels; {self.name} has (28, 28)")
        if len(images) != len(labels):
            raise DataError(
                f"{image_path} has {len(images)} images, but {label_path} has {len(labels)} labels; "
                "take both files from the same publisher"
            )
        if labels.size and labels.max() > 9:
            at = int(labels.argmax())
            raise DataError(f"{label_path}: label {at} is {labels[at]}; labels are 0 to 9: delete it and run again")
        self.data, self.label = images[:, None], labels.astype(np.int64)

    @staticmethod
    def labels() -> dict[int, str]:
        """The name of each class."""
        return {digit: str(digit) for digit in range(10)}

    def _read(self, path: Path, kind: str) -> np.ndarray[Any, Any]:
        """The array in an IDX file of `kind`, read-only."""
        import hashlib  # here, since a program may take long to get to it, or use other data

        raw = contents(path)
        magic = raw[:4]
        if _KINDS.get(magic) != kind:
            found = f"holds {_KINDS[magic]}" if magic in _KINDS else f"begins with {magic.hex(' ') or 'nothing'}"
            raise DataError(f"{path}: {found}, expected an IDX file of {kind}; delete the file and run again")
        offset = 4 + 4 * magic[3]
        shape = tuple(int.from_bytes(raw[at : at + 4]) for at in range(4, offset, 4))
        size = offset + math.prod(shape)
        if len(raw) != size:
            raise DataError(
                f"{path}: {len(raw)} bytes, expected {size} for {kind} of shape {shape}, as its header says; "
                "delete the file and run again"
            )
        self._check_published(path, hashlib.sha256(raw).hexdigest())
        return np.frombuffer(raw, np.uint8, offset=offset).reshape(shape)

    def _check_published(self, path: Path, digest: str) -> None:
        """Raise DataError if the file holds the contents of another published one."""
        for name, published in self.digests.items():
            if digest == published and name != path.name:
                raise DataError(f"{path}: holds the contents of {name}; delete the file and run again")
