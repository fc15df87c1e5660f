"""The command of `scripts/gpu`: checks and measures on one GPU in less than ten minutes, and prints one table last.

Each section is a process with a limit, and writes its results as they come: one that fails or is too slow loses only
what it had not measured yet. The table is written anew after each section, and printed also where the command is ended.
What a section said that failed, and what pytest said, is in a file beside the table.
"""

import argparse
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from importlib.util import find_spec
from itertools import pairwise
from pathlib import Path
from typing import Any

import attrs

from benchmarks import machine
from benchmarks.gpu import table
from minitorch.cuda import Device
from minitorch.errors import DeviceError

ROOT = Path(__file__).parents[2]
RESULTS = ROOT / "benchmarks" / "results"
ALL = 590  # seconds, of everything


@attrs.frozen
class Section:
    """A part of the command.

    Attributes:
        name: to ask for it by.
        seconds: its limit on a GPU; a dry run, perhaps on a busy machine, has that of everything alone.
        needs: packages without which it is left out.
        module: what to run; "" for tests.
        tests: arguments of pytest that say which.
    """

    name: str
    seconds: float
    needs: tuple[str, ...] = ()
    module: str = ""
    tests: tuple[str, ...] = ()


TELLING = ("tests/cuda", "tests/trainer/test_training_on_a_gpu.py")  # the tests that tell most
SECTIONS = (
    Section("minitorch", 145, module="with_minitorch"),
    Section("pytorch", 120, ("torch",), "with_torch"),
    Section("kernels", 35, module="kernels"),
    Section("waits", 25, module="waits"),
    Section("tests", 55, ("pytest",), tests=TELLING),
    Section("jax", 45, ("jax",), "with_jax"),
    Section("lightning", 40, ("torch", "lightning"), "with_lightning"),
    Section("sanitizer", 40, module="sanitized"),
    Section("suite", 85, ("pytest",), tests=("tests", *(f"--ignore={path}" for path in TELLING))),
)
# A package that warns there, in versions that the tests have not met, is no failure; nor is a file that does not import
# a reason to run none of the others.
PYTEST = ("-q", "-m", "gpu", "-W", "default", "--continue-on-collection-errors", "--no-header")


def main() -> int:
    """Run the sections; returns 1 if a test failed or minitorch could not be measured, 2 without a GPU."""
    args = _arguments()
    if not args.fake:
        try:
            Device("cuda")
        except DeviceError as error:
            print(f"scripts/gpu: {error}", file=sys.stderr)
            return 2
    out = args.out or (Path(tempfile.mkdtemp(prefix="gpu-dry-")) if args.fake else RESULTS)
    out.mkdir(parents=True, exist_ok=True)
    results = out / ("gpu-dry-run.jsonl" if args.fake else "gpu.jsonl")
    results.write_text("")
    end = time.monotonic() + args.seconds
    _add(results, "machine", **device(args.fake), **machine.describe())
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    try:
        for section in SECTIONS:
            if not args.only or section.name in args.only:
                attempt(section, end, results, args.fake)
                write_page(results, args.fake)
    finally:
        rows, page = write_page(results, args.fake)
        print(page.read_text(), flush=True)
        print(f"written to {page} and .json", file=sys.stderr)
    results.unlink()
    return int(any(row["kind"] == "tests" and row["failed"] for row in rows) or not table.was_measured(rows))


def attempt(section: Section, end: float, results: Path, fake: bool) -> None:
    """Run a section, unless a package is missing, or time."""
    missing = [package for package in section.needs if find_spec(package) is None]
    left = min(end - time.monotonic() - 3, ALL if fake else section.seconds)
    if missing:
        _add(results, "skipped", what=section.name, why=f"{missing[0]} is not installed")
    elif left < 5:
        _add(results, "skipped", what=section.name, why="no time was left")
    else:
        print(f"{section.name}: up to {left:.0f} s", file=sys.stderr, flush=True)
        run(section, left, results, fake)


def write_page(results: Path, fake: bool) -> tuple[list[table.Row], Path]:
    """Write what there is so far as a page and as JSON; returns the results, and where the page is."""
    rows = []
    for line in results.read_text().splitlines():
        try:
            rows.append(json.loads(line))
        except ValueError:  # a section was ended while it wrote
            continue
    page = results.with_name(f"{table.name_of(rows, fake)}.md")
    page.with_suffix(".json").write_text(json.dumps({"measured": not fake, "results": rows}, indent=1) + "\n")
    page.write_text(table.markdown(rows, fake))
    return rows, page


