"""The floors of the house: who may import whom, what importing costs, and which names are public."""

import ast
import importlib
import json
import pickle
import subprocess
import sys
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
    {"errors", "lazy", "spelling", "warning"},
    {"config", "foreign"},
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
PACKAGES = [name for name in MODULES if MODULES[name].name == "__init__.py"]
HOMES = {name: homes for name in PACKAGES if (homes := getattr(importlib.import_module(name), "HOMES", None))}


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
                home = HOMES.get(node.module, {}).get(alias.name)
                yield inner if inner in MODULES else f"{node.module}.{home}" if home else node.module
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
CORE = "from minitorch import Variable\nfrom minitorch.functions import *"
FIRST = parsed(ROOT.parent / "examples" / "mnist_gpu.py").body
EXAMPLE = "\n".join(ast.unparse(node) for node in FIRST if isinstance(node, ast.Import | ast.ImportFrom))
WHOLE = "\n".join(f"from {name} import *" for name in ("minitorch.cuda", *HOMES))
SLOW = {
    "asyncio", "csv", "difflib", "hashlib", "http", "multiprocessing", "numpy.random", "secrets", "shutil", "socket",
    "ssl", "subprocess", "sysconfig", "tarfile", "tempfile", "tomllib", "urllib.request", "zipfile",
}  # fmt: skip


def test_importing_the_package_loads_none_of_its_parts():
    """`import minitorch` reads one file: each name is loaded when it is first used."""
    assert after(ALONE)["modules"] == ["minitorch", "minitorch.lazy"]


def test_what_the_core_imports_is_pinned():
    """Variables and functions load only the parts below them, of other packages attrs, and nothing slow of Python's."""
    modules = after(CORE)["modules"]
    parts = {part_of(name) for name in modules if name.split(".")[0] == "minitorch"} - {""}
    assert parts == {
        "errors", "foreign", "lazy", "config", "cpu", "cuda", "random", "autograd", "ops", "variable", "functions",
    }  # fmt: skip
    others = {name.split(".")[0] for name in modules} - set(sys.stdlib_module_names) - {"minitorch"}
    assert others == {"attr", "attrs"}
    assert (SLOW | {"json"}) & set(modules) == set()


def test_a_script_loads_the_callbacks_and_models_that_it_names_alone():
    """The imports of the first example load no other callback, model or data set, nothing slow of Python's, no bar."""
    modules = set(after(EXAMPLE)["modules"])
    assert "minitorch.trainer.callbacks.progress_bar" in modules
    named = {alias.name for node in FIRST if isinstance(node, ast.ImportFrom) for alias in node.names}
    loaded = [
        name
        for package in ("minitorch.trainer.callbacks", "minitorch.models", "minitorch.optimizers")
        for name, home in HOMES[package].items()
        if f"{package}.{home}" in modules and home not in {HOMES[package].get(name) for name in named}
    ]
    assert set(loaded) == {"default_callbacks", "Optimizer", "ClipGrad", "FreezeParam", "WeightDecay"}
    assert (SLOW | {"tqdm", "safetensors"}) & modules == set()


def test_importing_needs_no_optional_package():
    """Neither CuPy nor what draws pictures or bars, nor another framework, is imported with any public name."""
    optional = {"IPython", "PIL", "click", "cupy", "cupyx", "matplotlib", "pandas", "scipy", "tensorboard", "torch"}
    modules = set(after(WHOLE)["modules"])
    assert "attrs" in modules
    assert (optional | {"safetensors", "tqdm"}) & {name.split(".")[0] for name in modules} == set()
    assert SLOW & modules <= {"csv"}  # `CSVLogger` is made of it


def test_importing_creates_no_array_and_no_thread():
    """No array that minitorch made is left after everything is imported, and no thread runs."""
    found = after(WHOLE)
    assert any("<string>:5" in place for place in found["arrays"])  # so an array made on purpose is seen
    assert [place for place in found["arrays"] if "minitorch" in place] == []
    assert found["threads"] == 1


def seconds_of(code: str) -> float:
    """The processor time of a fresh Python that runs `code`, from its start on: other processes take their own."""
    return float(run(f"{code}\nimport time\nprint(time.process_time())"))


