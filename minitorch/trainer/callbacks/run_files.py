"""`RunFiles`: what all callbacks share that write files into the folder of a run."""

from pathlib import Path
from typing import ClassVar

import attrs

from minitorch.trainer.callback import Callback
from minitorch.trainer.settings import as_text


@attrs.define(eq=False)
class RunFiles(Callback):
    """Writes files into the folder of a run, which `Trainer.fit` holds for it while the run is under way.

    Several callbacks may share a folder; a run that is not theirs finds it locked, and later is refused there unless it
    goes on with this one or may overwrite it.

    Attributes:
        patterns: which files in the folder are of callbacks of this class.
    """

    patterns: ClassVar[tuple[str, ...]] = ()

    folder: Path = attrs.field(converter=Path, repr=as_text)
    overwrite: bool = attrs.field(default=False, kw_only=True)

    def files(self) -> list[Path]:
        """The files that this or an earlier run has written here, sorted; empty ones do not count."""
        found = [path for pattern in self.patterns for path in sorted(self.folder.glob(pattern))]
        return [path for path in found if path.stat().st_size]

    def clear(self) -> None:
        """Delete them."""
        for path in self.files():
            path.unlink(missing_ok=True)
