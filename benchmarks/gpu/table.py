"""The results of `scripts/gpu` as one page: training first, then kernels, waits, and the checks."""

import re
import statistics
from typing import Any

Row = dict[str, Any]

NOT_MEASURED = "**Not measured: a dry run on a stand-in for CuPy. No number on this page means anything.**"
REFERENCE = "PyTorch, eager"
FIRST = "a: MLP 784-1000-10, sigmoid, SGD, batch 100"
GRAPH, COMPILED = "PyTorch, CUDA graph", "PyTorch, compiled (reduce-overhead)"


def of_kind(rows: list[Row], kind: str) -> list[Row]:
    return [row for row in rows if row["kind"] == kind]


def name_of(rows: list[Row], fake: bool) -> str:
    """The name of the files: that of the GPU."""
    gpu = of_kind(rows, "machine")[0]["gpu"]
    return "gpu-dry-run" if fake else f"gpu-{re.sub(r'[^a-z0-9]+', '-', gpu.lower()).strip('-')}"


def was_measured(rows: list[Row]) -> bool:
    """Whether minitorch was trained at all, where it was asked to be."""
    return not any(row["what"].startswith("minitorch") for row in of_kind(rows, "failed"))


def median(row: Row) -> float:
    return statistics.median(row["seconds"])


def markdown(rows: list[Row], fake: bool) -> str:
    """The page."""
    facts = [f"- {name}: {value}" for name, value in of_kind(rows, "machine")[0].items() if name != "kind"]
    facts += [f"- {row['package']}: {row['version']}" for row in of_kind(rows, "version")]
    parts = ["# On a GPU", "", *([NOT_MEASURED, ""] if fake else []), *facts, ""]
    parts += [
        "Each contestant has its data on the device and reads its loss once an epoch; medians of epochs. `scripts/gpu`",
        "Where no other format is named all compute in float32, PyTorch's convolutions too, which by default are TF32.",
        "",
    ]
    for section in (checks, kernels, waits, notes, targets, training):
        parts += [*section(rows), ""]
    return "\n".join(parts).rstrip() + "\n"


def training(rows: list[Row]) -> list[str]:
    """A row for each workload and contestant: times, and how many times as fast as PyTorch eager."""
    trained = of_kind(rows, "training")
    eager = {row["workload"]: median(row) for row in trained if row["contestant"] == REFERENCE}
    lines = ["## Training", ""]
    lines += ["| workload | contestant | ms an epoch | µs a step | PyTorch eager / this | host reads an epoch | loss |"]
    lines += ["| --- | --- | ---: | ---: | ---: | ---: | ---: |"]
    for workload in dict.fromkeys(row["workload"] for row in trained):
        for row in [row for row in trained if row["workload"] == workload]:
            seconds, base = median(row), eager.get(workload)
            ratio = f"{base / seconds:.2f}" if base else "-"
            name = row["contestant"] + (f" ({row['note']})" if row.get("note") else "")
            lines.append(
                f"| {workload} | {name} | {seconds * 1e3:.2f} | {seconds / row['steps'] * 1e6:.1f} | {ratio} | "
                f"{row.get('host_reads', '-')} | {row['loss']:.4f} |"
            )
    return lines


def targets(rows: list[Row]) -> list[str]:
    """What was promised of the first workload and of the others, and whether it held."""
    times = {(row["workload"], row["contestant"]): median(row) for row in of_kind(rows, "training")}
    captured, tf32 = "minitorch, captured", "minitorch, captured, TF32"
    wanted = [
        (FIRST, captured, None, 0.016), (FIRST, tf32, None, 0.012), (FIRST, captured, REFERENCE, 1 / 6),
        (FIRST, captured, GRAPH, 1.0), (FIRST, "minitorch, eager", REFERENCE, 1.0),
    ]  # fmt: skip
    for workload in dict.fromkeys(workload for workload, _ in times):
        if workload[0] in "ce":
            wanted += [(workload, captured, REFERENCE, 1.0), (workload, captured, COMPILED, 1.15)]
    lines = ["## Targets", "", "| workload | what | target | reached | |", "| --- | --- | ---: | ---: | --- |"]
    for workload, who, over, most in wanted:
        mine, other = times.get((workload, who)), None if over is None else times.get((workload, over))
        if mine is None or (over is not None and other is None):
            reached, held = "not measured", ""
        else:
            value = mine if other is None else mine / other
            reached = f"{value * 1e3:.2f} ms" if over is None else f"{value:.2f}"
            held = "yes" if value <= most else "no"
        limit = f"{most * 1e3:.0f} ms" if over is None else f"{most:.2f}"
        lines.append(f"| {workload} | {who}{f' / {over}' if over else ', an epoch'} | {limit} | {reached} | {held} |")
    return lines


def kernels(rows: list[Row]) -> list[str]:
    """Ceilings, and what share of them each kernel reaches."""
    lines = ["## Kernels", "", "| what | reached | share of the ceiling |", "| --- | ---: | ---: |"]
    for row in of_kind(rows, "ceiling") + of_kind(rows, "kernel"):
        scale, unit = (1e9, "GB/s") if row["unit"] == "B/s" else (1e12, "TFLOP/s")
        share = f"{row['share']:.0%}" if "share" in row else "ceiling"
        lines.append(f"| {row['what']} | {row['per_second'] / scale:.1f} {unit} | {share} |")
    return lines


def waits(rows: list[Row]) -> list[str]:
    """What the host waited for in an epoch of the first workload."""
    lines = ["## Waits of the host in one epoch of the first workload", ""]
    lines += ["| run | call | times | ms | ms of the epoch |", "| --- | --- | ---: | ---: | ---: |"]
    for row in of_kind(rows, "wait"):
        took, epoch = row["microseconds"] / 1e3, row["epoch"] / 1e3
        lines.append(f"| {row['run']} | {row['what']} | {row['times']} | {took:.2f} | {epoch:.2f} |")
    return [*lines, "", *[f"Trace: `{row['file']}`" for row in of_kind(rows, "trace")]]


def checks(rows: list[Row]) -> list[str]:
    """Tests and the sanitizer."""
    lines = ["## Checks", ""]
    for row in of_kind(rows, "tests"):
        end = (
            ""
            if row["code"] in (0, 1)
            else " (stopped before its end)"
            if row["code"] is None
            else f" (code {row['code']})"
        )
        lines.append(
            f"- `pytest -m gpu`, {row['of']}: {row['passed']} passed, {row['failed']} failed, {row['skipped']} skipped "
            f"in {row['seconds']:.0f} s{end}"
        )
        lines += [f"  - {line}" for line in row["said"].splitlines() if line.startswith(("FAILED", "ERROR "))]
    for row in of_kind(rows, "sanitizer"):
        lines.append(f"- compute-sanitizer on all kernels: {'no error' if row['clean'] else 'errors, or no end'}")
    return lines


def notes(rows: list[Row]) -> list[str]:
    """What failed or was left out."""
    lines = ["## Left out or failed", ""]
    for row in of_kind(rows, "failed") + of_kind(rows, "skipped"):
        last = str(row.get("where", "")).strip().splitlines()[-1:]
        more = [] if not last or last[0] in row["why"] else [last[0][:200]]
        lines.append(f"- {row['what']}: {': '.join([row['why'], *more])}")
    return lines
