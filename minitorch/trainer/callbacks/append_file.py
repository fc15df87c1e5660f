"""`AppendFile`: a file of a run that only grows, and that a resumed run first cuts to what it had written."""

import contextlib
import io
import os
from pathlib import Path
from typing import TYPE_CHECKING

import attrs

from minitorch.errors import CheckpointError
from minitorch.serialize.atomic import replacing

if TYPE_CHECKING:
    from minitorch.trainer.trainer import Trainer


@attrs.define(eq=False)
class AppendFile:
    """A file that only grows; `written`, saved with a checkpoint, says where a resumed run cuts it.

    Args:
        owner: the class that writes it, for messages.
        path: the file; its folder is made where it is missing.
        written: the bytes that the run has written.
    """

    owner: str
    path: Path
    written: int = 0
    _file: io.FileIO | None = attrs.field(default=None, init=False, repr=False)

    def open(self, trainer: "Trainer") -> None:
        """Begin the file for a new run, or cut it to what a resumed one had written.

        Raises:
            CheckpointError: it has fewer bytes than the resumed run had written, or cannot be opened.
        """
        if trainer.state.is_new:
            self.written = 0
        size = self.path.stat().st_size if self.path.exists() else 0
        if size < self.written:
            raise CheckpointError(
                f"{self.owner}: {self.path} has {size} bytes, and the resumed run had written {self.written}; put the "
                "file back, or start a new run in another folder"
            )
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self._file = io.FileIO(self.path, "a")
            self._file.truncate(self.written)
        except OSError as error:
            raise self._failed("opened", error) from error

    def write(self, data: bytes) -> None:
        """Append `data`; whoever reads the file sees it at once.

        Raises:
            CheckpointError: the disk is full or fails; the file is as it was before.
        """
        assert self._file is not None
        left = memoryview(data)
        try:
            while left:  # a disk that is almost full takes a part, and refuses the next
                left = left[self._file.write(left) :]
        except OSError as error:
            with contextlib.suppress(OSError):
                self._file.truncate(self.written)
            raise self._failed("written", error) from error
        self.written += len(data)

    def replace(self, content: bytes) -> None:
        """Put `content` in the place of all there is, whole or not at all."""
        was_open = self._file is not None
        self.close()
        with replacing(self.path, len(content)) as file:
            file.write(content)
        self.written = len(content)
        if was_open:
            self._file = io.FileIO(self.path, "a")

    def sync(self) -> None:
        """See that all that was written is on the disk, also after a power cut.

        Raises:
            CheckpointError: it is not.
        """
        if self._file is not None:
            try:
                os.fsync(self._file.fileno())
            except OSError as error:
                raise self._failed("flushed to the disk", error) from error

    def close(self) -> None:
        """Close the file, if it is open."""
        if self._file is not None:
            self._file.close()
            self._file = None

    def _failed(self, what: str, error: OSError) -> CheckpointError:
        import shutil  # here, since most disks have room

        room = ""
        with contextlib.suppress(OSError):
            room = f"; {shutil.disk_usage(self.path.parent).free:,} bytes are free there"
        return CheckpointError(
            f"{self.owner}: {self.path} could not be {what}: {error.strerror or error}{room}; what was written before "
            "is intact: make room, or look after the disk, and resume the run from its last checkpoint"
        )
