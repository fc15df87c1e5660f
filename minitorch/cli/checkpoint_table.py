"""What is in a checkpoint, as text, and whether all of it is as it was written."""

from pathlib import Path
from typing import Any

from minitorch import serialize
from minitorch.errors import CheckpointError, MissingFileError


def checkpoint_table(path: Path, shown: int | None) -> tuple[str, CheckpointError | None]:
    """The table of a file, or of all checkpoints in the folder of a run; and what is wrong with it, if anything.

    Args:
        path: a file, or the folder of a run.
        shown: how many arrays of a file are listed; None: all.

    Raises:
        MissingFileError: the folder has no checkpoints.
    """
    if not path.is_dir():
        return "\n".join(_file(path, shown)), _verified(path)
    files = sorted((path / "checkpoints").glob("*.safetensors"))
    if not files:
        raise MissingFileError(f"{path} has no checkpoints; name the folder of a run, such as runs/mnist/001")
    errors = {file: _verified(file) for file in files}
    rows = [f"{file.name}  {'verified' if error is None else error}" for file, error in errors.items()]
    return "\n".join(rows), next((error for error in reversed(errors.values()) if error), None)


def _verified(path: Path) -> CheckpointError | None:
    try:
        serialize.verify(path)
    except CheckpointError as error:
        return error
    return None


def _file(path: Path, shown: int | None) -> list[str]:
    about = serialize.describe(path)
    lines = [f"{path}: {about.nbytes:,} bytes, {len(about.arrays)} arrays"]
    if about.format_version is None:
        lines.append("written by another tool: it has no checksum to verify")
    lines += _state(about.meta.get("checkpoint"))
    rows = [(name, str(info.shape), info.dtype) for name, info in sorted(about.arrays.items())]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)] if rows else []
    lines += ["  " + "  ".join(map(str.ljust, row, widths)).rstrip() for row in rows[:shown]]
    if shown is not None and len(rows) > shown:
        lines.append(f"  ... and {len(rows) - shown} more (--all)")
    if about.format_version is not None and _verified(path) is None:
        lines.append("verified: every byte is as it was written")
    return lines


def _state(tree: Any) -> list[str]:
    """The counters and the parts of a Trainer's state, where the file has one."""
    if not isinstance(tree, dict):
        return ["no state of a Trainer: a file of weights"]
    lines = []
    counters, history, callbacks = (tree.get(part) for part in ("state", "history", "callbacks"))
    if isinstance(counters, dict):
        lines.append("  ".join(f"{name} {_number(value)}" for name, value in counters.items()))
    if isinstance(history, list) and history and isinstance(history[-1], dict):
        lines.append("newest epoch: " + "  ".join(f"{name} {_number(value)}" for name, value in history[-1].items()))
    if isinstance(callbacks, dict) and callbacks:
        lines.append(f"callbacks with state: {', '.join(callbacks)}")
    return lines


def _number(value: Any) -> str:
    return f"{value:.4f}" if isinstance(value, float) else str(value)
