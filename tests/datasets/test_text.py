"""Shakespeare and TinyText: characters numbered, windows cut without a copy, and texts that do not do."""

import hashlib
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minitorch import DataLoader, SeqDataLoader
from minitorch.datasets import Shakespeare, TinyText
from minitorch.datasets.dataset import collate
from minitorch.datasets.text import character_ids
from minitorch.errors import ConfigError, DataError, DownloadError
from minitorch.transforms import AsType

TEXTS = Path(__file__).parents[2] / "examples" / "data" / "text"
PLAY = "First Citizen:\nBefore we proceed any further, hear me speak.\n"


@given(text=st.text())
def test_characters_are_numbered_as_they_first_appear(text):
    """By the definition, character by character; and they translate back."""
    ids, char_to_id = character_ids(text)
    expected = {}
    for char in text:
        expected.setdefault(char, len(expected))
    assert list(char_to_id.items()) == list(expected.items())
    assert ids.tolist() == [expected[char] for char in text]
    assert ids.dtype == np.int64


def test_shakespeare_is_characters_and_the_next_ones(publisher, monkeypatch):
    """data[i] is the id of character i, label[i] that of the next; the text is downloaded once and checked."""
    monkeypatch.setattr(Shakespeare, "digests", {"shakespeare.txt": hashlib.sha256(PLAY.encode()).hexdigest()})
    publisher.files = {Shakespeare.mirrors[1]: PLAY.encode()}
    dataset = Shakespeare()
    assert "".join(dataset.id_to_char[i] for i in dataset.data.tolist()) == PLAY[:-1]
    assert "".join(dataset.id_to_char[i] for i in dataset.label.tolist()) == PLAY[1:]
    assert dataset.char_to_id["F"] == 0
    assert {i: c for c, i in dataset.char_to_id.items()} == dataset.id_to_char
    x, t = next(iter(SeqDataLoader(dataset, 3)))
    assert (x.shape, t.shape, x.dtype) == ((3,), (3,), np.int64)
    assert len(Shakespeare()) == len(PLAY) - 1
    assert publisher.fetched == list(Shakespeare.mirrors)
    (publisher.cache / "shakespeare" / "shakespeare.txt").write_text(PLAY[1:])
    with pytest.raises(DataError, match=r"shakespeare\.txt: its contents have SHA-256 .*; delete the file and run"):
        Shakespeare()


def test_shakespeare_takes_another_text_from_root(publisher, tmp_path):
    """A file of that name in `root` is read as it is; without any, the error says what to do."""
    with pytest.raises(
        DownloadError, match=r"Shakespeare: shakespeare\.txt is in none of(.|\n)*Shakespeare\(root="
    ) as e:
        Shakespeare(root=tmp_path)
    assert all(f"  {url}: Connection refused" in str(e.value) for url in Shakespeare.mirrors)
    (tmp_path / "shakespeare.txt").write_bytes("zu, à\r\n".encode())
    assert Shakespeare(root=tmp_path).char_to_id == {"z": 0, "u": 1, ",": 2, " ": 3, "à": 4, "\r": 5, "\n": 6}
    (tmp_path / "shakespeare.txt").write_bytes("à".encode("latin-1"))
    with pytest.raises(DataError, match=r"shakespeare\.txt: no text in UTF-8 \(.*\); convert the file"):
        Shakespeare(root=tmp_path)


def test_a_window_and_the_one_after_it():
    """Sample i is the characters from i on, and those from i + 1 on."""
    dataset = TinyText(PLAY, 8, test_fraction=0)
    assert len(dataset) == len(PLAY) - 8
    for i in (0, 17, len(dataset) - 1):
        x, t = dataset[i]
        assert "".join(dataset.id_to_char[n] for n in x.tolist()) == PLAY[i : i + 8]
        assert "".join(dataset.id_to_char[n] for n in t.tolist()) == PLAY[i + 1 : i + 9]
    assert (x.dtype, x.shape) == (np.int64, (8,))


