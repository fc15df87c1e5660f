"""The metrics of a run, read from its folder."""

import json
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from minitorch import serialize
from minitorch.errors import CheckpointError

Row = dict[str, float]
Curve = tuple[list[int], list[float]]  # epochs, values


def panels(history: list[dict[str, float]]) -> dict[str, dict[str, Curve]]:
    """By panel and curve: the points. `loss` and `val_loss` share a panel."""
    names = list(dict.fromkeys(name for metrics in history for name in metrics))
    trained = [name for name in names if not name.startswith("val_")]
    panels: dict[str, dict[str, Curve]] = {name: {} for name in trained}
    for name in names:
        panel, label = (name, "training") if name in trained else _validation(name.removeprefix("val_"), trained)
        points = [(i, metrics[name]) for i, metrics in enumerate(history, 1) if name in metrics]
        panels.setdefault(panel, {})[label] = ([i for i, _ in points], [value for _, value in points])
    return panels


def _validation(name: str, trained: list[str]) -> tuple[str, str]:
    """The panel and the label of a validation metric, which may have the name of its loader before its own."""
    if name in trained:
        return name, "validation"
    for metric in trained:
        if name.endswith(f"_{metric}"):
            return metric, f"validation, {name.removesuffix(f'_{metric}')}"
    return name, "validation"


def run_history(folder: Path) -> list[Row]:
    """The metrics of each epoch: of `metrics.jsonl` where there is one, else of the newest valid checkpoint."""
    rows = list(_rows(folder / "metrics.jsonl"))
    epochs = [_metrics(row) for row in rows if row.get("event") == "epoch"]
    return epochs if rows else _of_checkpoint(folder)


def run_intervals(folder: Path) -> list[tuple[int, Row]]:
    """The metrics of each log interval with its last step, of `metrics.jsonl`; empty where there is none."""
    rows = _rows(folder / "metrics.jsonl")
    return [(row["step"], _metrics(row)) for row in rows if "event" not in row and isinstance(row.get("step"), int)]


def _rows(path: Path) -> Iterator[dict[str, Any]]:
    """The lines that can be read: the last may be half written."""
    if not path.exists():
        return
    with path.open(encoding="utf-8", errors="replace") as file:
        for line in file:
            try:
                row = json.loads(line)
            except ValueError:
                continue
            if isinstance(row, dict):
                yield row


def _metrics(row: dict[str, Any]) -> Row:
    """The numbers of a line but for its counters."""
    found = {name: value for name, value in row.items() if name not in ("step", "epoch")}
    return {name: float(value) for name, value in found.items() if _is_number(value)}


def _of_checkpoint(folder: Path) -> list[Row]:
    for path in sorted((folder / "checkpoints").glob("step-*.safetensors"), reverse=True):
        try:
            tree = serialize.describe(path).meta["checkpoint"]
            return [_metrics(row) for row in tree["history"]]
        except (CheckpointError, LookupError, TypeError, AttributeError):
            continue
    return []


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and not math.isnan(value)
