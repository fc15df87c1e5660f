"""Where a benchmark ran: processor, system, versions, threads asked for, the commit, and how busy it was."""

import os
import platform
import subprocess
import time
from datetime import UTC, datetime
from pathlib import Path

import numpy as np

import minitorch
from minitorch.cpu import threads

THREAD_SETTINGS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")


def describe() -> dict[str, str]:
    """By name, all that a reader needs to judge the times."""
    blas = np.show_config(mode="dicts")["Build Dependencies"]["blas"]
    said = [f"{name}={os.environ[name]}" for name in THREAD_SETTINGS if name in os.environ]
    return {
        "processor": _processor(),
        "cores": f"{threads.physical_cores()} of {os.cpu_count()} logical processors used",
        "memory": _memory(),
        "system": platform.platform(),
        "Python": f"{platform.python_implementation()} {platform.python_version()}",
        "NumPy": f"{np.__version__} with {blas['name']} {blas['version']}",
        "minitorch": f"{minitorch.__version__} at {_commit()}",
        "threads": "; ".join(said) or "every library's default",
        "date": datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
    }


def busy_cores(seconds: float = 1.0) -> float | None:
    """How many cores others kept busy while this process slept for so long; None where the system does not tell.

    The load average would still count the workload before, for a minute after its end.
    """
    before = _processor_time()
    time.sleep(seconds)
    after = _processor_time()
    if before is None or after is None or after[1] == before[1]:
        return None
    return round((1 - (after[0] - before[0]) / (after[1] - before[1])) * (os.cpu_count() or 1), 2)


def _processor_time() -> tuple[int, int] | None:
    """Idle time and all time of all processors since the start, in ticks; what a hypervisor took is not idle."""
    try:
        ticks = [int(word) for word in Path("/proc/stat").read_text(encoding="ascii").splitlines()[0].split()[1:9]]
    except (OSError, ValueError):
        return None
    return ticks[3] + ticks[4], sum(ticks)


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        lines = []
    facts = dict(line.split(":", 1) for line in lines if ":" in line)
    facts = {name.strip(): value.strip() for name, value in facts.items()}
    wide = [name for name in ("avx2", "avx512f", "asimd", "sve") if name in facts.get("flags", "").split()]
    name = facts.get("model name") or platform.processor() or platform.machine()
    family = f", family {facts['cpu family']} model {facts['model']}" if "cpu family" in facts else ""
    return f"{name}{family}{', ' if wide else ''}{' '.join(wide)}"


def _memory() -> str:
    try:
        return f"{os.sysconf('SC_PAGE_SIZE') * os.sysconf('SC_PHYS_PAGES') / 2**30:.0f} GiB"
    except (AttributeError, ValueError, OSError):
        return "unknown"


def _commit() -> str:
    """The commit of the tree, with a plus sign where it was changed since."""
    git = ["git", "-C", str(Path(__file__).parent), "describe", "--always", "--dirty=+", "--exclude=*"]
    try:
        return subprocess.run(git, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return "an unknown commit"
