"""`AppendFile`: a file of a run that only grows, and that a resumed run first cuts to what it had written."""

import os
from pathlib import Path
from typing import IO, TYPE_CHECKING

import attrs

from minitorch.errors import CheckpointError, ConfigError
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
    _file: IO[bytes] | None = attrs.field(default=None, init=False, repr=False)

    def open(self, trainer: "Trainer", overwrite: bool = False) -> None:
        """Open the file for a run that begins, or cut it to what a resumed one had written.

        Raises:
            ConfigError: it is of an earlier run, and this one neither resumes that nor may overwrite it.
            CheckpointError: it has fewer bytes than the resumed run had written.
        """
        size = self.path.stat().st_size if self.path.exists() else 0
        if trainer.state.is_new:
            self.written = 0
            if size and not (overwrite or trainer.resuming):
                raise ConfigError(
                    f"{self.owner}: {self.path} is of an earlier run; resume that run, choose another folder, or pass "
                    "overwrite=True"
                )
        if size < self.written:
            raise CheckpointError(
                f"{self.owner}: {self.path} has {size} bytes, and the resumed run had written {self.written}; put the "
                "file back, or start a new run in another folder"
            )
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self._file = self.path.open("ab")
        self._file.truncate(self.written)

    def write(self, data: bytes) -> None:
        """Append `data`; whoever reads the file sees it at once."""
        assert self._file is not None
        self._file.write(data)
        self._file.flush()
        self.written += len(data)

    def replace(self, content: bytes) -> None:
        """Put `content` in the place of all there is, whole or not at all."""
        was_open = self._file is not None
        self.close()
        with replacing(self.path, len(content)) as file:
            file.write(content)
        self.written = len(content)
        if was_open:
            self._file = self.path.open("ab")

    def sync(self) -> None:
        """See that all that was written is on the disk, also after a power cut."""
        if self._file is not None:
            os.fsync(self._file.fileno())

    def close(self) -> None:
        """Close the file, if it is open."""
        if self._file is not None:
            self._file.close()
            self._file = None
