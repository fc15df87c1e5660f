"""The floors of the house: who may import whom, what importing costs, and which names are public."""

import ast
import json
import subprocess
import sys
import time
from collections.abc import Iterator
from functools import cache
from graphlib import TopologicalSorter
from pathlib import Path
from typing import Any

import pytest

import minitorch

ROOT = Path(minitorch.__file__).parent

# From the ground up: a part imports only from floors below its own, and so never from its neighbours.
FLOORS = [
    {"errors", "warning"},
    {"config"},
    {"cpu", "cuda"},
    {"random", "serialize"},
    {"autograd"},
    {"ops"},
    {"variable"},
    {"functions", "metrics", "transforms"},
    {"layers", "optimizers", "datasets", "resident", "prefetch", "draw"},
    {"models", "dataloader"},
    {"trainer", "utils"},
    {"cli"},
    {"__main__"},
]
LEVEL = {part: level for level, floor in enumerate(FLOORS) for part in floor}

PUBLIC = [
    "Callback", "Config", "DataLoader", "Dataset", "Device", "Every", "Function", "Fused", "Layer", "Model",
    "Parameter", "SeqDataLoader", "Trainer", "Variable", "as_cupy", "as_numpy", "as_variable", "cuda", "datasets",
    "errors", "functions", "get_num_threads", "layers", "metrics", "models", "no_grad", "optimizers", "primitive",
    "random", "seed", "set_num_threads", "test_mode", "trainer", "transforms", "using_config", "utils",
]  # fmt: skip


