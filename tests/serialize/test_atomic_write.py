"""A file is written whole or not at all, whatever fails and whoever is killed."""

import contextlib
import errno
import os
import shutil
import signal
import stat
import subprocess
import sys
import types
from pathlib import Path

import numpy as np
import pytest

from minitorch.errors import CheckpointError
from minitorch.serialize import load, remove_leftovers, save, verify

posix_only = pytest.mark.skipif(os.name == "nt", reason="permissions, pipes and signals of POSIX")


def assert_untouched(path):
    """The file of the fixture `old` is intact and alone."""
    verify(path)
    assert load(path).meta == {"generation": "old"}
    assert list(path.parent.iterdir()) == [path]


def test_folders_are_made(tmp_path):
    """A path in folders that do not exist is simply saved."""
    save(tmp_path / "runs" / "mnist" / "a.safetensors", {"x": np.zeros(1)})
    verify(tmp_path / "runs" / "mnist" / "a.safetensors")


@posix_only
@pytest.mark.parametrize("umask", [0o022, 0o027, 0o077, 0o002])
def test_permissions_follow_umask(path, umask):
    """A saved file has the permissions of any new file, not those of a private temporary one."""
    before = os.umask(umask)
    try:
        save(path, {"x": np.zeros(1)})
    finally:
        os.umask(before)
    assert stat.S_IMODE(path.stat().st_mode) == 0o666 & ~umask


@posix_only
def test_symbolic_link_is_written_through(tmp_path):
    """Saving to a link replaces the file that it names, and the link stays a link."""
    real, link = tmp_path / "elsewhere" / "real", tmp_path / "link"
    real.parent.mkdir()
    link.symlink_to(real)
    save(link, {}, {"step": 1})
    assert link.is_symlink()
    assert load(real).meta == {"step": 1}
    assert sorted(p.name for p in real.parent.iterdir()) == ["real"]


def test_long_name(tmp_path):
    """A name as long as the file system takes can be saved: the temporary's name does not grow with it."""
    path = tmp_path / ("x" * 255)
    save(path, {"x": np.zeros(1)})
    verify(path)


def test_bytes_are_flushed_before_the_name_changes(path, monkeypatch):
    """The order of events is: flush the file, rename it, flush the folder."""
    events, fsync, replace = [], os.fsync, os.replace

    def logged_fsync(fd):
        events.append("folder" if stat.S_ISDIR(os.fstat(fd).st_mode) else "file")
        fsync(fd)

    def logged_replace(source, target):
        assert Path(source).name.startswith(".")
        assert str(os.getpid()) in Path(source).name
        assert Path(source).parent == Path(target).parent
        events.append("rename")
        replace(source, target)

    monkeypatch.setattr(os, "fsync", logged_fsync)
    monkeypatch.setattr(os, "replace", logged_replace)
    save(path, {"x": np.zeros(1)})
    assert events == ["file", "rename", "folder"]


@pytest.mark.parametrize("step", ["fsync", "replace"])
def test_failed_write_leaves_the_older_file(old, monkeypatch, step):
    """An error of the disk names the file, the bytes needed and free, and leaves the older file and nothing else."""

    def fail(*args):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, step, fail)
    with pytest.raises(CheckpointError) as info:
        save(old, {"x": np.zeros(1000)}, {"generation": "new"})
    monkeypatch.undo()
    message = str(info.value)
    assert message.startswith(f"{old} could not be written: [Errno 28] No space left on device; 8,2")
    assert "bytes are needed; " in message
    assert message.endswith(f" bytes are free in {old.parent}; the previous file is intact")
    assert isinstance(info.value.__cause__, OSError)
    assert_untouched(old)


def test_failed_first_write_leaves_nothing(path, monkeypatch):
    """Where no older file is, none is left either, and the message says so."""
    monkeypatch.setattr(os, "replace", lambda *args: (_ for _ in ()).throw(OSError(errno.EIO, "I/O error")))
    with pytest.raises(CheckpointError, match=r"no file was left behind$"):
        save(path, {"x": np.zeros(1)})
    assert list(path.parent.iterdir()) == []


@pytest.mark.parametrize("step", ["fsync", "replace"])
def test_interrupted_write_leaves_the_older_file(old, monkeypatch, step):
    """Ctrl-C while saving passes through, and leaves the older file and nothing else."""
    monkeypatch.setattr(os, step, lambda *args: (_ for _ in ()).throw(KeyboardInterrupt()))
    with pytest.raises(KeyboardInterrupt):
        save(old, {"x": np.zeros(1000)}, {"generation": "new"})
    monkeypatch.undo()
    assert_untouched(old)


def test_array_that_fails_to_arrive_leaves_the_older_file(old, monkeypatch):
    """An error of the device in the middle of the write is not hidden, and leaves the older file and nothing else."""

    class DeviceArray:
        dtype, shape, nbytes = np.dtype("f4"), (2,), 8

    cupy = types.ModuleType("cupy")
    cupy.ndarray = DeviceArray
    cupy.asnumpy = lambda a: (_ for _ in ()).throw(RuntimeError("illegal memory access"))
    monkeypatch.setitem(sys.modules, "cupy", cupy)
    with pytest.raises(RuntimeError, match="illegal memory access"):
        save(old, {"a": np.zeros(2), "b": DeviceArray()})
    assert_untouched(old)