def run(section: Section, seconds: float, results: Path, fake: bool) -> None:
    """Run a section as a process group of its own, which is ended when its time is over."""
    if section.tests:
        cache = f"cache_dir={Path(tempfile.gettempdir()) / 'minitorch-pytest'}"  # the checkout may not be writable
        command = [sys.executable, "-m", "pytest", *PYTEST, "-o", cache]
        command += ["--collect-only", "tests/cuda/test_on_a_gpu.py"] if fake else section.tests
    else:
        module = ["benchmarks.gpu.dry", section.module] if fake else [f"benchmarks.gpu.{section.module}"]
        command = [sys.executable, "-m", *module, "--results", str(results), "--seconds", str(max(seconds - 5, 1))]
        command += ["--fake"] if fake else []
    if section.name == "sanitizer" and not fake:
        tool = _sanitizer()
        if tool is None:
            _add(results, "skipped", what="compute-sanitizer", why="it is not there")
            return
        memory = [
            "--tool",
            "memcheck",
            "--report-api-errors",
            "no",
        ]  # to some questions of CuPy errors are the answer
        command = [tool, *memory, "--error-exitcode", "9", *command]
    folders = [str(ROOT), str(ROOT / "tests"), os.environ.get("PYTHONPATH", "")]
    env = os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, folders)), "CUDA_DEVICE_ORDER": "PCI_BUS_ID"}
    started = time.monotonic()
    with tempfile.TemporaryFile("w+", errors="replace") as output:
        process = subprocess.Popen(
            command, cwd=ROOT, env=env, stdout=output, stderr=subprocess.STDOUT, start_new_session=True
        )
        try:
            code: int | None = process.wait(seconds)
        except subprocess.TimeoutExpired:
            code = None
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)  # of the group that was started above
                process.wait()
        output.seek(0)
        said = output.read()
    if code != 0 or section.tests:
        results.with_name(f"{results.stem}-{section.name}.log").write_text(said)
    took = time.monotonic() - started
    if section.tests:
        _add(results, "tests", of=section.name, **counts(said), code=code, seconds=took, said=said[-3000:])
    elif section.name == "sanitizer" and not fake:
        clean = "ERROR SUMMARY: 0 errors" in said
        _add(results, "sanitizer", clean=clean, code=code, seconds=took, said="" if clean else said[-3000:])
    elif code != 0:
        why = f"ended with {code}" if code is not None else f"stopped after {took:.0f} s"
        _add(results, "failed", what=section.name, why=why, where=said[-1500:])


def counts(said: str) -> dict[str, int]:
    """How many tests passed, failed and were skipped, as pytest's last line, or its dots, say."""
    words = said.replace(",", " ").split()
    found = dict.fromkeys(("passed", "failed", "errors", "skipped"), 0)
    for number, name in pairwise(words):
        name = {"error": "errors"}.get(name, name)
        if name in found and number.isdigit():
            found[name] = int(number)
    if not any(found.values()):  # it was stopped before its last line
        dots = [line.split(" ")[0] for line in said.splitlines() if line and set(line.split(" ")[0]) <= set(".FEsx")]
        found["passed"], found["failed"] = sum(d.count(".") for d in dots), sum(d.count("F") for d in dots)
    found["failed"] += found.pop("errors")
    return found


def device(fake: bool) -> dict[str, Any]:
    """The GPU and the versions of what drives it."""
    if fake:
        return {"gpu": "a stand-in over NumPy: nothing here was measured on a GPU"}
    import cupy

    runtime = cupy.cuda.runtime
    properties = runtime.getDeviceProperties(0)
    return {
        "gpu": properties["name"].decode(),
        "memory of the GPU": f"{properties['totalGlobalMem'] / 2**30:.0f} GiB",
        "CuPy": cupy.__version__,
        "CUDA": f"runtime {runtime.runtimeGetVersion()}, driver {runtime.driverGetVersion()}",
    }


def _sanitizer() -> str | None:
    """compute-sanitizer, on the path or beside CUDA."""
    folders = [*os.environ.get("PATH", "").split(os.pathsep), "/usr/local/cuda/bin"]
    found = [Path(folder) / "compute-sanitizer" for folder in folders]
    return next((str(path) for path in found if path.is_file()), None)


def _add(results: Path, kind: str, **values: Any) -> None:
    with results.open("a") as file:
        file.write(json.dumps({"kind": kind, **values}) + "\n")


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="scripts/gpu", description=__doc__.splitlines()[0])
    names = [section.name for section in SECTIONS]
    parser.add_argument(
        "--only", nargs="+", default=[], choices=names, metavar="SECTION", help=f"of {', '.join(names)}"
    )
    parser.add_argument("--out", type=Path, help="folder of the results (benchmarks/results; a new one with --fake)")
    parser.add_argument("--seconds", type=float, default=ALL, help=f"limit of everything ({ALL})")
    parser.add_argument("--fake", action="store_true", help="a dry run on a stand-in for CuPy: nothing is measured")
    args = parser.parse_args()
    if args.fake and args.out is not None and args.out.resolve() == RESULTS:
        parser.error("--fake measures nothing, so its results do not go to benchmarks/results")
    return args


if __name__ == "__main__":
    sys.exit(main())
