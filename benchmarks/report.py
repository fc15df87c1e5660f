"""Writes results down: one Markdown page to read, and one JSON file with every round."""

import json
from pathlib import Path
from typing import Any

import attrs

from benchmarks.results import GRADIENT_TOLERANCE, TOLERANCE, Entry, Results, Spread
from benchmarks.workload import STEP, UNITS, Target

IDLE = 0.2  # cores that others keep busy, up to which a machine counts as idle


def write(results: Results, folder: Path, command: str) -> str:
    """Write `<name>.md` and `<name>.json` into `folder`; returns the page."""
    folder.mkdir(parents=True, exist_ok=True)
    page = markdown(results, command)
    (folder / f"{results.name}.md").write_text(page, encoding="utf-8")
    text = json.dumps(as_dict(results, command), indent=1, ensure_ascii=False) + "\n"
    (folder / f"{results.name}.json").write_text(text, encoding="utf-8")
    return page


def markdown(results: Results, command: str) -> str:
    """The results as a page: tables, checks, targets, machine."""
    workload = results.workload
    sizes = ", ".join(f"{name} {value}" for name, value in results.sizes.items())
    lines = [f"# {results.name}: {workload.title}", "", workload.about, ""]
    lines += [f"Measured by `{command}`{f', with {sizes}' if sizes else ''}.", ""]
    if results.busy_cores is None:
        lines += ["**Nobody knows whether the machine was idle. Do not quote these times.**", ""]
    elif results.busy_cores > IDLE:
        lines += [
            f"**The machine was not idle: others used {results.busy_cores} cores. Do not quote these times.**",
            "",
        ]
    for column in results.columns:
        lines += [*_table(results, column), ""]
    lines += [*_checks(results), ""]
    targets = _targets(results)
    if targets:
        lines += ["## Targets", "", "| | wanted | measured | |", "| --- | --- | --- | --- |", *targets, ""]
    lines += ["## Machine and versions", ""]
    lines += [f"- {name}: {value}" for name, value in results.machine.items()]
    lines += [f"- {name}: {version}" for name, version in sorted(_versions(results).items())]
    lines += [f"- threads in use: {_threads(results)}", f"- cores that others used before: {results.busy_cores}", ""]
    lines += _rounds(results)
    return "\n".join(lines) + "\n"


def as_dict(results: Results, command: str) -> dict[str, Any]:
    """The results as JSON holds them: every round in seconds, the warm-up first, and what follows from them."""
    return {
        "workload": results.name,
        "title": results.workload.title,
        "command": command,
        "sizes": results.sizes,
        "machine": results.machine,
        "busy_cores": results.busy_cores,
        "reference": results.workload.reference,
        "contestants": [_entry(results, entry) for entry in results.entries],
        "skipped": results.skipped,
        "fair": results.fair,
        "same_start": results.same_start,
        "largest_difference": results.difference,
        "gradient_difference": results.gradient_difference,
        "targets": [attrs.asdict(target) | {"measured": _asdict(results.outcome(target))}
                    for target in results.workload.targets],
    }  # fmt: skip


def _entry(results: Results, entry: Entry) -> dict[str, Any]:
    whole = attrs.asdict(entry, filter=lambda attribute, value: attribute.name != "gradients")
    if entry.error is None:
        reference = results.entry(results.workload.reference)
        whole["ratio_to_reference"] = {
            column: None if reference is None else attrs.asdict(results.ratio(entry, reference, column))
            for column in results.columns
        }
    return whole


def _asdict(spread: Spread | None) -> dict[str, Any] | None:
    return None if spread is None else attrs.asdict(spread)


def _table(results: Results, column: str) -> list[str]:
    """Median times and ratios, the fastest first."""
    workload = results.workload
    reference = results.entry(workload.reference)
    title = f"{workload.unit} {STEP}" if column == STEP else f"{workload.unit}, {column}"
    head = ["contestant", title, "lowest", f"/ {workload.reference}", "lowest to highest"]
    counted = any(lap.faults is not None for entry in results.finished for lap in entry.laps)
    noted = any(entry.ready is not None and entry.ready.note for entry in results.finished)
    head += ["page faults a step"] * counted + ["note"] * noted
    rows = [head, ["---"] * len(head)]
    for entry in sorted(results.finished, key=lambda entry: results.time(entry, column).median):
        time = results.time(entry, column)
        cells = [f"**{entry.name}**" if entry is reference else entry.name, _number(time.median), _number(time.low)]
        if reference is None:
            cells += ["", ""]
        else:
            ratio = results.ratio(entry, reference, column)
            cells += [f"{ratio.median:.2f}", f"{ratio.low:.2f} to {ratio.high:.2f}"]
        if counted:
            faults = [lap.faults for lap in entry.laps[1:] if lap.faults is not None]
            cells.append(f"{Spread.of(faults).median:.0f}" if faults else "")
        if noted and entry.ready is not None:
            cells.append(entry.ready.note)
        rows.append(cells)
    return ["| " + " | ".join(row) + " |" for row in rows]