def modules() -> dict[str, Path]:
    """Every module of the package by its dotted name."""
    names = {}
    for path in sorted(ROOT.rglob("*.py")):
        parts = path.relative_to(ROOT.parent).with_suffix("").parts
        names[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return names


MODULES = modules()


@cache
def parsed(path: Path) -> ast.Module:
    """The syntax tree of a file."""
    return ast.parse(path.read_text())


def part_of(name: str) -> str:
    """The part of the house that the module `name` belongs to: "ops" of "minitorch.ops.shape"."""
    return name.split(".")[1] if "." in name else ""


def imports(path: Path, *, when_called: bool = True) -> Iterator[str]:
    """The modules of the package that a file imports, those for type checking alone left out.

    `when_called`: also those that a function imports when it is called.
    """
    stack: list[ast.AST] = [parsed(path)]
    while stack:
        node = stack.pop()
        if isinstance(node, ast.If) and ast.unparse(node.test).endswith("TYPE_CHECKING"):
            stack.extend(node.orelse)
        elif isinstance(node, ast.Import):
            yield from [alias.name for alias in node.names if alias.name.split(".")[0] == "minitorch"]
        elif isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "minitorch":
            for alias in node.names:
                inner = f"{node.module}.{alias.name}"
                yield inner if inner in MODULES else node.module
        elif when_called or not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            stack.extend(ast.iter_child_nodes(node))


def test_every_part_has_a_floor():
    """A new part of the package is given a floor here; one that is gone is taken out."""
    assert {part_of(name) for name in MODULES} - {""} == set(LEVEL)


@pytest.mark.parametrize("name", [name for name in MODULES if name != "minitorch"])
def test_imports_point_down(name):
    """A module imports from its own part and from the floors below, also inside functions; nobody imports the roof."""
    part = part_of(name)
    found = set(imports(MODULES[name]))
    upwards = {other for other in found if part_of(other) != part and LEVEL.get(part_of(other), 99) >= LEVEL[part]}
    assert upwards == set()


def test_there_are_no_cycles():
    """Within a part, too, modules can be put in an order in which each imports only earlier ones."""
    graph = {name: set(imports(path, when_called=False)) - {name} for name, path in MODULES.items()}
    assert len(list(TopologicalSorter(graph).static_order())) == len(MODULES)


def test_relative_imports_are_not_used():
    """An import says where it comes from."""
    relative = [
        name
        for name, path in MODULES.items()
        for node in ast.walk(parsed(path))
        if isinstance(node, ast.ImportFrom) and node.level
    ]
    assert relative == []


def run(code: str) -> str:
    """What a fresh Python prints that runs `code`."""
    return subprocess.run(
        [sys.executable, "-W", "error", "-c", code], cwd=ROOT.parent, capture_output=True, text=True, check=True
    ).stdout


@cache
def after(code: str) -> dict[str, Any]:
    """What a fresh Python finds after `code`, which is run on top of NumPy."""
    text = run(
        "import json, sys, threading, tracemalloc\n"
        "import numpy as np\n"
        "before = set(sys.modules)\n"
        "tracemalloc.start()\n"
        "kept = np.zeros(1000)\n"
        f"{code}\n"
        "arrays = tracemalloc.DomainFilter(True, np.lib.tracemalloc_domain)\n"
        "print(json.dumps({\n"
        "    'modules': sorted(set(sys.modules) - before),\n"
        "    'arrays': [str(t.traceback) for t in tracemalloc.take_snapshot().filter_traces([arrays]).traces],\n"
        "    'threads': threading.active_count()}))"
    )
    return json.loads(text)


ALONE = "import minitorch"
CORE = "from minitorch import Variable\nimport minitorch.functions"
WHOLE = "from minitorch import *"


def test_importing_the_package_loads_none_of_its_parts():
    """`import minitorch` reads one file: each name is loaded when it is first used."""
    assert after(ALONE)["modules"] == ["minitorch"]


def test_what_the_core_imports_is_pinned():
    """Variables and functions load only the parts below them, of other packages attrs, and nothing slow of Python's."""
    modules = after(CORE)["modules"]
    parts = {part_of(name) for name in modules if name.split(".")[0] == "minitorch"} - {""}
    assert parts == {"errors", "config", "cpu", "cuda", "random", "autograd", "ops", "variable", "functions"}
    others = {name.split(".")[0] for name in modules} - set(sys.stdlib_module_names) - {"minitorch"}
    assert others == {"attr", "attrs"}
    slow = {"asyncio", "csv", "hashlib", "http", "json", "multiprocessing", "shutil", "socket", "ssl", "subprocess",
            "tarfile", "tempfile", "urllib.request", "zipfile"}  # fmt: skip
    assert slow & set(modules) == set()


def test_importing_needs_no_optional_package():
    """Neither CuPy nor what draws pictures, nor another framework, is imported with any part of the package."""
    optional = {
        "cupy",
        "cupyx",
        "matplotlib",
        "PIL",
        "torch",
        "scipy",
        "pandas",
        "tensorboard",
        "IPython",
        "tqdm",
        "click",
    }
    roots = {name.split(".")[0] for name in after(WHOLE)["modules"]}
    assert "attrs" in roots
    assert optional & roots == set()


def test_importing_creates_no_array_and_no_thread():
    """No array that minitorch made is left after everything is imported, and no thread runs."""
    found = after(WHOLE)
    assert any("<string>:5" in place for place in found["arrays"])  # so an array made on purpose is seen
    assert [place for place in found["arrays"] if "minitorch" in place] == []
    assert found["threads"] == 1


def seconds_of(code: str) -> float:
    """How long a fresh Python takes to run `code`, from its start to its end."""
    start = time.perf_counter()
    run(code)
    return time.perf_counter() - start


@pytest.mark.slow
def test_importing_is_not_much_slower_than_numpy():
    """The package alone takes at most 1.3 times as long as NumPy, its core thrice: the best of seven, in turn."""
    codes = ["import numpy", f"import numpy\n{ALONE}", CORE]
    numpy, alone, core = (min(times) for times in zip(*([*map(seconds_of, codes)] for _ in range(7)), strict=True))
    assert alone < 1.3 * numpy
    assert core < 3 * numpy


def test_public_names_are_pinned():
    """What `minitorch` offers changes only together with this list; every name is there."""
    assert minitorch.__all__ == PUBLIC
    assert [name for name in PUBLIC if not hasattr(minitorch, name)] == []
    assert set(PUBLIC) <= set(dir(minitorch))
    with pytest.raises(AttributeError, match=r"module 'minitorch' has no attribute 'Tensor'"):
        minitorch.Tensor


@pytest.mark.parametrize("name", [name for name in MODULES if MODULES[name].name == "__init__.py"])
def test_type_checkers_see_no_name_that_is_not_there(name):
    """A `__getattr__` that may give anything is hidden from them; one that gives one type is declared so."""
    open_ended = [
        node
        for node in parsed(MODULES[name]).body
        if isinstance(node, ast.FunctionDef) and node.name == "__getattr__" and ast.unparse(node.returns) == "Any"
    ]
    assert open_ended == []


def test_type_checkers_see_what_is_loaded():
    """What `minitorch` imports for type checkers is what it loads when a name is first used."""
    block, _ = [node for node in parsed(MODULES["minitorch"]).body if isinstance(node, ast.If)]
    seen = {alias.name: node.module for node in block.body for alias in node.names}  # type: ignore[attr-defined]
    assert sorted(seen) == sorted(PUBLIC)
    homes = {name: f"minitorch.{minitorch.HOMES[name]}" for name in minitorch.HOMES}
    assert {name: module for name, module in seen.items() if module != "minitorch"} == homes


@pytest.mark.parametrize("package", ["functions", "layers", "models", "optimizers", "datasets", "utils"])
def test_packages_say_what_is_public(package):
    """`__all__` of each public package has no doubles, and names what is there and documented."""
    module = getattr(minitorch, package)
    assert len(set(module.__all__)) == len(module.__all__)
    assert [name for name in module.__all__ if not hasattr(module, name)] == []
    assert [name for name in module.__all__ if not (getattr(module, name).__doc__ or "").strip()] == []


def test_the_names_of_the_book():
    """The import lines of DeZero's users work with the name of the package changed, and no other name."""
    exec(
        "import minitorch\n"
        "import minitorch.functions as F\n"
        "import minitorch.layers as L\n"
        "from minitorch import Variable, Parameter, Function, Layer, Model, DataLoader, optimizers, datasets\n"
        "from minitorch import no_grad, test_mode, using_config, Config, as_variable\n"
        "from minitorch.models import MLP\n"
        "from minitorch.optimizers import SGD, MomentumSGD, Adam, WeightDecay, ClipGrad, FreezeParam\n"
        "from minitorch.utils import gradient_check, numerical_grad, plot_dot_graph, get_dot_graph, array_allclose\n"
        "from minitorch.cuda import gpu_enable, get_array_module, as_numpy, as_cupy\n"
        "minitorch.datasets.MNIST, F.softmax_cross_entropy, F.accuracy\n",
        {},
    )
    assert isinstance(minitorch.cuda.gpu_enable, bool)