@pytest.mark.slow
def test_importing_is_not_much_slower_than_numpy():
    """Times of NumPy: the package alone at most 1.5, its core 3, the first example 3.5, every public name 5.5.

    The best of seven, in turn; by a third more than was measured, since other processes change what the caches hold.
    """
    codes = ["import numpy", f"import numpy\n{ALONE}", CORE, EXAMPLE, WHOLE]
    numpy, *others = (min(times) for times in zip(*([*map(seconds_of, codes)] for _ in range(7)), strict=True))
    assert [seconds / numpy < most for seconds, most in zip(others, (1.5, 3, 3.5, 5.5), strict=True)] == [True] * 4


def test_public_names_are_pinned():
    """What `minitorch` offers changes only together with this list; every name is there."""
    assert minitorch.__all__ == PUBLIC
    assert [name for name in PUBLIC if not hasattr(minitorch, name)] == []
    assert set(PUBLIC) <= set(dir(minitorch))
    with pytest.raises(AttributeError, match=r"module 'minitorch' has no attribute 'Tensor'"):
        minitorch.Tensor


@pytest.mark.parametrize("name", PACKAGES)
def test_type_checkers_see_no_name_that_is_not_there(name):
    """A `__getattr__` that may give anything is hidden from them; one that gives one type is declared so."""
    open_ended = [
        node
        for node in parsed(MODULES[name]).body
        if isinstance(node, ast.FunctionDef) and node.name == "__getattr__" and ast.unparse(node.returns) == "Any"
    ]
    assert open_ended == []


@pytest.mark.parametrize("package", HOMES)
def test_type_checkers_see_what_is_loaded(package):
    """What a package imports for type checkers, what is loaded when a name is first used, and `__all__` are one."""
    (block,) = [node for node in parsed(MODULES[package]).body if isinstance(node, ast.If)]
    assert ast.unparse(block.test) == "TYPE_CHECKING"
    seen = {
        alias.name: node.module.removeprefix(package).removeprefix(".")
        for node in block.body
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }
    assert seen == HOMES[package]
    module = importlib.import_module(package)
    assert sorted(module.__all__) == sorted(seen)
    for name, home in seen.items():
        found = importlib.import_module(f"{package}.{home or name}")
        assert getattr(module, name) is (getattr(found, name) if home else found)


@pytest.mark.parametrize("package", HOMES)
def test_no_name_of_a_package_is_that_of_another_thing_in_it(package):
    """Python puts an imported module into its package under its name, where it would hide a function of that name."""
    hidden = [name for name, home in HOMES[package].items() if home and f"{package}.{name}" in MODULES]
    assert hidden == []


@pytest.mark.parametrize("package", HOMES)
def test_names_that_are_loaded_later_are_seen(package):
    """`dir`, `help` and `from ... import *` show and give them all before any of them was used."""
    shown = run(
        f"import pydoc\nimport {package} as package\n"
        "assert set(package.__all__) <= set(dir(package))\n"
        "print(pydoc.plain(pydoc.render_doc(package)))\n"
        f"from {package} import *\n"
        "assert set(package.__all__) <= set(globals())"
    )
    assert [name for name in importlib.import_module(package).__all__ if name not in shown] == []


@pytest.mark.parametrize(
    ("code", "near"),
    [
        ("minitorch.Varable", "Variable"),
        ("minitorch.trainer.callbacks.EarlyStoping", "EarlyStopping"),
        ("minitorch.optimizers.Adamw", "AdamW"),
    ],
)
def test_a_misspelt_name_gets_the_nearest(code, near):
    """The error says which package has no such name, and Python adds what was meant, also of what is not loaded yet."""
    package, name = code.rsplit(".", 1)
    program = f"import minitorch\n{code}"
    failed = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT.parent, capture_output=True, text=True, check=False
    )
    message = f"AttributeError: module '{package}' has no attribute '{name}'. Did you mean: '{near}'?"
    assert failed.stderr.splitlines()[-1] == message
    with pytest.raises(AttributeError, match=rf"module '{package}' has no attribute '{name}'$"):
        eval(code)


def test_what_is_loaded_later_can_be_pickled():
    """Its class is named by the module that defines it, so an instance comes back the same."""
    every = minitorch.Every(steps=3)
    assert pickle.loads(pickle.dumps(every)) == every
    assert pickle.loads(pickle.dumps(minitorch.transforms.Flatten)) is minitorch.transforms.Flatten


@pytest.mark.parametrize("package", ["cuda", "utils", *(name[10:] for name in HOMES if "." in name)])
def test_packages_say_what_is_public(package):
    """`__all__` of each public package has no doubles, and names what is there and documented."""
    module = importlib.import_module(f"minitorch.{package}")
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
