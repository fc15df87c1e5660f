"""The stand-in for `cupy.RawKernel`: a launch is checked against the declaration in the source, then run on the host.

What is run is the kernel's definition in NumPy; `launching_by` puts something else in its place.
"""

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from fake_cupy import cuda, traffic
from fake_cupy.array import do, ndarray

Runner = Callable[[str, tuple[int, ...], tuple[int, ...], tuple[Any, ...]], None]

DTYPES = {
    "float": np.float32, "double": np.float64, "int": np.int32, "uint32": np.uint32, "long long": np.int64,
    "uint64": np.uint64, "unsigned char": np.uint8, "bool": np.bool_,
}  # fmt: skip
LIMITS = (2**31 - 1, 65535, 65535)  # blocks of a grid in each direction


def run_reference(name: str, grid: tuple[int, ...], block: tuple[int, ...], args: tuple[Any, ...]) -> None:
    """Call the definition of the kernel."""
    from minitorch.cuda.kernels import KERNELS

    KERNELS[name].reference(*args)


_runners: list[Runner] = [run_reference]


@contextmanager
def launching_by(runner: Runner) -> Iterator[None]:
    """Inside, give launches to `runner(name, grid, block, args)`, with NumPy arrays, instead of the definitions."""
    _runners.append(runner)
    try:
        yield
    finally:
        _runners.pop()


class RawKernel:
    """A kernel of `minitorch.cuda.kernels`; others have no stand-in."""

    def __init__(
        self, code: str, name: str, options: tuple[str, ...] = (), backend: str = "nvrtc", *,
        translate_cucomplex: bool = False, enable_cooperative_groups: bool = False, jitify: bool = False,
    ) -> None:  # fmt: skip
        from minitorch.cuda.kernels import KERNELS

        if name not in KERNELS:
            raise NotImplementedError(
                f"cupy.RawKernel: it has no stand-in for {name!r}, which is no kernel of minitorch.cuda.kernels"
            )
        self.name = name
        self._parameters = parameters_of(code, name)

    def __call__(self, grid: Any, block: Any, args: Any, *, shared_mem: int = 0) -> None:
        """Check the launch and run it."""
        _check_grid(self.name, grid, block)
        if len(args) != len(self._parameters):
            raise TypeError(f"{self.name}: {len(args)} arguments given, the kernel has {len(self._parameters)}")
        for parameter, a in zip(self._parameters, args, strict=True):
            _check_argument(self.name, *parameter, a)
        if self.name not in cuda.machine.loaded:
            if traffic.capturing():
                raise RuntimeError(f"{self.name} is compiled and loaded at its first launch, which is inside a capture")
            cuda.machine.loaded.add(self.name)
        cuda.machine.launches.append(self.name)
        cuda.machine.work.append(self.name)
        plain = tuple([a._inside() if isinstance(a, ndarray) else a for a in args])
        do(lambda: _runners[-1](self.name, grid, block, plain), [])


def parameters_of(code: str, name: str) -> list[tuple[str, str, bool]]:
    """Of each parameter of a kernel its name, its type without const, and whether it is a pointer."""
    declared = re.search(rf"\bKERNEL\s+{name}\(([^)]*)\)", re.sub(r"//.*", "", code))
    if declared is None:
        raise NotImplementedError(f"cupy.RawKernel: the source does not declare {name}")
    parameters = []
    for declaration in declared[1].split(","):
        words = re.sub(r"\bconst\b|\b__grid_constant__\b", "", declaration).replace("*", " * ").split()
        parameters.append((words[-1], " ".join(w for w in words[:-1] if w != "*"), "*" in words))
    return parameters


def _check_grid(name: str, grid: Any, block: Any) -> None:
    good = isinstance(grid, tuple) and 1 <= len(grid) <= 3 and all(type(n) is int for n in grid)
    if not good or not all(1 <= n <= most for n, most in zip(grid, LIMITS, strict=False)):
        raise ValueError(f"{name}: a grid of {grid!r}; it has one to three Python integers, from 1 to {LIMITS}")
    if block != (256,):
        raise ValueError(f"{name}: blocks of {block!r}; the kernels are written for (256,)")


def _check_argument(kernel: str, name: str, ctype: str, pointer: bool, a: Any) -> None:
    wanted = DTYPES.get(ctype)
    if pointer:
        if a is None:
            return
        if not isinstance(a, ndarray) or a._device != traffic.current.device:
            raise TypeError(f"{kernel}: {name} is {type(a)}; a pointer takes an array on the current device, or None")
        if not a._np.flags.c_contiguous or (ctype != "void" and a.dtype != wanted):
            raise TypeError(f"{kernel}: {name} is {a.dtype}, strides {a.strides}; it must be {ctype} in C order")
    elif wanted is None:
        if not isinstance(a, np.ndarray) or a.size != 1 or a.dtype.names is None:
            raise TypeError(f"{kernel}: {name} is {type(a)}; struct {ctype} takes a NumPy record of one element")
    elif type(a) is not wanted:
        raise TypeError(f"{kernel}: {name} is {type(a)}; {ctype} takes numpy.{wanted.__name__}")