def _rounds(results: Results) -> list[str]:
    """Every round, so that a reader sees noise and drift."""
    unit = results.workload.unit
    lines = [
        "<details>",
        f"<summary>Every round in {unit}; in brackets the warm-up, which does not count</summary>",
        "",
    ]
    for column in results.columns:
        for entry in results.finished:
            first, *others = [_number(lap.seconds[column] * UNITS[unit]) for lap in entry.laps]
            of = "" if column == STEP else f", {column}"
            lines.append(f"- {entry.name}{of}: ({first}) {' '.join(others)}")
    return [*lines, "", "</details>"]


def _checks(results: Results) -> list[str]:
    """Whether all did the same work, and who did not take part."""
    lines = ["## Was it the same work?", ""]
    weights = {entry.ready.weights for entry in results.finished if entry.ready is not None}
    if weights - {""}:
        lines.append(
            f"- Start: all {len(results.finished)} began with the same weights (SHA-256 {min(weights)[:12]}...)."
            if results.same_start
            else "- Start: **the weights differ**; the times cannot be compared."
        )
    gap = results.gradient_difference
    if gap is not None:
        verdict = "within" if gap <= GRADIENT_TOLERANCE else "**beyond**"
        each = ", ".join(f"{e.name} {results.gradient_difference_of(e):.1e}" for e in results.finished[1:])
        lines.append(
            f"- Gradients of the first step: the norm of the difference from those of {results.finished[0].name}, "
            f"relative, is {verdict} {GRADIENT_TOLERANCE:g}: {each}."
        )
    if results.finished and results.finished[0].laps[0].numbers:
        first = " ".join(f"{number:.4f}" for lap in results.finished[0].laps for number in lap.numbers)
        verdict = "within" if results.difference <= TOLERANCE else "**beyond**"
        lines.append(
            f"- Numbers: the largest difference in any round is {results.difference:.1e}, {verdict} {TOLERANCE:g}. "
            f"Those of {results.finished[0].name}, warm-up included: {first}."
        )
        lines += [
            f"- **{entry.name} differs** by {results.difference_of(entry):.1e}."
            for entry in results.finished
            if results.difference_of(entry) > TOLERANCE
        ]
    else:
        lines.append("- There are no numbers to compare.")
    lines += [f"- **{e.name} failed**:\n\n```text\n{e.error.strip()}\n```" for e in results.entries if e.error]
    lines += [f"- Skipped: {name}; not installed: {missing}." for name, missing in results.skipped.items()]
    return lines


def _targets(results: Results) -> list[str]:
    lines = []
    for target in results.workload.targets:
        outcome = results.outcome(target)
        cells = [_what(target), f"at most {target.at_most:g}{'' if target.over else ' ' + results.workload.unit}"]
        if outcome is None:
            cells += ["not measured", ""]
        else:
            met = "met" if outcome.median <= target.at_most else "**not met**"
            cells += [f"{_number(outcome.median)} ({_number(outcome.low)} to {_number(outcome.high)})", met]
        lines.append("| " + " | ".join(cells) + " |")
    return lines


def _what(target: Target) -> str:
    other = f" / {target.over}" if target.over else f" - {target.minus}" if target.minus else ""
    return f"{target.of}{other}" + ("" if target.column == STEP else f", {target.column}")


def _versions(results: Results) -> dict[str, str]:
    return {name: version for e in results.entries if e.ready is not None for name, version in e.ready.versions.items()}


def _threads(results: Results) -> str:
    seen: dict[str, set[str]] = {}
    for entry in results.entries:
        for library, count in entry.ready.threads.items() if entry.ready is not None else ():
            seen.setdefault(library, set()).add("unknown" if count is None else str(count))
    return ", ".join(f"{library} {' or '.join(sorted(counts))}" for library, counts in seen.items())


def _number(value: float) -> str:
    """Three or four digits that mean something."""
    return f"{value:.0f}" if abs(value) >= 1000 else f"{value:.1f}" if abs(value) >= 100 else f"{value:.3g}"
