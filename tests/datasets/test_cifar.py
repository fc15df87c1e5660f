"""CIFAR10 and CIFAR100: read out of archives made here, in any order, and what is wrong with a wrong archive."""

import hashlib
import io
import tarfile
import tracemalloc

import numpy as np
import pytest

from minitorch import DataLoader
from minitorch.datasets import CIFAR10, CIFAR100
from minitorch.errors import ConfigError, DataError, DownloadError

NAME10, NAME100 = "cifar-10-binary.tar.gz", "cifar-100-binary.tar.gz"
TRAIN = [f"cifar-10-batches-bin/data_batch_{i}.bin" for i in range(1, 6)]
TEST = "cifar-10-batches-bin/test_batch.bin"


def images(n, first=0):
    """`n` images of which no two are alike."""
    return ((np.arange(n * 3072).reshape(n, 3, 32, 32) * 7 + first) % 251).astype(np.uint8)


def records(x, *labels):
    """The bytes of a file of CIFAR: the labels of an image, then its pixels."""
    columns = [np.asarray(column, np.uint8)[:, None] for column in labels]
    return np.concatenate([*columns, x.reshape(len(x), 3072).astype(np.uint8)], axis=1).tobytes()


def files10(n=2):
    """The files of a small CIFAR-10, `n` images in each."""
    return {name: records(images(n, 10 * i), (np.arange(n) + i) % 10) for i, name in enumerate([*TRAIN, TEST])}


def pack(files, kind=tarfile.REGTYPE):
    """A tar.gz archive of `files`."""
    body = io.BytesIO()
    with tarfile.open(fileobj=body, mode="w:gz", compresslevel=1) as archive:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.type = kind
            if kind == tarfile.REGTYPE:
                member.size = len(content)
            else:
                member.linkname = "/etc/passwd"
            archive.addfile(member, io.BytesIO(content))
    return body.getvalue()


@pytest.fixture
def root(publisher, tmp_path):
    """A folder with small archives of both data sets; the files of CIFAR-10 are in the archive from back to front."""
    (tmp_path / NAME10).write_bytes(pack(dict(reversed(files10().items()))))
    part = {"train": 3, "test": 2}
    files = {f"cifar-100-binary/{p}.bin": records(images(n), np.arange(n), np.arange(n) + 97) for p, n in part.items()}
    (tmp_path / NAME100).write_bytes(pack(files))
    return tmp_path


def test_the_files_to_train_on_are_stacked_in_order_of_their_numbers(root):
    """Image and label of each record, whatever the order in the archive; one file to test with."""
    train, test = CIFAR10(root=root), CIFAR10(train=False, root=root)
    np.testing.assert_array_equal(train.data, np.concatenate([images(2, 10 * i) for i in range(5)]))
    assert train.label.tolist() == [0, 1, 1, 2, 2, 3, 3, 4, 4, 5]
    assert (train.data.dtype, train.label.dtype, train.data.shape) == (np.uint8, np.int64, (10, 3, 32, 32))
    np.testing.assert_array_equal(test.data, images(2, 50))
    assert test.label.tolist() == [5, 6]


def test_samples_are_float32_from_minus_1_to_1(root):
    """By default x is (3, 32, 32) around 0, in batches of a loader too; None gives the raw image."""
    x, t = CIFAR10(root=root)[1]
    assert (x.dtype, x.shape, t) == (np.float32, (3, 32, 32), 1)
    np.testing.assert_allclose(x, images(2)[1] / 127.5 - 1, atol=1e-6)
    xs, ts = next(iter(DataLoader(CIFAR10(root=root), 4, shuffle=False)))
    np.testing.assert_array_equal(xs[1], x)
    assert ts.tolist() == [0, 1, 1, 2]
    raw, t = CIFAR10(transform=None, target_transform=lambda t: -t, root=root)[1]
    assert (raw.dtype, t) == (np.uint8, -1)


def test_cifar100_has_classes_and_groups(root):
    """The second byte is the class, the first its group."""
    fine, coarse = CIFAR100(root=root), CIFAR100(label_type="coarse", root=root)
    assert (fine.label.tolist(), coarse.label.tolist()) == ([97, 98, 99], [0, 1, 2])
    np.testing.assert_array_equal(fine.data, images(3))
    np.testing.assert_array_equal(coarse.data, fine.data)
    assert len(CIFAR100(train=False, root=root)) == 2


def test_the_classes_have_names():
    """As published: sorted by name, 10, 100 and 20 of them."""
    for labels, n in ((CIFAR10.labels(), 10), (CIFAR100.labels(), 100), (CIFAR100.labels("coarse"), 20)):
        assert list(labels) == list(range(n))
        assert list(labels.values()) == sorted(set(labels.values()))
    assert (CIFAR10.labels()[0], CIFAR100.labels()[1], CIFAR100.labels("coarse")[18]) == (
        "airplane",
        "aquarium fish",
        "vehicles 1",
    )


@pytest.mark.parametrize("use", [CIFAR100.labels, lambda kind: CIFAR100(label_type=kind)])
def test_a_label_type_is_fine_or_coarse(use):
    """Others are refused before anything is read."""
    with pytest.raises(ConfigError, match='CIFAR100: label_type is \'finest\'; it is "fine" or "coarse"'):
        use("finest")


