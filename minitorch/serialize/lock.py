"""`FolderLock`: one process at a time in a folder, with a lock of the operating system."""

import contextlib
import datetime
import errno
import os
import re
import time
from pathlib import Path
from typing import IO, Any

from minitorch.errors import CheckpointError, InUseError
from minitorch.warning import warn

fcntl: Any = None
msvcrt: Any = None
with contextlib.suppress(ImportError):  # Windows has none
    import fcntl
with contextlib.suppress(ImportError):  # all others have none
    import msvcrt

NAME = ".lock"
_FAR = 1 << 30  # Windows locks bytes against reading too: one behind all text
_NO_LOCKS = {errno.ENOLCK, errno.ENOTSUP, errno.ENOSYS, errno.EINVAL, errno.EBADF}
_GLANCE = 0.05  # seconds: longer than `is_held` takes to look


class FolderLock:
    """Holds a folder, made where it is missing, until `release`.

        lock = FolderLock(folder)
        ...
        lock.release()

    The system gives the lock back when the process ends, however it ends, so that a killed one is in nobody's way. The
    file `.lock` stays: if it were deleted, two processes could hold locks on two files of that name.

    Raises:
        InUseError: another process holds the folder, or another run of this one; the message says which.
        CheckpointError: the folder cannot be made or written to.
    """

    def __init__(self, folder: Path) -> None:
        path = folder / NAME
        try:
            folder.mkdir(parents=True, exist_ok=True)
            self._file = path.open("a+b", buffering=0)
        except OSError as error:
            raise CheckpointError(
                f"{folder} cannot be written to ({error.strerror or error}); choose another folder for the run"
            ) from error
        try:
            _lock_unless_held(self._file)
        except OSError as error:
            if error.errno in _NO_LOCKS:
                warn(f"{folder} is on a file system without locks; see that no other process uses it")
                return
            holder = _holder(self._file)
            self._file.close()
            raise InUseError(
                f"{folder} is in use by {holder}; wait for it to end, end it, or choose another folder"
            ) from None
        with contextlib.suppress(OSError):  # a full disk: then a message about the holder says less
            self._file.truncate(0)
            import socket  # here, since most programs that import minitorch hold no folder

            now = datetime.datetime.now().astimezone().isoformat(" ", "seconds")
            self._file.write(f"process {os.getpid()} on {socket.gethostname()} since {now}\n".encode())

    def release(self) -> None:
        """Let others in."""
        self._file.close()


def is_held(folder: Path) -> bool:
    """Whether a process holds `folder` at this moment."""
    try:
        file = (folder / NAME).open("rb", buffering=0)
    except OSError:  # there is none, or it is somebody else's, and cannot be asked
        return False
    with file:
        try:
            _lock(file)
        except OSError as error:
            return error.errno not in _NO_LOCKS
    return False


def _lock_unless_held(file: IO[Any]) -> None:
    try:
        _lock(file)
    except OSError:
        time.sleep(_GLANCE)  # it may be somebody who only asks whether it is held
        _lock(file)


def _holder(file: IO[bytes]) -> str:
    with contextlib.suppress(OSError):
        file.seek(0)
        match = re.match(rb"(process (\d+) on [\w.-]+) since ([\d :+-]+)\n", file.read(300))
        if match:
            other = "another run of this process, " if int(match[2]) == os.getpid() else ""
            return f"{other}{match[1].decode()}, since {match[3].decode()}"
    return "another process"


def _lock(file: IO[Any]) -> None:
    """Lock it for this process, or raise OSError at once."""
    if fcntl is not None:
        fcntl.flock(file.fileno(), fcntl.LOCK_EX | fcntl.LOCK_NB)
    elif msvcrt is not None:
        file.seek(_FAR)
        msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
        file.seek(0)
    else:
        raise OSError(errno.ENOSYS, "this system has no locks")