def test_the_end_of_the_text_is_for_testing():
    """Both parts together are the text, neither sees a character of the other, and both number alike."""
    train, test = (TinyText(PLAY, 3, train=part, test_fraction=0.25) for part in (True, False))
    assert train.char_to_id == test.char_to_id == character_ids(PLAY)[1]
    parts = [
        "".join(d.id_to_char[n] for n in [*d.data[:, 0].tolist(), *d.data[-1, 1:].tolist(), int(d.label[-1, -1])])
        for d in (train, test)
    ]
    assert "".join(parts) == PLAY
    assert len(parts[1]) == round(len(PLAY) * 0.25)


@pytest.mark.parametrize("transform", [None, AsType(np.int32), lambda x: x + 1], ids=["none", "batch", "sample"])
def test_a_batch_equals_its_samples(transform):
    """The gather gives what collating gives, in arrays of its own."""
    dataset = TinyText(PLAY, 5, transform=transform)
    x, t = dataset.batch([3, 0, 3])
    xs, ts = collate(dataset, [3, 0, 3])
    np.testing.assert_array_equal(x, xs)
    np.testing.assert_array_equal(t, ts)
    assert (x.dtype, t.dtype) == (xs.dtype, ts.dtype)
    before = dataset.data.copy()
    x[...] = -1
    t[...] = -1
    np.testing.assert_array_equal(dataset.data, before)


def test_windows_come_through_a_loader(device):
    """Each window once in an epoch, in batches, on the host or on a device."""
    dataset = TinyText(PLAY, 6)
    loader = DataLoader(dataset, 10)
    if device.name != "cpu":
        loader.to_gpu()
    batches = [(device.get(x), device.get(t)) for x, t in loader]
    assert batches[0][0].shape == (10, 6)
    seen = np.concatenate([x for x, _ in batches])
    assert sorted(seen.tolist()) == sorted(dataset.data.tolist())
    for x, t in batches:
        np.testing.assert_array_equal(x[:, 1:], t[:, :-1])


def test_windows_take_no_memory_until_they_are_asked_for():
    """Neither the data set nor a batch copies all windows, which would take `context` times the text."""
    text = PLAY * 1000
    tracemalloc.start()
    try:
        TinyText(text, 256).batch([0, 1])
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 100 * len(text)  # ids, codes and what sorting them takes: a few arrays of 8 bytes each


def test_the_text_of_the_examples_is_there():
    """The state papers of the examples are plain ASCII, and the parts to train on and to test with are long enough."""
    path = TEXTS / "declaration_and_constitution.txt"
    raw = path.read_bytes()
    assert raw.isascii()
    assert (len(raw), len(set(raw))) == (54674, 74)
    assert all(f in (TEXTS / "README.md").read_text() for f in (path.name, "54,674", "74 different"))
    train, test = TinyText(path, 64), TinyText(path, 64, train=False)
    assert (len(train), len(test)) == (49207 - 64, 5467 - 64)
    assert len(train.char_to_id) == 74


@pytest.mark.parametrize(
    ("arguments", "options", "error", "message"),
    [
        ((PLAY, 0), {}, ConfigError, "TinyText: context is 0; it is an integer of at least 1"),
        ((PLAY, 2.0), {}, ConfigError, r"TinyText: context is 2\.0; it is an integer"),
        ((PLAY, 2), {"test_fraction": 1}, ConfigError, "TinyText: test_fraction is 1; it is from 0 to below 1"),
        ((__file__, 2), {}, ConfigError, r"names a file, but a str is the text itself; give Path\('.*'\)"),
        (
            ("abc", 3),
            {},
            DataError,
            "TinyText: 3 characters to train on, but a window and the .* take 4; give a longer",
        ),
        (("", 1), {}, DataError, "TinyText: 0 characters to train on, but"),
        ((PLAY, 3), {"train": False, "test_fraction": 0}, DataError, "TinyText: 0 characters to test with, but a"),
        ((Path("none.txt"), 3), {}, DataError, r"none\.txt: cannot be read \(.*No such file.*\); give a file of text"),
    ],
)
def test_what_does_not_do_is_refused(arguments, options, error, message):
    """Each refusal names the value, the rule and the remedy."""
    with pytest.raises(error, match=message):
        TinyText(*arguments, **options)
