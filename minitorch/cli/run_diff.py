"""In what two runs differ."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from minitorch.errors import MissingFileError
from minitorch.trainer.run_history import run_history
from minitorch.trainer.run_record import NAME, RunRecord


def run_diff(a: Path, b: Path) -> list[str]:
    """Lines for what is different: settings, what was trained, seed, versions, machine, how it ended, last metrics.

    Raises:
        MissingFileError: one of the folders has no record of a run.
    """
    flat = [dict(_leaves(_facts(folder))) for folder in (a, b)]
    names = [name for name in dict.fromkeys([*flat[0], *flat[1]]) if flat[0].get(name) != flat[1].get(name)]
    if not names:
        return []
    rows = [(name, *[_shown(facts.get(name)) for facts in flat]) for name in names]
    rows.insert(0, ("", str(a), str(b)))
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return ["  ".join(map(str.ljust, row, widths)).rstrip() for row in rows]


def _facts(folder: Path) -> dict[str, Any]:
    """What is compared of a run: nothing that is different in any two runs, such as dates and places."""
    record = RunRecord.read(folder)
    if record is None:
        raise MissingFileError(f"{folder} has no {NAME}; name the folder of a run, such as runs/mnist/001")
    last = record.sessions[-1]
    history = run_history(folder)
    trainer = record.trainer | {
        "callbacks": [str(text).replace(str(folder), "RUN") for text in record.trainer.get("callbacks", [])]
    }
    return {
        "config": {name: value for name, value in record.config.items() if name != "folder"},
        "trainer": trainer,
        "seed": last.seed,
        "versions": last.versions,
        "machine": last.machine,
        "status": last.status,
        "step": last.state.get("step"),
        "epoch": last.state.get("epoch"),
        "metrics": history[-1] if history else {},
    }


def _leaves(tree: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """The values of a tree by their dotted paths."""
    items: Any = ()
    if isinstance(tree, Mapping):
        items = tree.items()
    elif isinstance(tree, list):
        items = enumerate(tree)
    else:
        yield path, tree
    for key, value in items:
        yield from _leaves(value, f"{path}.{key}" if path else str(key))


def _shown(value: Any) -> str:
    text = "-" if value is None else f"{value:.6g}" if isinstance(value, float) else str(value)
    return text if len(text) <= 60 else text[:57] + "..."
