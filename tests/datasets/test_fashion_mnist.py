"""FashionMNIST: MNIST's form under another name, with digests of its own."""

import gzip
import hashlib
import shutil
from pathlib import Path

import numpy as np
import pytest

from minitorch.datasets import MNIST, FashionMNIST
from minitorch.errors import DataError, DownloadError

DIGITS = Path(__file__).parents[2] / "examples" / "data" / "mnist"
IMAGES, LABELS = "t10k-images-idx3-ubyte.gz", "t10k-labels-idx1-ubyte.gz"


def packed(array):
    """The bytes of a gzipped IDX file."""
    sizes = b"".join(n.to_bytes(4) for n in array.shape)
    return gzip.compress(bytes([0, 0, 8, array.ndim]) + sizes + array.astype(np.uint8).tobytes(), mtime=0)


PUBLISHED = {IMAGES: packed(np.arange(3 * 784).reshape(3, 28, 28) % 256), LABELS: packed(np.array([9, 0, 5]))}


def test_missing_files_are_downloaded_and_checked_by_md5(publisher, monkeypatch):
    """From the first mirror that works, once; a file in the cache that is another one is refused by name."""
    monkeypatch.setattr(FashionMNIST, "md5s", {name: hashlib.md5(raw).hexdigest() for name, raw in PUBLISHED.items()})
    publisher.files = {FashionMNIST.mirrors[1] + name: raw for name, raw in PUBLISHED.items()}
    dataset = FashionMNIST(train=False)
    assert (dataset.data.shape, dataset.label.tolist()) == ((3, 1, 28, 28), [9, 0, 5])
    assert len(FashionMNIST(train=False)) == 3
    assert publisher.fetched == [mirror + name for name in PUBLISHED for mirror in FashionMNIST.mirrors]
    kept = publisher.cache / "fashion-mnist" / LABELS
    kept.write_bytes(packed(np.array([9, 0, 4])))
    with pytest.raises(DataError, match=f"{LABELS}: it has MD5 .*, expected .*; delete the file and run again"):
        FashionMNIST(train=False)


def test_a_download_with_another_md5_is_refused(publisher):
    """What a mirror serves under the published name must be the published file."""
    publisher.files = {mirror + name: raw for name, raw in PUBLISHED.items() for mirror in FashionMNIST.mirrors}
    with pytest.raises(DownloadError, match=f"it has MD5 .*, expected {FashionMNIST.md5s[IMAGES]}"):
        FashionMNIST(train=False)


def test_the_digits_of_mnist_are_no_clothes(publisher, tmp_path):
    """MNIST's files have the same names; taken by mistake, they are noticed."""
    for name in (IMAGES, LABELS):
        shutil.copy(DIGITS / name, tmp_path / name)
    with pytest.raises(DataError, match=f"{IMAGES}: holds handwritten digits, the data of MNIST, .*root=") as caught:
        FashionMNIST(train=False, root=tmp_path)
    assert "FashionMNIST(root=...)" in str(caught.value)


def test_the_classes_have_names():
    """Ten clothes, and nothing of MNIST's stays."""
    assert list(FashionMNIST.labels()) == list(range(10))
    assert (FashionMNIST.labels()[0], FashionMNIST.labels()[9]) == ("T-shirt/top", "Ankle boot")
    assert set(FashionMNIST.md5s) == set(MNIST.digests)
    assert FashionMNIST.digests == {}
