"""FashionMNIST: 70,000 pictures of clothes in the form of MNIST.

Source: H. Xiao, K. Rasul, R. Vollgraf, "Fashion-MNIST: a Novel Image Dataset for Benchmarking Machine Learning
Algorithms", arXiv:1708.07747, 2017.
"""

from pathlib import Path
from typing import ClassVar

from minitorch.datasets.mnist import MNIST
from minitorch.errors import DataError


class FashionMNIST(MNIST):
    """Images of clothes, 28 by 28, and their classes 0 to 9: 60,000 to train on, 10,000 to test with.

    Everything else is as with `MNIST`; the subfolder for the files, whose names are the same, is `fashion-mnist`.
    """

    name: ClassVar[str] = "fashion-mnist"
    mirrors: ClassVar[tuple[str, ...]] = (
        "https://raw.githubusercontent.com/zalandoresearch/fashion-mnist/master/data/fashion/",
        "https://storage.googleapis.com/tensorflow/tf-keras-datasets/",
    )
    digests: ClassVar[dict[str, str]] = {}
    md5s: ClassVar[dict[str, str]] = {
        "train-images-idx3-ubyte.gz": "8d4fb7e6c68d591d4c3dfef9ec88bf0d",
        "train-labels-idx1-ubyte.gz": "25c81989df183df01b3e8a0aad5dffbe",
        "t10k-images-idx3-ubyte.gz": "bef4ecab320f06d8554ea6380940ec79",
        "t10k-labels-idx1-ubyte.gz": "bb300cfdad3c16e7a12a480ee83cd310",
    }

    @staticmethod
    def labels() -> dict[int, str]:
        """The name of each class."""
        names = "T-shirt/top", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot"
        return dict(enumerate(names))

    def _check_published(self, path: Path, digest: str) -> None:
        """Raise DataError for a file of MNIST, which has the same name and form."""
        if digest in MNIST.digests.values():
            raise DataError(
                f"{path}: holds handwritten digits, the data of MNIST, whose files have the same names; keep the files "
                "of FashionMNIST in another folder and name it: FashionMNIST(root=...)"
            )
