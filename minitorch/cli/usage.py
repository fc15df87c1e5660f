"""`usage_errors`: how a program that is started by hand tells its user that it was started the wrong way."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from minitorch.errors import (
    CheckpointError,
    ConfigError,
    DataError,
    DeviceError,
    MissingExtraError,
    StateError,
)

OF_USE = (ConfigError, DataError, DeviceError, StateError, CheckpointError, MissingExtraError, OSError)
STATUS = 2  # as argparse ends


@contextmanager
def usage_errors() -> Iterator[None]:
    """Inside, an error of how the program is used ends it with one line and exit status 2, as argparse does.

        if __name__ == "__main__":
            with usage_errors():
                main()

    Such are a setting that is not allowed, a file or data that are missing or damaged, a folder in use, and a device or
    package that is not there. What a program itself does wrong, as shapes that do not fit, keeps its traceback.
    """
    try:
        yield
    except OF_USE as error:
        lines = [f"{Path(sys.argv[0]).name}: error: {error}", *[f"note: {note}" for note in error_notes(error)]]
        sys.stderr.write("\n".join(lines) + "\n")
        raise SystemExit(STATUS) from error


def error_notes(error: BaseException) -> list[str]:
    """The notes that were added to `error`."""
    return getattr(error, "__notes__", [])
