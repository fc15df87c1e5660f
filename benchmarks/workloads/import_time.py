"""How long `import` takes, each time in a fresh interpreter, and how much is installed for it."""

import ast
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
PROCESSES = 5  # in a round, of which the fastest counts: whatever else a machine does makes an import slower
NAME, CORE = "minitorch, the name", "minitorch, Variable and functions"
EXAMPLE = "minitorch, what the first example imports"
STAR, ALL = "minitorch, from minitorch import *", "minitorch, every public name"
PACKAGES = (
    "cuda", "datasets", "functions", "layers", "metrics", "models", "optimizers", "optimizers.schedules", "serialize",
    "trainer", "trainer.callbacks", "transforms", "utils",
)  # fmt: skip
OWN_NEEDS = ("numpy", "attrs", "tqdm", "safetensors")


def time_import(race: Race, *, statement: str, distributions: tuple[str, ...]) -> None:
    """Run `statement` in fresh interpreters each round; the fastest counts."""
    race.start(note=f"{installed_bytes(distributions) / 1e6:.0f} MB")
    command = [sys.executable, "-c", PROGRAM.format(statement=statement)]
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    for _ in range(race.rounds):
        outputs = [
            subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout
            for _ in range(PROCESSES)
        ]
        race.lap(seconds={IMPORT: min(float(output.splitlines()[-1]) for output in outputs)})


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


def imports_of_the_first_example() -> str:
    """The import statements of `examples/mnist_gpu.py`, those of Python's own modules among them."""
    path = Path(__file__).parents[2] / "examples" / "mnist_gpu.py"
    body = ast.parse(path.read_text()).body
    return "\n".join(ast.unparse(node) for node in body if isinstance(node, ast.Import | ast.ImportFrom))


def importing(name: str, *distributions: str, statement: str = "") -> Contestant:
    """A contestant that imports the module `name`, or runs `statement`."""
    run = partial(time_import, statement=statement or f"import {name}", distributions=distributions)
    return Contestant(name, run, distributions)


WORKLOAD = Workload(
    title="import in a fresh interpreter",
    about=(
        "Time of the import statement alone, without the start of Python; byte code is compiled and files are in the "
        "system's cache; a round is the fastest of five processes. minitorch loads a part when it is first used: so "
        "the statement `import minitorch` alone, what a script without a Trainer needs of the core, all functions, all "
        "import statements of `examples/mnist_gpu.py`, `from minitorch import *`, and the same of every public package "
        "are measured. What is imported when something is called does not count, for anybody."
        " The size is that of the files installed for it, with all that it requires."
    ),
    contestants=(
        importing(NAME, *OWN_NEEDS, statement="import minitorch"),
        importing(CORE, *OWN_NEEDS, statement="from minitorch import Variable; from minitorch.functions import *"),
        importing(EXAMPLE, *OWN_NEEDS, statement=imports_of_the_first_example()),
        importing(STAR, *OWN_NEEDS, statement="from minitorch import *"),
        importing(
            ALL,
            *OWN_NEEDS,
            statement="\n".join(
                f"from {name} import *" for name in ("minitorch", *(f"minitorch.{p}" for p in PACKAGES))
            ),
        ),
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
        Target(EXAMPLE, minus="numpy", at_most=60, column=IMPORT),
        Target(ALL, minus="numpy", at_most=60, column=IMPORT),
        Target(STAR, over="torch", at_most=0.15, column=IMPORT),
        Target(ALL, over="torch", at_most=0.15, column=IMPORT),
    ),
)
