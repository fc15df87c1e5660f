"""Damage of every kind to a file: it is found and named, or it changes nothing; never is something wrong loaded."""

import json
import os
import re
import tracemalloc

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from minitorch.errors import CheckpointError, DTypeError
from minitorch.serialize import describe, load, save, verify
from minitorch.serialize.header import encode, start_checksum

ARRAYS = {
    "l0/W": np.array([[1.5, np.nan], [-0.0, np.inf]], np.float32),
    "mask": np.array([True, False, True]),
    "Adam.m/é": np.arange(3, dtype=np.float64),
    "step": np.array(7, np.int64),
    "none": np.zeros((0, 2), np.uint16),
}
META = {"step": 7, "loss": [0.5, float("inf")], "name": "é", "deep": {"a": None}}


def snapshot(loaded):
    """Everything that a load returns, comparable bit for bit."""
    return {k: (a.dtype.str, a.shape, a.tobytes()) for k, a in loaded.arrays.items()}, json.dumps(loaded.meta)


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    """The bytes of a small file, what it loads to, and a path to put damaged versions."""
    path = tmp_path_factory.mktemp("fuzz") / "small.safetensors"
    save(path, ARRAYS, META)
    return path.read_bytes(), snapshot(load(path)), path


@pytest.fixture(scope="module")
def large(tmp_path_factory):
    """The same of a file of several chunks of 1 MiB."""
    path = tmp_path_factory.mktemp("fuzz") / "large.safetensors"
    random = np.random.default_rng(0)
    save(path, {f"w{i}": random.random((i + 1, 100_000), np.float32) for i in range(3)}, {"losses": [0.5] * 1000})
    return path.read_bytes(), snapshot(load(path)), path


def outcome(path, content, expected):
    """Load and verify `content`: "refused" or "harmless"; anything else fails the test."""
    path.write_bytes(content)
    try:
        loaded = snapshot(load(path))
    except CheckpointError:
        with pytest.raises(CheckpointError, match=path.name):
            verify(path)
        return "refused"
    assert loaded == expected
    verify(path)
    return "harmless"


def test_truncated_at_every_length(small):
    """No beginning of a file loads, whatever its length."""
    content, expected, path = small
    for length in range(len(content)):
        assert outcome(path, content[:length], expected) == "refused", length
    assert outcome(path, content, expected) == "harmless"


def test_large_file_truncated(large):
    """No beginning of a larger file loads, at 200 random lengths."""
    content, expected, path = large
    lengths = np.random.default_rng(1).integers(0, len(content), 200)
    path.write_bytes(content)
    for length in sorted(map(int, lengths), reverse=True):
        with open(path, "r+b") as file:
            file.truncate(length)
        with pytest.raises(CheckpointError, match=r"is damaged: it is (truncated|empty|no safetensors)"):
            load(path)
    assert outcome(path, content, expected) == "harmless"


def test_message_says_what_is_missing(small):
    """A file cut within its header says how long it is and must be; a length out of all proportion is named."""
    content, _, path = small
    header = 8 + int.from_bytes(content[:8], "little")
    path.write_bytes(content[:100])
    with pytest.raises(CheckpointError, match=f"truncated: it has 100 bytes and its header alone takes {header}; rest"):
        load(path)
    path.write_bytes(b"\xff" * 100)
    with pytest.raises(
        CheckpointError, match=r"it is no safetensors file, or the length of its header, [\d,]{20,}, was"
    ):
        load(path)


def test_npz_file(tmp_path):
    """A file of NumPy, such as DeZero's weights are, is named as what it is."""
    np.savez(tmp_path / "weights.npz", W=np.ones(3))
    with pytest.raises(
        CheckpointError, match=r"weights\.npz is a zip archive, such as NumPy's \.npz, and no .* numpy\.load"
    ):
        load(tmp_path / "weights.npz")


