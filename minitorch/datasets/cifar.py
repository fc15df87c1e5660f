"""CIFAR10 and CIFAR100: 60,000 small colour photographs each, read straight out of the published archives.

Source: A. Krizhevsky, "Learning Multiple Layers of Features from Tiny Images", 2009. The binary version is read, whose
files are plain bytes; nothing is unpickled, and nothing is unpacked to the disk.
"""

import os
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, ClassVar

import numpy as np

from minitorch.datasets.images import ImageDataset
from minitorch.errors import ConfigError, DataError
from minitorch.transforms import Compose, Normalize, ToFloat

if TYPE_CHECKING:
    from gzip import GzipFile
    from tarfile import TarInfo

Array = np.ndarray[Any, Any]

PIXELS_MINUS_1_TO_1 = Compose([ToFloat(), Normalize(127.5, 127.5)])
_IMAGE = 3, 32, 32
_PIXELS = 3 * 32 * 32
_BLOCK = 100  # records read at a time, so that little more is allocated than the data themselves


class CIFAR10(ImageDataset):
    """Photographs of 10 classes of things, 32 by 32 in colour: 50,000 to train on, 10,000 to test with.

    By default x is float32 of shape (3, 32, 32), from -1 to 1, and t is int64. `data` is uint8 of shape
    (N, 3, 32, 32).

    Where the archive is looked for, and when it is downloaded, `PublishedDataset` says; the subfolder is `cifar10`.

    Args:
        train: the images to train on, or those to test with.
        transform: of an image; None gives uint8 of shape (3, 32, 32).
        target_transform: of a class.
        root: a folder with the archive `cifar-10-binary.tar.gz`, as it was published.

    Raises:
        DataError: the archive is damaged, cut short, or holds something else than it should.
        DownloadError: the archive is nowhere and could not be downloaded.
    """

    name: ClassVar[str] = "cifar10"
    mirrors: ClassVar[tuple[str, ...]] = ("https://www.cs.toronto.edu/~kriz/",)
    md5s: ClassVar[dict[str, str]] = {"cifar-10-binary.tar.gz": "c32a1d4ab5d03f1284b67883e8d87530"}
    train_files: ClassVar[tuple[str, ...]] = tuple(f"cifar-10-batches-bin/data_batch_{i}.bin" for i in range(1, 6))
    test_files: ClassVar[tuple[str, ...]] = ("cifar-10-batches-bin/test_batch.bin",)
    class_counts: ClassVar[tuple[int, ...]] = (10,)  # of each byte of labels before an image

    def __init__(
        self,
        train: bool = True,
        transform: Callable[[Any], Any] | None = PIXELS_MINUS_1_TO_1,
        target_transform: Callable[[Any], Any] | None = None,
        *,
        root: str | os.PathLike[str] | None = None,
    ) -> None:
        super().__init__(train, transform, target_transform, root=root)

    def prepare(self) -> None:
        """Find the archive, read and check its files."""
        (path,) = self.find(*self.md5s)
        self.data, labels = self._read(path, self.train_files if self.train else self.test_files)
        for kind, column in enumerate(labels.T):
            if column.max(initial=0) >= self.class_counts[kind]:
                at = int(column.argmax())
                raise DataError(
                    f"{path}: label {at} is {column[at]}; labels are 0 to {self.class_counts[kind] - 1}: "
                    "delete it and run again"
                )
        self.label = labels[:, self._kind()].astype(np.int64)

    @staticmethod
    def labels() -> dict[int, str]:
        """The name of each class."""
        return _numbered("airplane automobile bird cat deer dog frog horse ship truck")

    def _kind(self) -> int:
        """Which of the bytes before an image is its label."""
        return 0

    def _read(self, path: Path, names: tuple[str, ...]) -> tuple[Array, Array]:
        """The images in the files `names` of the archive, in that order, and their bytes of labels, (N, 1 or 2)."""
        import gzip  # here, since most programs that import minitorch open no archive
        import tarfile

        try:
            with gzip.open(path) as unpacked:
                data, labels = self._records(unpacked, names)
        except (tarfile.TarError, OSError, EOFError, zlib.error) as error:
            raise DataError(f"{path}: no whole tar.gz archive ({error}); delete the file and run again") from error
        except DataError as error:
            raise DataError(f"{path}: {error}; delete the file and run again") from error
        return data.reshape(-1, *_IMAGE), labels.reshape(-1, len(self.class_counts))

    def _records(self, unpacked: "GzipFile", names: tuple[str, ...]) -> tuple[Array, Array]:
        """The images and labels of each file, stacked; the files must have equally many.

        The archive is read once from front to back, since packed files cannot be jumped about in. Only members of
        exactly these names are looked at, so that no other name in it matters.
        """
        data: Array = np.empty(0, np.uint8)
        labels: Array = data
        missing = set(names)
        import tarfile

        with tarfile.open(fileobj=unpacked, mode="r|") as archive:
            for member in archive:
                if member.name not in missing:
                    continue
                n, before = self._number(member), len(self.class_counts)
                if len(missing) == len(names):  # the first
                    data = np.empty((len(names), n, *_IMAGE), np.uint8)
                    labels = np.empty((len(names), n, before), np.uint8)
                if n != data.shape[1]:
                    raise DataError(f"{member.name} has {n} images, but another file in it has {data.shape[1]}")
                at = names.index(member.name)
                _fill(data[at], labels[at], archive.extractfile(member))
                missing.remove(member.name)
        while unpacked.read(_BLOCK * _PIXELS):  # the checksum, which says more than a missing name, is at the end
            pass
        if missing:
            raise DataError(f"{min(missing)} is not in it")
        return data, labels

    def _number(self, member: "TarInfo") -> int:
        """The number of images in a file of the archive."""
        record = len(self.class_counts) + _PIXELS
        n, rest = divmod(member.size, record)
        if not member.isfile() or rest:
            found = f"{member.size} bytes" if member.isfile() else "no plain file"
            raise DataError(f"{member.name} is {found}, expected {record} bytes for each image")
        return n


