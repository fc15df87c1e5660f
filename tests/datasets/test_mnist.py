"""MNIST: the published files as they are, where they are looked for, and what is wrong with a wrong file."""

import gzip
import hashlib
import shutil
import socket
from pathlib import Path

import numpy as np
import pytest

from minitorch.datasets import MNIST
from minitorch.datasets.download import cache_dir
from minitorch.errors import DataError, DownloadError

ROOT = Path(__file__).parents[2] / "examples" / "data" / "mnist"
IMAGES, LABELS = "train-images-idx3-ubyte.gz", "train-labels-idx1-ubyte.gz"


@pytest.fixture(autouse=True)
def own_cache(monkeypatch, tmp_path):
    """No test sees the cache or the settings of the person who runs it; nobody answers on the mirrors."""
    for variable in ("HOME", "USERPROFILE", "LOCALAPPDATA", "XDG_CACHE_HOME"):
        monkeypatch.setenv(variable, str(tmp_path / "home"))
    monkeypatch.delenv("MINITORCH_DATA", raising=False)
    monkeypatch.setattr("minitorch.datasets.published.checkout_data", lambda: tmp_path / "no checkout")
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{nobody.getsockname()[1]}"
        monkeypatch.setattr(MNIST, "mirrors", (f"{url}/one/", f"{url}/two/"))
        yield


def idx(array):
    """The bytes of an IDX file."""
    header = bytes([0, 0, 8, array.ndim]) + b"".join(n.to_bytes(4) for n in array.shape)
    return header + array.astype(np.uint8).tobytes()


def small(n=3):
    """`n` images and labels."""
    return np.arange(n * 28 * 28).reshape(n, 28, 28) % 251, np.arange(n)