def test_nothing_is_unpacked_whatever_the_archive_names(publisher, tmp_path):
    """Members outside of the folder, links and devices are passed over; no file appears anywhere."""
    folder = tmp_path / "one" / "two"
    folder.mkdir(parents=True)
    evil = {"../evil": b"1", str(tmp_path / "evil"): b"2", "cifar-10-batches-bin/../../evil": b"3"}
    (folder / NAME10).write_bytes(pack(evil | files10()))
    before = sorted(tmp_path.rglob("*"))
    assert len(CIFAR10(root=folder)) == 10
    assert sorted(tmp_path.rglob("*")) == before


def broken(change):
    """The archive of CIFAR-10 after `change` of its files."""
    files = files10()
    change(files)
    return pack(files)


WHOLE = pack(files10(20))


@pytest.mark.parametrize(
    ("raw", "message"),
    [
        (b"", r"no whole tar\.gz archive \(.*\)"),
        (b"<html>", r"no whole tar\.gz archive \(.*\)"),
        (WHOLE[: len(WHOLE) // 10], r"no whole tar\.gz archive \(.*\)"),
        (WHOLE[: len(WHOLE) // 2], r"no whole tar\.gz archive \(.*\)"),
        (WHOLE[: len(WHOLE) // 2] + b"\0" * 100 + WHOLE[len(WHOLE) // 2 + 100 :], r"no whole tar\.gz archive \(.*\)"),
        (broken(lambda f: f.pop(TRAIN[3])), f"{TRAIN[3]} is not in it"),
        (
            broken(lambda f: f.update({TRAIN[2]: f[TRAIN[2]][:-1]})),
            f"{TRAIN[2]} is 6145 bytes, expected 3073 bytes for",
        ),
        (broken(lambda f: f.update({TRAIN[1]: f[TRAIN[1]] * 2})), f"{TRAIN[1]} has 4 images, but another file in it h"),
        (pack(files10(), tarfile.SYMTYPE), f"{TRAIN[0]} is no plain file, expected"),
        (broken(lambda f: f.update({TRAIN[0]: records(images(2), [3, 10])})), "label 1 is 10; labels are 0 to 9"),
    ],
    ids=["empty", "page", "cut early", "cut late", "damaged", "missing", "bytes", "unequal", "link", "label 10"],
)
def test_a_damaged_archive_is_named_with_what_was_found(raw, message, publisher, tmp_path):
    """The message names the archive, what is wrong in it, and the remedy."""
    (tmp_path / NAME10).write_bytes(raw)
    with pytest.raises(DataError, match=message) as caught:
        CIFAR10(root=tmp_path)
    assert str(caught.value).startswith(str(tmp_path / NAME10))
    assert "run again" in str(caught.value)


def test_the_archive_is_downloaded_once_and_checked(publisher, monkeypatch):
    """From the publisher into the cache, by MD5; a kept archive with another is refused by name."""
    monkeypatch.setattr(CIFAR10, "md5s", {NAME10: hashlib.md5(WHOLE).hexdigest()})
    publisher.files = {CIFAR10.mirrors[0] + NAME10: WHOLE}
    assert len(CIFAR10()) == 100
    assert len(CIFAR10(train=False)) == 20
    assert publisher.fetched == [CIFAR10.mirrors[0] + NAME10]
    kept = publisher.cache / "cifar10" / NAME10
    kept.write_bytes(pack(files10()))
    with pytest.raises(DataError, match=rf"{NAME10}: it has MD5 \w+, expected \w+; delete the file and run again"):
        CIFAR10()


def test_offline_the_error_says_where_to_put_the_archive(publisher, tmp_path):
    """One file is missing, and one is asked for."""
    with pytest.raises(DownloadError) as caught:
        CIFAR100(root=tmp_path)
    text = str(caught.value)
    assert text.startswith(f"CIFAR100: {NAME100} is in none of\n  {tmp_path}\n  {tmp_path / 'cifar100'}\n")
    assert f"  {CIFAR100.mirrors[0]}{NAME100}: Connection refused" in text
    assert text.endswith(
        f"Or put the file {NAME100} into a folder and name it: CIFAR100(root=...) or the environment variable "
        "MINITORCH_DATA."
    )


def test_loading_takes_little_more_memory_than_the_data(publisher, tmp_path):
    """At the peak the data and a block of records are there, no second copy; nobody's generator is touched."""
    noise = np.random.default_rng(0).integers(0, 255, (500, 3, 32, 32))  # it packs badly, as photographs do
    (tmp_path / NAME10).write_bytes(pack(dict.fromkeys(TRAIN, records(noise, np.zeros(500)))))
    state = np.random.get_state()[1].copy()  # noqa: NPY002  # it is the global generator that must stay
    tracemalloc.start()
    try:
        dataset = CIFAR10(root=tmp_path)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 1.3 * dataset.data.nbytes
    np.testing.assert_array_equal(np.random.get_state()[1], state)  # noqa: NPY002
