"""How long `import` takes, each time in a fresh interpreter, and how much is installed for it."""

import os
import re
import subprocess
import sys
from functools import partial
from importlib import metadata
from pathlib import Path

import minitorch
from benchmarks import peers
from benchmarks.race import Race
from benchmarks.workload import Contestant, Target, Workload

PROGRAM = """
import time
start = time.perf_counter()
{statement}
print(time.perf_counter() - start)
"""
IMPORT = "import"
NAME, CORE, ALL = "minitorch, the name", "minitorch, Variable and functions", "minitorch, all parts"
OWN_NEEDS = ("numpy", "attrs", "tqdm", "safetensors")


def time_import(race: Race, *, statement: str, distributions: tuple[str, ...]) -> None:
    """Run `statement` in a fresh interpreter each round."""
    race.start(note=f"{installed_bytes(distributions) / 1e6:.0f} MB")
    command = [sys.executable, "-c", PROGRAM.format(statement=statement)]
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    for _ in range(race.rounds):
        output = subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout
        race.lap(seconds={IMPORT: float(output.splitlines()[-1])})


def installed_bytes(distributions: tuple[str, ...]) -> int:
    """The size of the files of `distributions` and of all that they need; minitorch itself counts its folder."""
    files: set[Path] = set()
    for name in needed(distributions):
        files |= {Path(str(file.locate())) for file in metadata.files(name) or ()}
    if distributions == OWN_NEEDS:
        files |= set(Path(minitorch.__file__).parent.rglob("*.py"))
    return sum(file.stat().st_size for file in files if file.is_file())


def needed(distributions: tuple[str, ...]) -> set[str]:
    """`distributions` and those that they require without extras, as far as they are installed."""
    found: set[str] = set()
    stack = list(distributions)
    while stack:
        name = re.sub(r"[-_.]+", "-", stack.pop()).lower()
        if name in found:
            continue
        try:
            required = metadata.requires(name) or []
        except metadata.PackageNotFoundError:  # required on other systems only
            continue
        found.add(name)
        stack += [re.split(r"[^\w.-]", text.strip(), maxsplit=1)[0] for text in required if "extra ==" not in text]
    return found


def importing(name: str, *distributions: str, statement: str = "") -> Contestant:
    """A contestant that imports the module `name`, or runs `statement`."""
    run = partial(time_import, statement=statement or f"import {name}", distributions=distributions)
    return Contestant(name, run, distributions)


WORKLOAD = Workload(
    title="import in a fresh interpreter",
    about=(
        "Time of the import statement alone, without the start of Python; byte code is compiled and files are in the "
        "system's cache. minitorch loads a part when it is first used: so the statement `import minitorch` alone, what "
        "a script without a Trainer needs of the core, and everything are measured."
        " The size is that of the files installed for it, with all that it requires."
    ),
    contestants=(
        importing(NAME, *OWN_NEEDS, statement="import minitorch"),
        importing(CORE, *OWN_NEEDS, statement="import minitorch.functions; from minitorch import Variable"),
        importing(ALL, *OWN_NEEDS, statement="from minitorch import *"),
        importing("numpy", "numpy"),
        importing("torch", "torch"),
        importing("lightning", "lightning", "torch"),
        importing("jax", "jax"),
        importing("dezero", *peers.DEZERO_NEEDS, statement="import numpy; numpy.int = int; import dezero"),
    ),
    reference=ALL,
    sizes={},
    quick={},
    targets=(
        Target(NAME, minus="numpy", at_most=60, column=IMPORT),
        Target(CORE, minus="numpy", at_most=60, column=IMPORT),
        Target(ALL, minus="numpy", at_most=60, column=IMPORT),
        Target(ALL, over="torch", at_most=0.15, column=IMPORT),
    ),
)