@posix_only
def test_write_cut_short_by_the_system(old):
    """A real failure in the middle of the bytes (a limit on file sizes) leaves the older file and nothing else."""
    resource = pytest.importorskip("resource")
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (3 << 20, before[1]))
    try:
        with pytest.raises(CheckpointError, match=r"File too large.*the previous file is intact"):
            save(old, {"x": np.zeros(8 << 20, np.uint8)})
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert_untouched(old)


def test_full_disk(small_disk):
    """On a disk that is really full the older file stays, the room is given back, and a smaller save then works."""
    path = small_disk / "model.safetensors"
    save(path, {"x": np.zeros(3)}, {"generation": "old"})
    free = shutil.disk_usage(small_disk).free
    with pytest.raises(CheckpointError) as info:
        save(path, {"x": np.zeros(2 << 20, np.uint8)})
    assert "No space left on device; 2,097,3" in str(info.value)
    assert f"; {free:,} bytes are free in {small_disk}; the previous file is intact" in str(info.value)
    assert_untouched(path)
    save(path, {"x": np.zeros(100_000, np.uint8)})
    verify(path)


@posix_only
@pytest.mark.parametrize(("code", "fails"), [(errno.EINVAL, False), (errno.ENOTSUP, False), (errno.EIO, True)])
def test_folder_that_cannot_be_flushed(old, monkeypatch, code, fails):
    """A file system without flushing of folders is accepted; a disk error there is told, with the new file in place."""
    fsync = os.fsync

    def fail_on_folders(fd):
        if stat.S_ISDIR(os.fstat(fd).st_mode):
            raise OSError(code, os.strerror(code))
        fsync(fd)

    monkeypatch.setattr(os, "fsync", fail_on_folders)
    expected = pytest.raises(CheckpointError, match="is written, but its folder could not be flushed")
    with expected if fails else contextlib.nullcontext():
        save(old, {}, {"generation": "new"})
    assert load(old).meta == {"generation": "new"}


def test_saving_to_a_folder(tmp_path):
    """The path of a folder is refused with advice, before anything is written."""
    with pytest.raises(CheckpointError, match=r"is a folder; name a file inside it, such as .*model\.safetensors"):
        save(tmp_path, {"x": np.zeros(1)})
    assert list(tmp_path.iterdir()) == []


def test_folder_that_is_a_file(old):
    """A path through a file raises our error, with the reason of the system."""
    with pytest.raises(CheckpointError, match=r"could not be written: .*exists.*no file was left behind"):
        save(old / "x.safetensors", {"x": np.zeros(1)})
    assert_untouched(old)


CHILD = """
import os, signal, sys
import numpy as np
from minitorch.serialize import save

path, die_at = sys.argv[1:]
if die_at != "never":
    setattr(os, die_at, lambda *args: os.kill(os.getpid(), signal.SIGKILL))
for i in range(1, 1_000_000):
    save(path, {"x": np.full((i % 3 + 1) * 100_000, i, np.int64)}, {"i": i})
    print(i, flush=True)
"""


def saving_child(path, die_at="never"):
    """A process that saves to `path` in a loop, and may kill itself at its first call of `os.<die_at>`."""
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    command = [sys.executable, "-c", CHILD, str(path), die_at]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment)


@posix_only
@pytest.mark.parametrize("die_at", ["fsync", "replace"])
def test_kill_at_the_worst_moment(old, die_at):
    """A process killed between writing and renaming leaves the older file; its leftover is known and removed."""
    with saving_child(old, die_at) as child:
        assert child.wait(60) == -signal.SIGKILL
    verify(old)
    assert load(old).meta == {"generation": "old"}
    (leftover,) = (p for p in old.parent.iterdir() if p != old)
    assert leftover.name.startswith(".minitorch-")
    assert leftover.suffix == ".tmp"
    assert remove_leftovers(old.parent) == [leftover]
    assert_untouched(old)


@posix_only
def test_kill_at_any_moment(path):
    """However often a process that saves in a loop is killed, the file is always a valid one."""
    random = np.random.default_rng(0)
    for _ in range(4):
        with saving_child(path) as child:
            try:
                child.stdout.readline()  # the file exists from here on
                with contextlib.suppress(subprocess.TimeoutExpired):
                    child.wait(float(random.uniform(0, 0.05)))
            finally:
                child.kill()
        loaded = load(path)
        i = loaded.meta["i"]
        np.testing.assert_array_equal(loaded.arrays["x"], np.full((i % 3 + 1) * 100_000, i), strict=True)
        remove_leftovers(path.parent)
        assert list(path.parent.iterdir()) == [path]


def test_leftovers_of_the_living_and_of_others_stay(old, monkeypatch):
    """Only temporaries of dead processes of this host are removed; what else is there stays, whatever its name."""
    temporaries = []
    monkeypatch.setattr(os, "replace", lambda source, target: temporaries.append(Path(source)))
    save(old, {})
    (mine,) = temporaries
    dead = subprocess.Popen([sys.executable, "-c", ""])
    dead.wait()
    names = [mine.name, mine.name.replace("minitorch-", "minitorch-other.host."), ".minitorch-x.tmp", "x.tmp"]
    for name in names:
        (old.parent / name).touch()
    stale = old.parent / mine.name.replace(f"-{os.getpid()}-", f"-{dead.pid}-")
    stale.touch()
    assert remove_leftovers(old.parent) == ([] if os.name == "nt" else [stale])
    assert {p.name for p in old.parent.iterdir()} == {old.name, *names}


def test_leftovers_of_a_folder_that_is_not_there(tmp_path):
    """Where there is no folder there is nothing to remove."""
    assert remove_leftovers(tmp_path / "runs") == []
