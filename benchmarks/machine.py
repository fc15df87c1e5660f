"""Where a benchmark ran: processor, system, versions, threads asked for, the commit, and how busy it was."""

import os
import platform
import subprocess
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


def load_average() -> float | None:
    """How many processes wanted to run, on average over the last minute; None on Windows."""
    return os.getloadavg()[0] if hasattr(os, "getloadavg") else None


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