class CIFAR100(CIFAR10):
    """Photographs of 100 classes of things in 20 groups, 32 by 32 in colour: 50,000 to train on, 10,000 to test with.

    Everything else is as with `CIFAR10`; the subfolder is `cifar100`, the archive `cifar-100-binary.tar.gz`.

    Args:
        train: the images to train on, or those to test with.
        transform: of an image; None gives uint8 of shape (3, 32, 32).
        target_transform: of a class.
        label_type: "fine" for the 100 classes, "coarse" for the 20 groups.
        root: a folder with the archive.

    Raises:
        ConfigError: `label_type` is neither.
        DataError: the archive is damaged, cut short, or holds something else than it should.
        DownloadError: the archive is nowhere and could not be downloaded.
    """

    name: ClassVar[str] = "cifar100"
    md5s: ClassVar[dict[str, str]] = {"cifar-100-binary.tar.gz": "03b5dce01913d631647c71ecec9e9cb8"}
    train_files: ClassVar[tuple[str, ...]] = ("cifar-100-binary/train.bin",)
    test_files: ClassVar[tuple[str, ...]] = ("cifar-100-binary/test.bin",)
    class_counts: ClassVar[tuple[int, ...]] = (20, 100)

    def __init__(
        self,
        train: bool = True,
        transform: Callable[[Any], Any] | None = PIXELS_MINUS_1_TO_1,
        target_transform: Callable[[Any], Any] | None = None,
        label_type: str = "fine",
        *,
        root: str | os.PathLike[str] | None = None,
    ) -> None:
        self.label_type = _checked(label_type)
        super().__init__(train, transform, target_transform, root=root)

    @staticmethod
    def labels(label_type: str = "fine") -> dict[int, str]:
        """The name of each class, or of each group."""
        return _numbered(_FINE if _checked(label_type) == "fine" else _COARSE)

    def _kind(self) -> int:
        return ("coarse", "fine").index(self.label_type)


def _fill(data: Array, labels: Array, file: IO[bytes] | None) -> None:
    """Read the records in `file` into `data` (n, 3, 32, 32) and `labels` (n, 1 or 2)."""
    assert file is not None  # it is a plain file
    n, before = labels.shape
    for at in range(0, n, _BLOCK):
        count = min(_BLOCK, n - at)
        raw = file.read(count * (before + _PIXELS))
        if len(raw) != count * (before + _PIXELS):
            raise EOFError("it ends in the middle of a file")
        records = np.frombuffer(raw, np.uint8).reshape(count, before + _PIXELS)
        labels[at : at + count] = records[:, :before]
        data[at : at + count] = records[:, before:].reshape(count, *_IMAGE)


def _numbered(names: str) -> dict[int, str]:
    return {number: name.replace("_", " ") for number, name in enumerate(names.split())}


def _checked(label_type: str) -> str:
    if label_type not in ("fine", "coarse"):
        raise ConfigError(f'CIFAR100: label_type is {label_type!r}; it is "fine" or "coarse"')
    return label_type


_COARSE = """
aquatic_mammals fish flowers food_containers fruit_and_vegetables household_electrical_devices household_furniture
insects large_carnivores large_man-made_outdoor_things large_natural_outdoor_scenes large_omnivores_and_herbivores
medium_mammals non-insect_invertebrates people reptiles small_mammals trees vehicles_1 vehicles_2
"""
_FINE = """
apple aquarium_fish baby bear beaver bed bee beetle bicycle bottle bowl boy bridge bus butterfly camel can castle
caterpillar cattle chair chimpanzee clock cloud cockroach couch crab crocodile cup dinosaur dolphin elephant flatfish
forest fox girl hamster house kangaroo keyboard lamp lawn_mower leopard lion lizard lobster man maple_tree motorcycle
mountain mouse mushroom oak_tree orange orchid otter palm_tree pear pickup_truck pine_tree plain plate poppy porcupine
possum rabbit raccoon ray road rocket rose sea seal shark shrew skunk skyscraper snail snake spider squirrel streetcar
sunflower sweet_pepper table tank telephone television tiger tractor train trout tulip turtle wardrobe whale willow_tree
wolf woman worm
"""
