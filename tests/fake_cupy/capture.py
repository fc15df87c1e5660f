"""Captures of a stream and the graphs they give, which do on every launch what was captured."""

from collections.abc import Callable
from typing import Any

import numpy as np

from fake_cupy import traffic

Array = np.ndarray[Any, Any]
Work = Callable[[], Any]


class Graph:
    """What was captured.

    Attributes:
        launches: how often it was launched.
        uploads: how often it was uploaded.
        shared_bytes: taken from the pool that all code shares; other code will write there while the graph uses it.
    """

    def __init__(self, work: list[tuple[Work, list[Array]]], kept: list[Array], capture: "Capture") -> None:
        self._work = work
        self._kept = kept
        self._pools = capture.pools
        self.shared_bytes = capture.shared_bytes
        self.launches = 0
        self.uploads = 0

    def launch(self, stream: Any = None) -> None:
        """Do all of it, into the same memory, which must still be there."""
        from fake_cupy.array import arrays_in

        assert all(pool() is not None for pool in self._pools), "the pool that the graph has its memory from is freed"
        self.launches += 1
        with np.errstate(all="ignore"):
            for work, results in self._work:
                for into, value in zip(results, arrays_in(work()), strict=True):
                    if not np.may_share_memory(into, value):
                        into[...] = value

    def upload(self, stream: Any = None) -> None:
        """Count an upload."""
        self.uploads += 1

    @property
    def size(self) -> int:
        """How many pieces of work it has."""
        return len(self._work)


class Capture:
    """What a capturing stream gathers.

    The work is done once to learn the shapes of results, and undone at the end: what it wrote into other arrays, and
    what it made, which is garbage until the first launch.

    Attributes:
        shared_bytes: taken from the pool that all code shares.
        pools: weak references to all pools that memory was taken from.
        valid: whether nothing has happened yet that CUDA gives a capture up for.
    """

    def __init__(self) -> None:
        self.valid = True
        self.pools: list[Any] = []
        self._work: list[tuple[Work, list[Array]]] = []
        self._before = [(a._np, a._np.copy()) for a in traffic.owners() if a._np.flags.writeable]
        self._made: list[Array] = []
        self.shared_bytes = 0

    def record(self, work: Work, results: list[Array]) -> None:
        """Add work, whose results have the memory `results`."""
        self._work.append((work, results))

    def made(self, array: Any) -> None:
        """Note an array whose memory belongs to the graph."""
        self._made.append(array._np)

    def end(self) -> Graph:
        """Undo what was done, and give the graph."""
        from fake_cupy.array import garbage

        for a, before in self._before:
            a[...] = before
        for a in self._made:
            garbage(a)
        kept = [a for a, _ in self._before] + self._made  # the work may know their addresses alone
        return Graph(self._work, kept, self)