def test_file_that_shrinks_while_it_is_read(tmp_path, monkeypatch):
    """A file without a checksum, cut by somebody after its header was judged, is not padded with anything."""
    path = tmp_path / "foreign.safetensors"
    path.write_bytes(with_header({"a": u8([100_000], 0, 100_000)}, bytes(100_000)))
    samestat = os.path.samestat

    def cut(a, b):
        os.truncate(path, path.stat().st_size - 1)
        return samestat(a, b)

    monkeypatch.setattr(os.path, "samestat", cut)
    with pytest.raises(CheckpointError, match="is damaged: it became shorter while it was read"):
        load(path)


def test_lengthened_file(small):
    """Bytes after the end are damage too."""
    content, expected, path = small
    assert outcome(path, content + b"\0", expected) == "refused"


def test_each_bit_flipped(small):
    """Flipping any single bit of the file is found, or changes nothing."""
    content, expected, path = small
    outcomes = [
        outcome(path, content[:i] + bytes([content[i] ^ 1 << bit]) + content[i + 1 :], expected)
        for i in range(len(content))
        for bit in range(8)
    ]
    assert outcomes.count("harmless") < len(outcomes) // 100


def test_each_byte_overwritten(small):
    """Overwriting any byte with another printable or random one is found, or changes nothing."""
    content, expected, path = small
    random = np.random.default_rng(2)
    for i in range(len(content)):
        for new in {*random.integers(0, 256, 4).tolist(), *b'0 9"\\AC'} - {content[i]}:
            outcome(path, content[:i] + bytes([new]) + content[i + 1 :], expected)


