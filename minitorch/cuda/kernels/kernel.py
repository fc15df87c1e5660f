"""`Kernel`: one CUDA kernel, the file with its source, and the NumPy function that defines what it computes.

The sources are files beside this one, `common.cuh` before each; they include nothing, so that NVRTC needs no headers.
A kernel is compiled at its first launch on a device, which must not fall into a stream capture.
"""

import functools
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from minitorch.cuda.array_module import xp_of

Array = Any  # a NumPy or CuPy array
Grid = tuple[int, ...]

BLOCK = 256  # threads in every block
MAX_BLOCKS = 132 * 16  # of a grid whose threads go on to further elements: 16 for each multiprocessor of an H200
LARGEST = 2**31 - 2**23  # elements that they take: a thread that looks 16 at each step past the end still counts in int
OPTIONS = ("--std=c++17",)
FOLDER = Path(__file__).parent


class Kernel:
    """A CUDA kernel to call with a grid and its arguments; on NumPy arrays its reference is called instead.

    Attributes:
        name: of the `__global__` function, and of the reference.
        file: the stem of the file that the source is in.
        reference: the definition, in NumPy: it takes the arguments of the kernel and writes into the same arrays.
    """

    def __init__(self, file: str, reference: Callable[..., None]) -> None:
        self.name = reference.__name__
        self.file = file
        self.reference = reference
        self.__doc__ = reference.__doc__

    def __call__(self, grid: Grid, *args: Any) -> None:
        """Launch it on the current stream, or call the reference if the first argument is a NumPy array.

        Args:
            grid: the number of blocks in up to three directions.
            args: the first is an array; None is a null pointer; scalars are NumPy's, of exactly the declared type.
        """
        xp = xp_of(args[0])
        if xp is np:
            self.reference(*args)
        else:
            _compiled(xp, self.file, self.name)(grid, (BLOCK,), args)


def kernel(file: str) -> Callable[[Callable[..., None]], Kernel]:
    """Make the decorated NumPy function the definition of the kernel of its name in `file`, a stem."""

    def define(reference: Callable[..., None]) -> Kernel:
        defined = Kernel(file, reference)
        KERNELS[defined.name] = defined
        return defined

    return define


KERNELS: dict[str, Kernel] = {}  # by name; complete once `minitorch.cuda.kernels` is imported


@functools.cache
def source(file: str) -> str:
    """The CUDA C++ of the file with this stem, ready to compile."""
    return (FOLDER / "common.cuh").read_text() + (FOLDER / f"{file}.cu").read_text()


@functools.cache
def _compiled(xp: Any, file: str, name: str) -> Any:
    return xp.RawKernel(source(file), name, options=OPTIONS)


def blocks_for(size: int, per_block: int = BLOCK) -> Grid:
    """A grid with a block for each `per_block` of `size` elements; where that is too many, its threads take more."""
    return (max(1, min(-(-size // per_block), MAX_BLOCKS)),)


def takes(*arrays: Array) -> bool:
    """Whether kernels compute with these arrays (None is passed over): on a device, float32, of 1 to LARGEST elements.

    They must be in C order too: see `contiguous`.
    """
    for a in arrays:
        if a is not None and (xp_of(a) is np or a.dtype != np.float32 or not 0 < a.size <= LARGEST):
            return False
    return True


def contiguous(a: Array) -> Array:
    """`a` in C order: itself if it is so, else a copy."""
    return a if a.flags.c_contiguous else a.copy("C")


def channels_of(shape: tuple[int, ...]) -> tuple[int, int, int]:
    """Shape (N, C, ...) as (images, channels, inner): N, C, and the number of elements of one channel of one image."""
    images, channels, *rest = shape
    return images, channels, math.prod(rest)


def channel_grid(images: int, channels: int, inner: int) -> tuple[int, int]:
    """The grid for `channel_sums` of `common.cuh`: channels (or 32 of them) across, and runs of their elements down.

    A small batch is one run, so that there are no sums of runs to add up.
    """
    if inner == 1 and images <= 256:
        return -(-channels // 32), 1
    across = -(-channels // 32) if inner == 1 else channels
    rows = images if inner == 1 else images * inner // 32
    return across, max(1, min(rows // 32, MAX_BLOCKS // across, 128))


def row_grid(rows: int, columns: int) -> Grid:
    """The grid of kernels that give a row to a block, or to each warp of it where rows are short."""
    return blocks_for(rows, 1 if columns > 1024 else BLOCK // 32)
