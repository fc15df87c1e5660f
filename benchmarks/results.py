"""What was measured, and what follows from it: medians, ratios round by round, and whether all did the same work."""

import math
import statistics

import attrs
import numpy as np

from benchmarks.race import Lap, Ready
from benchmarks.workload import UNITS, Target, Workload

TOLERANCE = 1e-3  # of numbers computed, absolute below 1 and relative above
GRADIENT_TOLERANCE = 1e-5  # of the gradients of the first step: the norm of the difference, relative


@attrs.define
class Entry:
    """What came from one contestant.

    Attributes:
        name: of the contestant.
        ready: what it said when it had set up.
        laps: its rounds, the warm-up first.
        error: why it did not finish, if so.
    """

    name: str
    ready: Ready | None = None
    laps: list[Lap] = attrs.field(factory=list)
    error: str | None = None

    def times(self, column: str) -> list[float]:
        """Seconds of each round that counts."""
        return [lap.seconds[column] for lap in self.laps[1:]]


@attrs.frozen
class Spread:
    """A value of each round, in short."""

    median: float
    low: float
    high: float

    @classmethod
    def of(cls, values: list[float]) -> "Spread":
        """The spread of `values`."""
        return cls(statistics.median(values), min(values), max(values))


@attrs.frozen
class Results:
    """All that was measured in one run of a workload.

    Attributes:
        name: of the workload.
        workload: itself.
        entries: of the contestants that were started.
        skipped: by name of the contestant, what is not installed.
        sizes: what each contestant was called with.
        machine: where it ran.
        busy_cores: how many cores others used in the second before; None where that is unknown.
    """

    name: str
    workload: Workload
    entries: list[Entry]
    skipped: dict[str, str]
    sizes: dict[str, int]
    machine: dict[str, str]
    busy_cores: float | None

    @property
    def finished(self) -> list[Entry]:
        """The contestants that ran all rounds."""
        return [entry for entry in self.entries if entry.error is None]

    @property
    def columns(self) -> list[str]:
        """What was timed."""
        return list(self.finished[0].laps[0].seconds) if self.finished else []

    def entry(self, name: str) -> Entry | None:
        """The finished contestant called `name`, if there is one."""
        return next((entry for entry in self.finished if entry.name == name), None)

    def time(self, entry: Entry, column: str) -> Spread:
        """In the unit of the workload."""
        factor = UNITS[self.workload.unit]
        return Spread.of([seconds * factor for seconds in entry.times(column)])

    def ratio(self, entry: Entry, other: Entry, column: str) -> Spread:
        """The time of `entry` divided by that of `other`, round by round."""
        pairs = zip(entry.times(column), other.times(column), strict=True)
        return Spread.of([a / b if b else float("inf") for a, b in pairs])

    def outcome(self, target: Target) -> Spread | None:
        """What `target` bounds; None where a contestant that it names did not run."""
        of, other = self.entry(target.of), self.entry(target.over or target.minus or target.of)
        if of is None or other is None:
            return None
        if target.over is not None:
            return self.ratio(of, other, target.column)
        if target.minus is None:
            return self.time(of, target.column)
        factor = UNITS[self.workload.unit]
        pairs = zip(of.times(target.column), other.times(target.column), strict=True)
        return Spread.of([(a - b) * factor for a, b in pairs])

    # ---- whether all did the same

    @property
    def same_start(self) -> bool:
        """Whether all began with the same weights."""
        return len({entry.ready.weights for entry in self.finished if entry.ready is not None}) <= 1

    @property
    def difference(self) -> float:
        """The largest difference in what was computed, between any contestant and the first, in any round."""
        return max((self.difference_of(entry) for entry in self.finished), default=0.0)

    def difference_of(self, entry: Entry) -> float:
        """The largest difference in what was computed, between `entry` and the first contestant, in any round."""
        largest = 0.0
        for lap, first in zip(entry.laps, self.finished[0].laps, strict=True):
            if len(lap.numbers) != len(first.numbers):
                return float("inf")
            for a, b in zip(lap.numbers, first.numbers, strict=True):
                gap = abs(a - b) / max(1.0, abs(b))
                largest = max(largest, gap if gap == gap else float("inf"))  # NaN agrees with nothing
        return largest

    def gradient_difference_of(self, entry: Entry) -> float | None:
        """The norm of the difference of its first gradients from the first contestant's, relative; None without any."""
        ours, first = entry.ready, self.finished[0].ready
        if ours is None or first is None or not (ours.gradients or first.gradients):
            return None
        pairs = list(zip(ours.gradients, first.gradients, strict=False))
        if len(ours.gradients) != len(first.gradients) or any(a.shape != b.shape for a, b in pairs):
            return float("inf")
        gap = sum(float(np.square(a.astype(np.float64) - b).sum()) for a, b in pairs)
        norm = sum(float(np.square(b.astype(np.float64)).sum()) for _, b in pairs)
        return math.sqrt(gap / norm) if norm and gap == gap else float("inf")

    @property
    def gradient_difference(self) -> float | None:
        """The largest of all contestants; None where no gradients were compared."""
        gaps = [gap for entry in self.finished if (gap := self.gradient_difference_of(entry)) is not None]
        return max(gaps, default=None)

    @property
    def fair(self) -> bool:
        """Whether all that started finished, from the same weights, with the same gradients and numbers."""
        same = self.same_start and self.difference <= TOLERANCE
        return (
            len(self.finished) == len(self.entries) and same and (self.gradient_difference or 0) <= GRADIENT_TOLERANCE
        )
