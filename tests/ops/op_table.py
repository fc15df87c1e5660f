"""The table of all primitives: what a row is, and where the rows are (in the files `rows_*.py` beside this one).

To add a primitive, add a `Row` for each way in which it is used to a list named `ROWS` in one of these files, or in a
new one: it is found by its name.
"""

import importlib
import pkgutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import attrs
import numpy as np

import minitorch.ops
from minitorch.autograd.primitive import Primitive

Array = Any


@attrs.frozen(eq=False)
class Row:
    """One use of one primitive, checked on every device, for leaf and interior inputs, in several dtypes and layouts.

    Attributes:
        op: the name of the primitive.
        f: a function of the inputs that applies it; they come as Variables, or as arrays.
        inputs: for each input its shape, for random numbers, or an array as it is. Arrays of integers and booleans
            are constants: they come as arrays, and nothing is differentiated for them.
        domain: the range of the random numbers; keep away from where the derivative jumps.
        order: how often to differentiate; 0 for an operation without derivative.
        note: what is special about this use.
    """

    op: str
    f: Callable[..., Any]
    inputs: list[Any]
    domain: tuple[float, float] = (-2.0, 2.0)
    order: int = 2
    note: str = ""

    def __str__(self) -> str:
        shapes = "+".join(str(np.shape(a) if isinstance(a, np.ndarray) else a).replace(" ", "") for a in self.inputs)
        return f"{self.op}{shapes}{self.note and ' ' + self.note}"

    def arrays(self, dtype: Any = np.float64) -> list[Array]:
        """The inputs on the host, the same at every call; the floating ones in `dtype`."""
        rng = np.random.default_rng(0)
        made = [a if isinstance(a, np.ndarray) else rng.uniform(*self.domain, a) for a in self.inputs]
        return [np.asarray(a, dtype if np.asarray(a).dtype.kind == "f" else None) for a in made]


def all_rows() -> list[Row]:
    """The rows of all files."""
    files = sorted(Path(__file__).parent.glob("rows_*.py"))
    return [row for file in files for row in importlib.import_module(file.stem).ROWS]


def all_primitives() -> dict[str, Primitive]:
    """Every operation that a module of `minitorch.ops` defines, by the module and name under which it is found."""
    found: dict[int, tuple[str, Primitive]] = {}
    for module in _modules():
        for name, value in vars(module).items():
            op = getattr(value, "op", value)
            if isinstance(op, Primitive):
                found.setdefault(id(op), (f"{module.__name__}.{name}", op))
    return dict(found.values())


def _modules() -> Iterator[Any]:
    for info in pkgutil.walk_packages(minitorch.ops.__path__, "minitorch.ops."):
        yield importlib.import_module(info.name)
