"""Replace a file whole or not at all, and clear away what killed writers left."""

import contextlib
import errno
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from minitorch.errors import CheckpointError

# What file systems and platforms that cannot flush a folder answer; they give no stronger promise to anybody.
_NO_FOLDER_SYNC = {errno.EACCES, errno.EPERM, errno.EINVAL, errno.ENOTSUP, errno.ENOSYS, errno.EBADF}


@contextlib.contextmanager
def replacing(path: str | os.PathLike[str], size: int) -> Iterator[BinaryIO]:
    """A file to write to, which takes the place of `path` when the block ends, and vanishes if the block fails.

    The bytes are on the disk before the name changes, and the new name is when the block is left. A missing folder is
    made, a symbolic link is written through, and the permissions are those of any new file.

    Args:
        path: the file to make or replace.
        size: how many bytes will be needed, for the message when the disk is full.

    Raises:
        CheckpointError: the file could not be written; the older one is intact.
    """
    target = Path(os.path.realpath(path))
    temporary = target.parent / f"{_prefix()}{os.getpid()}-{os.urandom(4).hex()}.tmp"
    if target.is_dir():
        raise CheckpointError(f"{path} is a folder; name a file inside it, such as {target / 'model.safetensors'}")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        try:
            with open(temporary, "xb") as file:
                yield file
                file.flush()
                os.fsync(file.fileno())
            os.replace(temporary, target)
        finally:
            with contextlib.suppress(OSError):
                temporary.unlink(missing_ok=True)
    except OSError as error:
        raise CheckpointError(_why_not_written(path, target, size, error)) from error
    _sync_folder(target)


def remove_leftovers(folder: str | os.PathLike[str]) -> list[Path]:
    """Delete the temporary files that killed processes of this host left in `folder`, and return their paths.

    What a living process is writing stays, and so does what another host wrote to a shared folder.
    """
    removed = []
    for path in sorted(Path(folder).glob(".minitorch-*.tmp")):
        match = re.fullmatch(re.escape(_prefix()) + r"(\d{1,9})-[0-9a-f]{8}\.tmp", path.name)
        if match and not _is_alive(int(match[1])):
            with contextlib.suppress(OSError):  # another process was faster, or the folder is read-only
                path.unlink()
                removed.append(path)
    return removed


def _prefix() -> str:
    """How the names of this host's temporary files begin: a process number means nothing to another host."""
    import socket  # here, since most programs that import minitorch write no file

    return f".minitorch-{re.sub(r'[^A-Za-z0-9.]', '_', socket.gethostname())[:64]}-"


def _is_alive(pid: int) -> bool:
    if os.name == "nt":  # os.kill would end the process; and a file that is being written cannot be deleted anyway
        return False
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:  # it lives, and is somebody else's
        return True
    return True


def _why_not_written(path: str | os.PathLike[str], target: Path, size: int, error: OSError) -> str:
    import shutil

    room = f"; {size:,} bytes are needed"
    with contextlib.suppress(OSError):
        room += f"; {shutil.disk_usage(target.parent).free:,} bytes are free in {target.parent}"
    left = "the previous file is intact" if target.exists() else "no file was left behind"
    return f"{os.fspath(path)} could not be written: {error}{room}; {left}"


def _sync_folder(target: Path) -> None:
    """Make the new name last: after a power cut, a folder that was not flushed may show the older file."""
    try:
        folder = os.open(target.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
    except OSError as error:
        if error.errno not in _NO_FOLDER_SYNC:
            raise CheckpointError(
                f"{target} is written, but its folder could not be flushed to the disk: {error.strerror}; "
                "a power cut now may bring the older file back: save again, and look after the disk"
            ) from error