def write(folder, images, labels, part="train"):
    """Put two IDX files into `folder`, with the names of MNIST; bytes are taken as they are."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, array in ((IMAGES, images), (LABELS, labels)):
        raw = array if isinstance(array, bytes) else idx(array)
        (folder / name.replace("train", part)).write_bytes(gzip.compress(raw))
    return folder


@pytest.fixture(scope="module")
def train():
    """The real images to train on."""
    return MNIST(root=ROOT)


def test_the_train_part_is_the_real_one(train):
    """60,000 images, 6,000 or so of each digit, mean pixel 0.1307, deviation 0.3081, first digits 5 0 4 1 9."""
    assert len(train) == 60000
    assert (train.data.shape, train.data.dtype) == ((60000, 1, 28, 28), np.uint8)
    assert (train.label.shape, train.label.dtype) == ((60000,), np.int64)
    assert train.label[:5].tolist() == [5, 0, 4, 1, 9]
    assert np.bincount(train.label).tolist() == [5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949]
    assert round(float(train.data.mean()) / 255, 4) == 0.1307
    assert round(float(train.data.std()) / 255, 4) == 0.3081


def test_the_test_part_is_the_real_one():
    """10,000 images, first digits 7 2 1 0 4."""
    test = MNIST(train=False, root=ROOT)
    assert len(test) == 10000
    assert test.label[:5].tolist() == [7, 2, 1, 0, 4]


def test_samples_are_float32_from_0_to_1_and_integers(train):
    """By default x is a row of 784 float32 from 0 to 1, one by one and in batches alike."""
    x, t = train[0]
    assert (x.shape, x.dtype, t) == ((784,), np.float32, 5)
    xs, ts = train.batch(range(100))
    assert (xs.shape, xs.dtype, ts.dtype) == ((100, 784), np.float32, np.int64)
    assert (xs.min(), xs.max()) == (0.0, 1.0)
    np.testing.assert_array_equal(xs[0], x)
    np.testing.assert_array_equal(x, (train.data[0].ravel() / 255).astype(np.float32))
    assert np.eye(10)[ts].shape == (100, 10)


def test_transforms_can_be_replaced(tmp_path):
    """None gives the raw image; a target transform sees the digit."""
    x, t = MNIST(transform=None, target_transform=lambda t: t + 100, root=write(tmp_path, *small()))[2]
    assert (x.shape, x.dtype, t) == ((1, 28, 28), np.uint8, 102)


def test_the_classes_have_names():
    """The names of the digits, as in the book."""
    assert MNIST.labels() == {0: "0", 1: "1", 2: "2", 3: "3", 4: "4", 5: "5", 6: "6", 7: "7", 8: "8", 9: "9"}


def test_root_comes_before_the_variable_and_both_may_have_a_subfolder(tmp_path, monkeypatch):
    """`root`, `root/mnist`, then the same of MINITORCH_DATA; the first folder that has the files is taken."""
    in_variable = tmp_path / "variable"
    write(in_variable / "mnist", *small(4))
    monkeypatch.setenv("MINITORCH_DATA", str(in_variable))
    assert len(MNIST()) == 4
    assert len(MNIST(root=tmp_path / "nowhere")) == 4
    write(in_variable, *small(5))
    assert len(MNIST()) == 5
    write(tmp_path / "root" / "mnist", *small(6))
    assert len(MNIST(root=str(tmp_path / "root"))) == 6
    write(tmp_path / "root", *small(7))
    assert len(MNIST(root=tmp_path / "root")) == 7


def test_a_home_sign_in_root_is_understood():
    """`~` in root is the home of the user."""
    write(Path("~/digits").expanduser(), *small(2))
    assert len(MNIST(root="~/digits")) == 2


class Digits(MNIST):
    """A data set of the form of MNIST is a few lines: where it is, and what its files contain."""

    name = "digits"
    digests = {  # noqa: RUF012  # a ClassVar of the base class
        name: hashlib.sha256(idx(array)).hexdigest() for name, array in zip([IMAGES, LABELS], small(), strict=True)
    }


def test_the_cache_takes_the_published_files_alone(monkeypatch):
    """Files in the cache are taken if they have the published digests, and else refused by name."""
    folder = write(cache_dir() / "digits", *small())
    assert len(Digits()) == 3
    images, labels = small()
    write(folder, images + 1, labels)
    with pytest.raises(DataError, match=rf"{IMAGES}: its contents have SHA-256 \w+, expected \w+; delete the file and"):
        Digits()


def test_missing_files_are_downloaded_into_the_cache(monkeypatch, tmp_path):
    """What is nowhere is fetched from the mirrors, once."""
    published, fetched = write(tmp_path / "published", *small()), []

    def fetch(url, name, file):
        fetched.append(url)
        if "/one/" in url:
            raise ConnectionResetError("Connection reset by peer")
        file.write((published / name).read_bytes())

    monkeypatch.setattr("minitorch.datasets.download._fetch", fetch)
    assert len(Digits()) == 3
    assert len(Digits()) == 3
    one, two = MNIST.mirrors
    assert fetched == [one + IMAGES, two + IMAGES, one + LABELS, two + LABELS]
    assert sorted(p.name for p in (cache_dir() / "digits").iterdir()) == [IMAGES, LABELS]


def test_offline_the_error_lists_places_failures_and_remedies(tmp_path, monkeypatch):
    """Everything a person needs: where it looked, what each mirror said, what can be done."""
    monkeypatch.setenv("MINITORCH_DATA", str(tmp_path / "variable"))
    with pytest.raises(DownloadError) as caught:
        MNIST(root=tmp_path / "root")
    lines = str(caught.value).splitlines()
    places = [tmp_path / "root", tmp_path / "root/mnist", tmp_path / "variable", tmp_path / "variable/mnist"]
    assert lines[:6] == [
        f"MNIST: {IMAGES} and {LABELS} are in none of",
        *(f"  {place}" for place in (*places, cache_dir() / "mnist")),
    ]
    assert lines[7].startswith(f"  {MNIST.mirrors[0]}{IMAGES}: <urlopen error")
    assert lines[8].startswith(f"  {MNIST.mirrors[1]}{IMAGES}: <urlopen error")
    assert lines[10] == (
        f"Or put the files {IMAGES}, {LABELS}, {IMAGES.replace('train', 't10k')}, {LABELS.replace('train', 't10k')} "
        "into a folder and name it: MNIST(root=...) or the environment variable MINITORCH_DATA."
    )


def broken(change):
    """A gzipped file of three labels, its bytes changed."""
    return change(gzip.compress(idx(small()[1])))


@pytest.mark.parametrize(
    ("name", "raw", "message"),
    [
        (LABELS, b"", "begins with nothing, expected an IDX file of labels; delete the file and run again"),
        (LABELS, b"<html>", r"6 bytes that are no whole gzip file \(Not a gzipped file .*\); delete the file"),
        (LABELS, broken(lambda b: b[:-9]), r"\d+ bytes that are no whole gzip file \(.*\); delete the file"),
        (LABELS, broken(lambda b: b[:-8] + b"\0" * 8), r"no whole gzip file \(CRC check failed.*\); delete"),
        (LABELS, gzip.compress(b"\x89PNG..."), "begins with 89 50 4e 47, expected an IDX file of labels; delete"),
        (LABELS, gzip.compress(idx(small()[0])), "holds images, expected an IDX file of labels; delete the file"),
        (IMAGES, gzip.compress(idx(small()[1])), "holds labels, expected an IDX file of images; delete the file"),
        (IMAGES, gzip.compress(idx(small()[0])[:-1]), r"2367 bytes, expected 2368 for images of shape \(3, 28, 28\)"),
        (IMAGES, gzip.compress(idx(small()[0])[:9]), "9 bytes, expected 16 for images of shape"),
        (LABELS, gzip.compress(idx(small()[1]) + b"\0"), r"12 bytes, expected 11 for labels of shape \(3,\), as its"),
        (LABELS, gzip.compress(idx(np.array([0, 10, 2]))), "label 1 is 10; labels are 0 to 9: delete it and run again"),
        (IMAGES, gzip.compress(idx(np.zeros((3, 8, 8)))), r"images of \(8, 8\) pixels; mnist has \(28, 28\)"),
    ],
    ids=[
        "empty",
        "page",
        "cut",
        "checksum",
        "picture",
        "images as labels",
        "labels as images",
        "short",
        "header",
        "long",
        "label 10",
        "8x8",
    ],
)
def test_a_damaged_file_is_named_with_what_was_found(name, raw, message, tmp_path):
    """The message names the file, what is in it, what was expected, and the remedy."""
    write(tmp_path, *small())
    (tmp_path / name).write_bytes(raw)
    with pytest.raises(DataError, match=message) as caught:
        MNIST(root=tmp_path)
    assert str(caught.value).startswith(str(tmp_path / name))


def test_images_and_labels_must_be_of_one_number(tmp_path):
    """Files of different publishers do not mix."""
    write(tmp_path, small(3)[0], small(4)[1])
    with pytest.raises(DataError, match=f"{IMAGES} has 3 images, but .*{LABELS} has 4 labels; take both files from"):
        MNIST(root=tmp_path)


def test_the_part_for_testing_is_no_part_to_train_on(tmp_path):
    """A published file under the name of another one is noticed in every folder."""
    shutil.copy(ROOT / LABELS.replace("train", "t10k"), tmp_path / LABELS)
    shutil.copy(ROOT / IMAGES.replace("train", "t10k"), tmp_path / IMAGES)
    with pytest.raises(DataError, match=f"{IMAGES}: holds the contents of t10k-images-idx3-ubyte.gz; delete the file"):
        MNIST(root=tmp_path)


def test_half_a_pair_is_an_error(tmp_path):
    """Images without labels are not completed from elsewhere."""
    write(tmp_path, *small())
    (tmp_path / LABELS).unlink()
    with pytest.raises(DataError, match=f"{IMAGES} is there, but .*{LABELS} is not; put both into one folder"):
        MNIST(root=tmp_path)