def test_large_file_with_random_damage(large):
    """A flipped bit anywhere in the arrays of a larger file is found."""
    content, _, path = large
    damaged = bytearray(content)
    for i in map(int, np.random.default_rng(3).integers(len(content) // 10, len(content), 30)):
        damaged[i] ^= 1 << i % 8
        path.write_bytes(damaged)
        damaged[i] = content[i]
        with pytest.raises(CheckpointError, match="its content does not fit its checksum"):
            verify(path)


@settings(max_examples=300)
@given(data=st.data())
def test_several_kinds_of_damage_at_once(small, data):
    """Cutting out, overwriting and inserting pieces is found, or changes nothing."""
    content, expected, path = small
    damaged = bytearray(content)
    for _ in range(data.draw(st.integers(1, 3))):
        begin = data.draw(st.integers(0, len(damaged)))
        damaged[begin : begin + data.draw(st.integers(0, 20))] = data.draw(st.binary(max_size=20))
    outcome(path, bytes(damaged), expected)


@settings(max_examples=200)
@example(content=(2).to_bytes(8, "little") + b"{}")
@given(content=st.binary(max_size=300) | st.binary(max_size=300).map(lambda b: len(b).to_bytes(8, "little") + b))
def test_random_bytes(small, content):
    """Random bytes, also behind a fitting length of the header, are no file, but for those of one without arrays."""
    path = small[2]
    path.write_bytes(content)
    for f in (load, verify, describe):
        try:
            f(path)
        except CheckpointError as error:
            assert re.search("is damaged|is a zip archive", str(error))  # noqa: PT017  # the bytes `{}` are a header
        else:
            assert load(path).arrays == {}


def with_header(header, body=b""):
    """A file with `header`, a JSON tree or bytes."""
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return len(text).to_bytes(8, "little") + text + body


def u8(shape, begin, end, code="U8"):
    return {"dtype": code, "shape": shape, "data_offsets": [begin, end]}


HOSTILE = {
    "no JSON": with_header(b"{x}"),
    "a list": with_header([]),
    "deep nesting": with_header(b"[" * 100_000),
    "deep nesting in an entry": with_header(b'{"a":' * 50_000 + b"}" * 50_000),
    "no UTF-8": with_header(b'{"\xff\xfe": 1}'),
    "overlapping offsets": with_header({"a": u8([2], 0, 2), "b": u8([2], 1, 3)}, bytes(3)),
    "a gap": with_header({"a": u8([1], 0, 1), "b": u8([1], 2, 3)}, bytes(3)),
    "an offset beyond the end": with_header({"a": u8([9], 0, 9)}, bytes(3)),
    "an offset of many digits": with_header(
        b'{"a":{"dtype":"U8","shape":[1],"data_offsets":[0,' + b"9" * 5000 + b"]}}"
    ),
    "a negative offset": with_header({"a": u8([1], -1, 0)}, bytes(1)),
    "a reversed range": with_header({"a": u8([1], 1, 0)}, bytes(1)),
    "a shape that does not fit": with_header({"a": u8([3], 0, 2)}, bytes(2)),
    "a shape that overflows": with_header({"a": u8([2**32, 2**32], 0, 0)}),
    "a shape of 1 TB": with_header({"a": u8([2**40], 0, 2**40)}),
    "an impossible axis": with_header({"a": u8([0, 2**62, 2**62], 0, 0)}),
    "too many axes": with_header({"a": u8([1] * 70, 0, 1)}, bytes(1)),
    "a negative axis": with_header({"a": u8([-1], 0, 1)}, bytes(1)),
    "an unknown dtype": with_header({"a": u8([1], 0, 1, "F99")}, bytes(1)),
    "metadata of numbers": with_header({"__metadata__": {"a": 3}}),
    "metadata that is a list": with_header({"__metadata__": []}),
    "bytes without an array": with_header({}, bytes(1)),
    "an empty file": b"",
    "half a length": b"\x08\0\0",
    "a header of 1 TB": (1 << 40).to_bytes(8, "little") + b"{}",
    "a header of 2**64 bytes": b"\xff" * 8 + b"{}",
    "a header of 99 MB in a short file": (99_000_000).to_bytes(8, "little") + b"{}",
}


@pytest.mark.parametrize("kind", HOSTILE)
def test_hostile_file(tmp_path, kind):
    """A file made to do harm raises our error, with the name of the file and a remedy, and takes no memory."""
    path = tmp_path / "hostile.safetensors"
    path.write_bytes(HOSTILE[kind])
    tracemalloc.start()
    try:
        for f in (load, verify):
            if f is verify and kind in ("an impossible axis", "too many axes"):
                continue  # well-formed; only NumPy cannot hold such arrays
            with pytest.raises(CheckpointError, match=r"hostile\.safetensors is damaged: .*; restore it from a copy"):
                f(path)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 8 << 20


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("{", "its meta is no JSON"),
        ("[" * 100_000, "its meta is no JSON"),
        ('{"n":' + "9" * 5000 + "}", "its meta is no JSON"),
        ("[1]", "its meta is a list instead of a dict"),
        ("", "its meta is no JSON"),
    ],
    ids=["cut", "deep", "long number", "list", "empty"],
)
def test_meta_that_is_no_tree(tmp_path, text, why):
    """Meta that cannot be read is refused even where the checksum fits."""
    path = tmp_path / "a.safetensors"
    path.write_bytes(encode([], text, start_checksum([], text).hexdigest()))
    for f in (load, verify, describe):
        with pytest.raises(CheckpointError, match=f"is damaged: {why}"):
            f(path)


@settings(max_examples=200)
@given(
    header=st.dictionaries(
        st.sampled_from(["__metadata__", "a", "b", "é"]),
        st.fixed_dictionaries(
            {
                "dtype": st.sampled_from(["U8", "F32", "BF16", "BOOL", "F8_E4M3", "F4", "C64", "x"]),
                "shape": st.lists(st.integers(-1, 2**64), max_size=3) | st.lists(st.integers(0, 3), max_size=3),
                "data_offsets": st.lists(st.integers(0, 16), min_size=2, max_size=2),
            }
        )
        | st.dictionaries(st.sampled_from(["format", "format_version", "meta", "checksum"]), st.text(max_size=3)),
    ),
    body=st.binary(max_size=16),
)
def test_almost_valid_headers(small, header, body):
    """Whatever a header of the right form says, what it raises is ours, and what it loads fits what it describes."""
    path = small[2]
    path.write_bytes(with_header(header, body))
    try:
        loaded = load(path)
    except (CheckpointError, DTypeError):
        return
    assert {k: a.shape for k, a in loaded.arrays.items()} == {k: i.shape for k, i in describe(path).arrays.items()}
