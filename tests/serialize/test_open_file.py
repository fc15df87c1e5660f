"""Opening a file: what is missing, unreadable, replaced, or of another version; and what its header tells."""

import os
import threading

import numpy as np
import pytest
from safetensors import safe_open

from minitorch.errors import CheckpointError, MissingFileError
from minitorch.serialize import ArrayInfo, describe, load, save, verify


def test_missing_file_names_its_neighbours(tmp_path):
    """A missing file raises what both `except FileNotFoundError` and `except CheckpointError` catch, with advice."""
    for name in ("epoch1.safetensors", "epoch2.safetensors", "notes.txt"):
        (tmp_path / name).touch()
    with pytest.raises(MissingFileError, match=r"epoch3.safetensors does not exist; in its folder there is epoch"):
        load(tmp_path / "epoch3.safetensors")
    for f in (load, verify, describe):
        with pytest.raises(FileNotFoundError, match=r"epoch\d.safetensors, epoch\d.safetensors$"):
            f(tmp_path / "epoch3.safetensors")
        with pytest.raises(CheckpointError, match=r"does not exist, nor does its folder .*nowhere$"):
            f(tmp_path / "nowhere" / "a.safetensors")
    (tmp_path / "empty").mkdir()
    with pytest.raises(MissingFileError, match=r"in its folder there is no \.safetensors file$"):
        load(tmp_path / "empty" / "a")


def test_what_is_no_file_is_refused(tmp_path):
    """A folder is named as such, and a pipe does not block."""
    with pytest.raises(CheckpointError, match="is a folder or a device"):
        load(tmp_path)
    if hasattr(os, "mkfifo"):
        os.mkfifo(tmp_path / "pipe")
        with pytest.raises(CheckpointError, match="is a folder or a device"):
            load(tmp_path / "pipe")


def test_unreadable_file(old):
    """An error of the system while opening becomes ours, with its reason."""
    with pytest.raises(CheckpointError, match="cannot be read: Not a directory"):
        load(old / "x")


def test_reader_sees_one_file_while_it_is_replaced(path, monkeypatch):
    """If the file is replaced between two looks at it, the reader starts again and gets the new one whole."""
    save(path, {"x": np.zeros(10)}, {"n": 1})
    opened = []

    def replace_then_open(*args, **kwargs):
        if not opened:
            save(path, {"y": np.ones(20), "z": np.ones(1)}, {"n": 2})
        opened.append(args)
        return safe_open(*args, **kwargs)

    monkeypatch.setattr("safetensors.safe_open", replace_then_open)
    loaded = load(path)
    assert len(opened) == 2
    assert loaded.meta == {"n": 2}
    np.testing.assert_array_equal(loaded.arrays["y"], np.ones(20), strict=True)


def test_reading_while_another_thread_saves(path):
    """A reader gets one of the versions whole, never a mixture, however often the file is replaced."""
    stop = threading.Event()

    def write():
        i = 0
        while not stop.is_set():
            i += 1
            save(path, {f"x{k}": np.full(1000 * (i % 2 + 1), i) for k in range(i % 5 + 1)}, {"i": i})

    save(path, {"x0": np.full(1000, 0)}, {"i": 0})
    thread = threading.Thread(target=write)
    thread.start()
    try:
        for _ in range(100):
            loaded = load(path)
            assert {int(v) for a in loaded.arrays.values() for v in a} == {loaded.meta["i"]}
    finally:
        stop.set()
        thread.join()


def test_describe_reads_the_header_alone(path):
    """Names, shapes, dtypes and meta come without a look at the arrays, which may even be damaged."""
    save(path, {"W": np.zeros((2, 3), np.float16), "n": np.array(1)}, {"step": 3})
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    description = describe(path)
    assert description.arrays == {"W": ArrayInfo((2, 3), "float16"), "n": ArrayInfo((), "int64")}
    assert description.meta == {"step": 3}
    assert description.format_version == "1"
    assert description.nbytes == len(content)
    assert description.path == str(path)
    for f in (load, verify):
        with pytest.raises(CheckpointError, match="is damaged: its content does not fit its checksum; restore it"):
            f(path)


def test_newer_format_version(path):
    """A file of a later format says which, and what to do, instead of being misread."""
    save(path, {"x": np.zeros(1)})
    path.write_bytes(path.read_bytes().replace(b'"format_version":"1"', b'"format_version":"2"'))
    for f in (load, verify, describe):
        with pytest.raises(CheckpointError, match="has format_version '2' and this minitorch reads '1': update"):
            f(path)


@pytest.mark.parametrize("mark", ["format", "format_version", "meta", "checksum"])
def test_file_with_a_lost_mark_is_not_taken_for_a_foreign_one(path, mark):
    """If one of our four marks is gone, the file is damaged; it does not pass as an unchecked file of another tool."""
    save(path, {"x": np.zeros(1)})
    path.write_bytes(path.read_bytes().replace(f'"{mark}":'.encode(), f'"{mark[:-1]}_":'.encode()))
    for f in (load, verify, describe):
        with pytest.raises(CheckpointError, match="its metadata is incomplete"):
            f(path)
