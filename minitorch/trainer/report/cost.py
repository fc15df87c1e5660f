"""What the time of a run went to: the shares of a step, and the bill of the callbacks."""

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

COLOURS = 8  # of the parts of a step, in the style of the page
SHOWN = 8  # hooks in the bill that are not folded away


def budget(parts: Mapping[str, float], timings: Mapping[str, float]) -> str:
    """The parts of a training step as shares of one bar, where they were measured, and the other timings below it."""
    parts = {name: seconds for name, seconds in parts.items() if seconds > 0}
    bar = _bar(parts) if parts else ""
    rows = "".join(f"<tr><th>{escape(name)}</th><td>{_measured(value)}</td></tr>" for name, value in timings.items())
    table = f'<p class="about">the newest epoch:</p><table class="facts">{rows}</table>' if rows else ""
    return f'<div class="card budget">{bar}{table}</div>' if bar or table else ""


def _measured(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.4g}"


def _bar(parts_of_step: Mapping[str, float]) -> str:
    total, at = sum(parts_of_step.values()), 0.0
    parts, keys = [], []
    for i, (name, value) in enumerate(parts_of_step.items()):
        width = 100 * value / total
        parts.append(f'<rect class="part c{i % COLOURS}" x="{at:.2f}" width="{max(width - 0.25, 0):.2f}" height="6"/>')
        keys.append(f'<span class="key c{i % COLOURS}">{escape(name)} {width:.1f}%</span>')
        at += width
    return (
        f'<svg viewBox="0 0 100 6" preserveAspectRatio="none" role="img" aria-label="shares of a step">'
        f'{"".join(parts)}</svg><div class="keys">{"".join(keys)}</div>'
    )


def bill_table(rows: Sequence[Mapping[str, Any]], elapsed: float) -> str:
    """What each hook of each callback took, the most expensive first; the cheap ones are folded away.

    Args:
        rows: with name, calls, seconds, reads, bytes.
        elapsed: the seconds in which they ran.
    """
    if not rows:
        return ""
    rows = sorted(rows, key=lambda row: -float(row["seconds"]))
    total, most = sum(float(row["seconds"]) for row in rows), float(rows[0]["seconds"]) or 1.0
    moved = any(row["bytes"] for row in rows)
    names = ["calls", "ms", "µs a call", *(["host reads", "MiB moved"] if moved else [])]
    head = "<tr><th>hook</th>" + "".join(f'<th class="n">{name}</th>' for name in names) + "<th></th></tr>"
    cells = [_bill_row(row, most, moved) for row in rows]
    share = f" ({total / elapsed:.1%} of the run)" if elapsed else ""
    rest = (
        f"<details><summary>{len(cells) - SHOWN} more hooks, "
        f"{sum(1e3 * float(row['seconds']) for row in rows[SHOWN:]):.1f} ms in all</summary>"
        f'<table class="bill">{head}{"".join(cells[SHOWN:])}</table></details>'
        if len(cells) > SHOWN
        else ""
    )
    return (
        f'<p class="about">{total:.2f} s in all callbacks{share}</p>'
        f'<div class="card"><table class="bill">{head}{"".join(cells[:SHOWN])}</table>{rest}</div>'
    )


def _bill_row(row: Mapping[str, Any], most: float, moved: bool) -> str:
    seconds, calls = float(row["seconds"]), int(row["calls"])
    cells = [f"{calls:,}", f"{1e3 * seconds:,.1f}", f"{1e6 * seconds / max(calls, 1):,.1f}"]
    cells += [f"{int(row['reads']):,}", f"{int(row['bytes']) / 2**20:,.1f}"] if moved else []
    numbers = "".join(f'<td class="n">{cell}</td>' for cell in cells)
    bar = (
        '<svg class="bar" viewBox="0 0 100 8" preserveAspectRatio="none"><rect class="back" width="100" height="8"/>'
        f'<rect class="part c0" width="{100 * seconds / most:.1f}" height="8"/></svg>'
    )
    return f'<tr><td class="w">{escape(str(row["name"])).replace(".", ".<wbr>")}</td>{numbers}<td>{bar}</td></tr>'
