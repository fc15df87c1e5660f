"""Runs the CUDA sources of kernels on the host: compiled by g++ with `emulator.hpp`, for arrays of the stand-in."""

import ctypes
import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import attrs
import numpy as np

import fake_cupy
from minitorch.cuda.kernels import KERNELS
from minitorch.cuda.kernels.kernel import FOLDER

HEADER = Path(__file__).with_name("emulator.hpp")
COMPILER = shutil.which("g++")
OPTIONS = (
    "-std=c++17", "-O1", "-fPIC", "-shared", "-ffp-contract=off", "-fno-strict-aliasing", "-Wno-unknown-pragmas",
    "-U_FORTIFY_SOURCE",
)  # fmt: skip
LIBRARY = "kernels.so"
GUARD = 64  # bytes before and after each array, which a kernel must not write; they read as nan


def build(folder: Path) -> Any:
    """All kernels as a library of the host, each to be called as `launch_` and its name; made once for a folder."""
    if (folder / LIBRARY).exists():
        return ctypes.CDLL(str(folder / LIBRARY))
    names: dict[str, list[str]] = {}
    for kernel in KERNELS.values():
        names.setdefault(kernel.file, []).append(kernel.name)
    return compile_for_host({f: ((FOLDER / f"{f}.cu").read_text(), names[f]) for f in sorted(names)}, folder)


def compile_for_host(files: dict[str, tuple[str, list[str]]], folder: Path) -> Any:
    """A library of the host, of sources and the names of the kernels in them, each file in a namespace of its own."""
    parts = [f'#include "{HEADER}"\nnamespace {{\n', (FOLDER / "common.cuh").read_text()]
    parts += [f"namespace {file}_file {{\n{text}}}\n" for file, (text, _) in files.items()] + ["}\n"]
    parts += [f"EXPORT({file}_file, {name})\n" for file, (_, names) in files.items() for name in names]
    source, library = folder / f"{os.getpid()}.cpp", folder / f"{os.getpid()}.so"
    source.write_text("".join(parts))
    result = subprocess.run(
        [str(COMPILER), *OPTIONS, "-o", str(library), str(source)], capture_output=True, text=True, check=False
    )
    assert result.returncode == 0, result.stderr
    source.unlink()
    library.replace(folder / LIBRARY)
    return ctypes.CDLL(str(folder / LIBRARY))


@attrs.define
class Emulator:
    """What the stand-in calls instead of the references of kernels."""

    library: Any
    backwards: bool = False
    launches: list[str] = attrs.field(factory=list)

    def __call__(self, name: str, grid: tuple[int, ...], block: tuple[int, ...], args: tuple[Any, ...]) -> None:
        """Run one launch to its end."""
        guarded: dict[int, Guarded] = {}
        for a in args:
            if isinstance(a, np.ndarray) and a.dtype.names is None:
                guarded.setdefault(a.ctypes.data, Guarded(a))
        values = [self._value(a, guarded) for a in args]
        launch = getattr(self.library, f"launch_{name}")
        launch.restype = ctypes.c_char_p
        dimensions = (ctypes.c_uint * 3)(*(*grid, 1, 1)[:3])
        pointers = (ctypes.c_void_p * len(args))(*(v.ctypes.data for v in values))
        sizes = (ctypes.c_uint * len(args))(*(v.nbytes for v in values))
        error = launch(dimensions, block[0], int(self.backwards), pointers, sizes, len(args))
        assert error is None, f"{name}: {error.decode()}"
        for g in guarded.values():
            g.put_back(name)
        self.launches.append(name)

    @staticmethod
    def _value(a: Any, guarded: dict[int, "Guarded"]) -> np.ndarray[Any, Any]:
        """The bytes of one argument: an address, a scalar, or a structure."""
        if a is None:
            return np.array(0, np.uint64)
        if isinstance(a, np.ndarray) and a.dtype.names is None:
            return np.array(guarded[a.ctypes.data].address, np.uint64)
        return np.asarray(a)


class Guarded:
    """A copy of an array, equally aligned, between bytes that nobody may write."""

    def __init__(self, a: np.ndarray[Any, Any]) -> None:
        self._a = a
        self._buffer = np.full(a.nbytes + 3 * GUARD, 0xFF, np.uint8)
        start = GUARD + -self._buffer.ctypes.data % GUARD
        self._from = start + a.ctypes.data % 16
        self._copy[:] = np.frombuffer(a.tobytes(), np.uint8)

    @property
    def _copy(self) -> np.ndarray[Any, Any]:
        return self._buffer[self._from : self._from + self._a.nbytes]

    @property
    def address(self) -> int:
        """Where the copy is."""
        return int(self._buffer.ctypes.data) + self._from

    def put_back(self, name: str) -> None:
        """Write the copy into the array, if nothing was written beside it."""
        outside = (self._buffer[: self._from], self._buffer[self._from + self._a.nbytes :])
        assert all((part == 0xFF).all() for part in outside), f"{name} wrote outside an array of shape {self._a.shape}"
        self._a[...] = self._copy.view(self._a.dtype).reshape(self._a.shape)


@contextmanager
def emulated(library: Any, *, backwards: bool = False) -> Iterator[Emulator]:
    """Inside, kernels launched on the stand-in are run from their sources; threads and blocks backwards if asked."""
    emulator = Emulator(library, backwards)
    with fake_cupy.launching_by(emulator):
        yield emulator
