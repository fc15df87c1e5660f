"""What the sections of `scripts/gpu` share: a file of JSON lines to write results to as they come, and a deadline."""

import argparse
import json
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import attrs


@attrs.define
class Record:
    """Where a section writes, and until when.

    Attributes:
        file: of JSON lines, one for each result; what is in it stays, whatever becomes of the section.
        deadline: of `time.monotonic`.
        fake: whether this is a dry run on the stand-in for CuPy, of which no time means anything.
    """

    file: Path
    deadline: float
    fake: bool

    def add(self, kind: str, **values: Any) -> None:
        """Write one result."""
        with self.file.open("a") as file:
            file.write(json.dumps({"kind": kind, **values}) + "\n")

    def attempt(self, name: str, work: Callable[[], None]) -> None:
        """Do a part of the section; that it failed, or that there was no time for it, is a result too."""
        if time.monotonic() > self.deadline:
            self.add("skipped", what=name, why="no time was left")
            return
        try:
            work()
        except Exception as error:
            self.add(
                "failed", what=name, why=f"{type(error).__name__}: {error}"[:300], where=traceback.format_exc()[-1500:]
            )


@contextmanager
def section() -> Iterator[Record]:
    """The record of a section, which runs as a process of its own."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--results", type=Path, required=True)
    parser.add_argument("--seconds", type=float, required=True)
    parser.add_argument("--fake", action="store_true")
    args = parser.parse_args()
    yield Record(args.results, time.monotonic() + args.seconds, args.fake)
