"""What a benchmark is made of: a workload, the contestants that do it, and what is wanted of their times."""

import importlib
import pkgutil
from collections.abc import Callable, Mapping
from importlib import metadata

import attrs

from benchmarks import workloads

ONEDNN = "onednn-cpu-gomp"  # the distribution of the extra `fast`, which minitorch uses only where it is needed
STEP = "a step"  # the column of a workload that measures one thing only: the time of a step
UNITS = {"s": 1.0, "ms": 1e3, "µs": 1e6, "MB": 1e-6}  # of seconds, and of bytes


@attrs.frozen
class Contestant:
    """One way to do the work of a workload; it runs in a process of its own.

    Args:
        name: as in the tables.
        run: `run(race, **sizes)`; it sets up, calls `race.start`, and then `race.lap` after each of `race.rounds`.
        needs: the distributions that it imports; where one is not installed, it is skipped.
    """

    name: str
    run: Callable[..., None]
    needs: tuple[str, ...] = ()

    def missing(self) -> list[str]:
        """Those of `needs` that are not installed."""
        return [name for name in self.needs if not _is_installed(name)]


@attrs.frozen
class Target:
    """A wish: the time of `of`, or its ratio to `over`, or its difference to `minus`, is to be `at_most` this.

    Args:
        of: the name of a contestant.
        at_most: the bound; in the unit of the workload where it is no ratio.
        over: the contestant to divide by, round by round.
        minus: the contestant to subtract, round by round.
        column: what is compared.
    """

    of: str
    at_most: float
    over: str | None = None
    minus: str | None = None
    column: str = STEP


@attrs.frozen
class Workload:
    """Work that several contestants do in the same way, to be timed.

    Args:
        title: in one line, what is done.
        about: what is measured, and how; a paragraph of Markdown.
        contestants: in the order in which they take turns.
        reference: the name of the contestant that all others are compared with.
        sizes: keyword arguments of every contestant's `run`.
        quick: the same for a smoke test.
        unit: of times in the tables: "s", "ms" or "µs"; "MB" of what is measured in bytes.
        targets: what is wanted.
        rounds: at most so many, for what is the same in each; None: as many as are asked for.
    """

    title: str
    about: str
    contestants: tuple[Contestant, ...]
    reference: str
    sizes: Mapping[str, int]
    quick: Mapping[str, int]
    unit: str = attrs.field(default="ms", validator=attrs.validators.in_(UNITS))
    targets: tuple[Target, ...] = ()
    rounds: int | None = None

    def contestant(self, name: str) -> Contestant:
        """The contestant called `name`."""
        return next(c for c in self.contestants if c.name == name)


def names() -> list[str]:
    """Of all workloads, in alphabetical order."""
    return sorted(module.name for module in pkgutil.iter_modules(workloads.__path__))


def load(module: str) -> Workload:
    """The workload called `module`, which is one of `names()` or any module that defines `WORKLOAD`."""
    path = f"{workloads.__name__}.{module}" if module in names() else module
    workload: Workload = importlib.import_module(path).WORKLOAD
    return workload


def _is_installed(distribution: str) -> bool:
    try:
        metadata.version(distribution)
    except metadata.PackageNotFoundError:
        return False
    return True
