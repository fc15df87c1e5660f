"""The bill of the callbacks: what each hook of a run took of the time, and what it moved between host and device."""

import time
from collections.abc import Callable, Iterable
from typing import Any

import attrs

from minitorch.cuda import transfers

MIB = 2**20
SHOWN = 10  # rows of the table


@attrs.define(eq=False)
class HookBill:
    """One hook of one callback, to be called as the hook is, and what its calls took.

    Attributes:
        callback: the name of the callback, numbered from the second of a class on; that of the Trainer for its own.
        hook: the name of the hook.
        function: what is called, with the Trainer first.
        calls: how often it was.
        seconds: how long that took in all; on a GPU, how long the host was busy with it.
        reads: how often it fetched something from a device.
        bytes: what it moved between host and device, in both directions. Seen is what goes through minitorch, not what
            a callback does with CuPy itself.
    """

    callback: str
    hook: str
    function: Callable[..., Any] = attrs.field(repr=False)
    calls: int = 0
    seconds: float = 0.0
    reads: int = 0
    bytes: int = 0

    def __call__(self, *given: Any) -> Any:
        """Call the hook, and count."""
        reads, moved = transfers.reads, transfers.bytes
        began = time.perf_counter()
        result = self.function(*given)
        self.seconds += time.perf_counter() - began
        self.calls += 1
        if transfers.bytes != moved:
            self.reads += transfers.reads - reads
            self.bytes += transfers.bytes - moved
        return result

    @property
    def name(self) -> str:
        """Such as `Checkpoint.on_checkpoint`."""
        return f"{self.callback}.{self.hook}"


@attrs.define(eq=False)
class Mark(HookBill):
    """A hook that looks at the clock for a callback which measures the others: what it takes itself is not counted."""

    def __call__(self, *given: Any) -> Any:
        """Call the hook."""
        return self.function(*given)


class Bill:
    """What the hooks of a run took; `str` gives a table, the most expensive first.

        print(result.bill)

        callbacks: 0.214 s of 12.310 s (1.7%)
        Checkpoint.on_checkpoint        3000 calls    150.2 ms     50.1 us/call
        JSONLLogger.on_batch_end        3000 calls     62.9 ms     21.0 us/call

    Attributes:
        rows: the hooks that run, in no order.
        batches: how many make one update.
        stepper: the name of what runs a batch, where a callback has put another in the place of `train_step`; else "".
    """

    def __init__(self, rows: Iterable[HookBill]) -> None:
        self.rows = list(rows)
        self.batches = 1
        self.stepper = ""
        self._began = time.perf_counter()
        self._ended: float | None = None

    def end(self) -> None:
        """The run is over."""
        self._ended = time.perf_counter()

    @property
    def seconds(self) -> float:
        """How long the run took, or takes until now, from its beginning or from where it was resumed."""
        return (time.perf_counter() if self._ended is None else self._ended) - self._began

    def sorted(self) -> list[HookBill]:
        """The rows of hooks that were called, the one that took longest first."""
        return sorted([row for row in self.rows if row.calls], key=lambda row: -row.seconds)

    def total(self) -> float:
        """The seconds of all hooks together."""
        return sum(row.seconds for row in self.rows)

    def share(self) -> float:
        """The share of all hooks together in the time of the run, from 0 to 1."""
        return self.total() / self.seconds if self.total() else 0.0

    def __str__(self) -> str:
        rows = self.sorted()
        width = max([len(row.name) for row in rows[:SHOWN]], default=0)
        reads, moved = sum(row.reads for row in rows), sum(row.bytes for row in rows)
        headline = f"callbacks: {self.total():.3f} s of {self.seconds:.3f} s ({self.share():.1%})"
        headline += f", {reads} host reads, {moved / MIB:.1f} MiB moved" if moved else ""
        lines = [headline, *[_line(row, width) for row in rows[:SHOWN]]]
        if rows[SHOWN:]:
            lines.append(f"and {len(rows) - SHOWN} more, {1e3 * sum(row.seconds for row in rows[SHOWN:]):.1f} ms")
        return "\n".join(lines)


def _line(row: HookBill, width: int) -> str:
    line = f"{row.name:<{width}}  {row.calls:>7} calls  {1e3 * row.seconds:>9.1f} ms"
    line += f"  {1e6 * row.seconds / row.calls:>9.1f} us/call"
    return line + (f"  {row.reads:>6} reads  {row.bytes / MIB:>8.1f} MiB" if row.bytes else "")
