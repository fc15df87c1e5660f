"""The inside of a contestant's process: it waits for its turn, runs one round against the clock, and reports it."""

import gc
import hashlib
import io
import os
import sys
import traceback
from collections.abc import Mapping, Sequence
from importlib import metadata
from multiprocessing.connection import Connection
from time import perf_counter
from typing import Any

import attrs
import numpy as np

from benchmarks.workload import ONEDNN, STEP, load
from minitorch.config import Config
from minitorch.cpu import blas, threads


@attrs.frozen
class Ready:
    """What a contestant says when it has set up.

    Attributes:
        weights: SHA-256 of the weights that it holds; "" where there are none.
        gradients: of its first step, to be compared with the others'.
        note: a remark for the table.
        versions: of the distributions that it needs.
        threads: how many each library uses.
    """

    weights: str
    gradients: list[np.ndarray[Any, Any]]
    note: str
    versions: dict[str, str]
    threads: dict[str, int | None]


@attrs.frozen
class Lap:
    """One round of one contestant.

    Attributes:
        seconds: by column; bytes where the unit of the workload is one of memory.
        numbers: what was computed, such as the mean loss; to be compared with the others'.
        faults: page faults a step; None where they were not counted.
    """

    seconds: dict[str, float]
    numbers: list[float]
    faults: float | None


@attrs.frozen
class Failure:
    """Why there is no more to come from a contestant."""

    error: str


class Race:
    """What a contestant is given: it calls `start` once, and `lap` at the end of every round.

    Both return when its turn has come again, with the clock started.

    Attributes:
        rounds: how many there are; the first is a warm-up that does not count.
    """

    def __init__(self, pipe: Connection, rounds: int, needs: Sequence[str]) -> None:
        self.rounds = rounds
        self._pipe = pipe
        self._needs = needs
        self._begun = 0.0
        self._faults = 0
        self._left = rounds

    def start(
        self,
        weights: Sequence[np.ndarray[Any, Any]] = (),
        *,
        gradients: Sequence[np.ndarray[Any, Any]] = (),
        note: str = "",
    ) -> None:
        """Say that everything is set up.

        Args:
            weights: those that the model holds, in the order and layout of `mnist.weights()` or its like.
            gradients: of a first step from there, in the same order and layout.
            note: a remark for the table.
        """
        versions = {name: metadata.version(name) for name in self._needs}
        self._pipe.send(Ready(_digest(weights), list(gradients), note, versions, _threads()))
        self._wait()

    def lap(self, numbers: Sequence[float] = (), *, steps: int = 0, seconds: Mapping[str, float] | None = None) -> None:
        """Say that the round is done.

        Args:
            numbers: what it computed, to be compared with what others did.
            steps: how many it had; the time since the last turn began is divided by it.
            seconds: by column, for a contestant that has measured itself.
        """
        now = perf_counter()
        faults = _page_faults()
        if seconds is None:
            seconds = {STEP: (now - self._begun) / steps}
        a_step = (faults - self._faults) / steps if steps and faults is not None else None
        self._pipe.send(Lap(dict(seconds), [float(n) for n in numbers], a_step))
        self._left -= 1
        if self._left:
            self._wait()

    def _wait(self) -> None:
        gc.collect()
        self._pipe.recv()
        self._faults = _page_faults() or 0
        self._begun = perf_counter()


class Terminal(io.TextIOWrapper):
    """A file that says it is a terminal, so that progress bars are drawn as they would be for a person."""

    def isatty(self) -> bool:
        return True


def compete(pipe: Connection, module: str, name: str, rounds: int, sizes: Mapping[str, int]) -> None:
    """Run the contestant `name` of the workload `module`: what a contestant's process does."""
    silence = Terminal(open(os.devnull, "wb"), encoding="utf-8", line_buffering=True)  # noqa: SIM115  # to the end
    os.dup2(silence.fileno(), 1)
    os.dup2(silence.fileno(), 2)
    sys.stdout = sys.stderr = silence
    try:
        contestant = load(module).contestant(name)
        Config.use_onednn = ONEDNN in contestant.needs
        contestant.run(Race(pipe, rounds, contestant.needs), **sizes)
    except Exception:
        pipe.send(Failure(traceback.format_exc()))


def _digest(weights: Sequence[np.ndarray[Any, Any]]) -> str:
    """One for equal values, whatever their floating dtype and layout in memory."""
    total = hashlib.sha256()
    for array in weights:
        total.update(np.ascontiguousarray(array, np.float32).tobytes())
    return total.hexdigest() if weights else ""


def _threads() -> dict[str, int | None]:
    found = {"NumPy's BLAS": blas.get_num_threads(), "minitorch": threads.get_num_threads()}
    if "torch" in sys.modules:
        found["PyTorch"] = sys.modules["torch"].get_num_threads()
    return found


def _page_faults() -> int | None:
    """How many pages this process has touched for the first time; None on Windows."""
    try:
        import resource
    except ImportError:
        return None
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt
