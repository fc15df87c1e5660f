"""Convolution by cuDNN, through `ctypes` on `libcudnn.so.9`, where it is installed.

The functions are those that cuDNN has had since its beginning and that version 9 keeps. Which algorithm is used is
asked of its heuristics once for each shape; only such that give the same bits each time are taken.
"""

import ctypes
import functools
import importlib.util
import sys
import threading
from collections.abc import Callable
from ctypes import POINTER, byref, c_float, c_int, c_size_t, c_void_p
from pathlib import Path
from typing import Any

import attrs

from minitorch.cuda.array_module import xp_of
from minitorch.cuda.columns import Window
from minitorch.cuda.gemm import computing_mode
from minitorch.cuda.kernels import takes
from minitorch.errors import DeviceError

Array = Any  # a CuPy array
Shape = tuple[int, ...]

WORKSPACE = 1 << 28  # bytes that an algorithm may take
FLOAT, NCHW, CROSS_CORRELATION, DETERMINISTIC = 0, 0, 1, 1  # of cuDNN's enumerations
MATH = {"fp32": 3, "tf32": 0, "fp16": 2}  # cudnnMathType_t: FMA alone, tensor cores, and with conversion to float16
ALLOWED = {3: (0, 3), 0: (0, 3), 2: (0, 1, 2, 3)}  # what an algorithm may say that it uses where this is asked for
UNFIT = range(2000, 4000)  # cudnnStatus_t: what was asked for is wrong or not supported, and nothing was done
CANDIDATES = 8  # that the heuristics name at most


class Performance(ctypes.Structure):
    """What the heuristics say of one algorithm: `cudnnConvolutionFwdAlgoPerf_t` and its two likes."""

    _fields_ = (
        ("algorithm", c_int),
        ("status", c_int),
        ("time", c_float),
        ("memory", c_size_t),
        ("determinism", c_int),
        ("math", c_int),
        ("reserved", c_int * 3),
    )


@attrs.frozen
class Kind:
    """One of the three convolutions.

    Attributes:
        search: the name of the function that names algorithms.
        run: the name of the function that computes.
        order: which of x, W and y they take, in order; the last is the result.
    """

    search: str
    run: str
    order: tuple[int, int, int]


KINDS = {
    "y": Kind("cudnnGetConvolutionForwardAlgorithm_v7", "cudnnConvolutionForward", (0, 1, 2)),
    "x": Kind("cudnnGetConvolutionBackwardDataAlgorithm_v7", "cudnnConvolutionBackwardData", (1, 2, 0)),
    "W": Kind("cudnnGetConvolutionBackwardFilterAlgorithm_v7", "cudnnConvolutionBackwardFilter", (0, 2, 1)),
}


class Descriptor:
    """A descriptor of cuDNN, destroyed with this object."""

    def __init__(self, library: Any, name: str) -> None:
        self._destroy = getattr(library, f"cudnnDestroy{name}Descriptor")
        pointer = c_void_p()
        check(getattr(library, f"cudnnCreate{name}Descriptor")(byref(pointer)), f"cudnnCreate{name}Descriptor")
        self.pointer = pointer.value

    def __del__(self, finalizing: Callable[[], bool] = sys.is_finalizing) -> None:
        if not finalizing() and hasattr(self, "pointer"):
            self._destroy(self.pointer)


@attrs.define
class Plan:
    """How one convolution is asked for.

    Attributes:
        tensors: the descriptors of x, W and y.
        geometry: the descriptor of the convolution.
        algorithm: its number.
        memory: bytes of workspace.
        works: whether cuDNN has not refused it yet, although its heuristics named it.
    """

    tensors: tuple[Descriptor, Descriptor, Descriptor]
    geometry: Descriptor
    algorithm: int
    memory: int
    works: bool = True


def convolve(result: str, x: Array, W: Array, y: Array, window: Window, groups: int) -> bool:
    """Compute one of three arrays from the others: "y" by convolution of x with W, "x" and "W" by its adjoints.

    Args:
        result: which, "y", "x" or "W".
        x: images (N, C, H, W), in C order, as all of them.
        W: (OC, C/groups, KH, KW).
        y: (N, OC, OH, OW).
        window: the geometry.
        groups: of channels.

    Returns:
        Whether it was done. Not where cuDNN is not installed or does not begin, or has no algorithm for float32 in the
        precision of `computing` that gives the same bits each time.

    Raises:
        DeviceError: cuDNN reports an error.
    """
    library, math = load(), MATH.get(computing_mode())
    if library is None or math is None or not takes(x, W, y):
        return False
    cupy = xp_of(x)
    handle = _handle(library, cupy)
    if handle is None:
        return False
    sizes = window.kernel, window.stride, window.pad, window.dilation
    plan = _plan(library, handle, result, (x.shape, W.shape, y.shape), sizes, groups, math)
    if plan is None or not plan.works:
        return False
    check(library.cudnnSetStream(handle, cupy.cuda.get_current_stream().ptr), "cudnnSetStream")
    workspace = cupy.empty(max(plan.memory, 1), "u1")  # goes back to the pool at once: what gets it next runs later
    first, second, out = ((plan.tensors[i].pointer, (x, W, y)[i].data.ptr) for i in KINDS[result].order)
    one, nothing = byref(c_float(1)), byref(c_float(0))
    status = getattr(library, KINDS[result].run)(
        handle, one, *first, *second, plan.geometry.pointer, plan.algorithm, workspace.data.ptr, plan.memory, nothing,
        *out,
    )  # fmt: skip
    plan.works = status not in UNFIT
    if not plan.works:
        return False
    check(status, f"{KINDS[result].run} for x {x.shape}, W {W.shape}")
    return True


@functools.lru_cache(maxsize=1024)
def _plan(
    library: Any, handle: int, result: str, shapes: tuple[Shape, Shape, Shape], sizes: tuple[Shape, ...], groups: int,
    math: int,
) -> Plan | None:  # fmt: skip
    """The plan for these shapes, or None where there is no algorithm."""
    x, W, y = (Descriptor(library, name) for name in ("Tensor", "Filter", "Tensor"))
    for tensor, shape in ((x, shapes[0]), (y, shapes[2])):
        check(library.cudnnSetTensor4dDescriptor(tensor.pointer, NCHW, FLOAT, *shape), "cudnnSetTensor4dDescriptor")
    check(library.cudnnSetFilter4dDescriptor(W.pointer, FLOAT, NCHW, *shapes[1]), "cudnnSetFilter4dDescriptor")
    geometry = Descriptor(library, "Convolution")
    _, stride, pad, dilation = sizes
    check(
        library.cudnnSetConvolution2dDescriptor(
            geometry.pointer, *pad, *stride, *dilation, CROSS_CORRELATION, FLOAT
        ),
        "cudnnSetConvolution2dDescriptor",
    )  # fmt: skip
    check(library.cudnnSetConvolutionGroupCount(geometry.pointer, groups), "cudnnSetConvolutionGroupCount")
    check(library.cudnnSetConvolutionMathType(geometry.pointer, math), "cudnnSetConvolutionMathType")
    first, second, out = ((x, W, y)[i].pointer for i in KINDS[result].order)
    found, count = (Performance * CANDIDATES)(), c_int()
    status = getattr(library, KINDS[result].search)(
        handle, first, second, geometry.pointer, out, CANDIDATES, byref(count), found
    )
    if status:
        return None
    exact = math == MATH["fp32"]
    for each in sorted(found[: count.value], key=lambda each: exact and each.math != math):
        fits = each.determinism == DETERMINISTIC and each.math in ALLOWED[math] and each.memory <= WORKSPACE
        if each.status == 0 and fits:
            if not exact:  # which stays a rule for the algorithm, whatever it says that it uses
                check(library.cudnnSetConvolutionMathType(geometry.pointer, each.math), "cudnnSetConvolutionMathType")
            return Plan((x, W, y), geometry, each.algorithm, each.memory)
    return None


def check(status: int, what: str) -> None:
    """Raise DeviceError unless cuDNN answered `status` 0 to `what`."""
    if status:
        raise DeviceError(f"cuDNN: {what}: status {status}; see cudnnStatus_t in its documentation")


@functools.cache
def load() -> Any:
    """The library cuDNN with its functions declared, or None where there is none of version 9."""
    for name in ("libcudnn.so.9", *_in_wheel()):
        try:
            return declared(ctypes.CDLL(name))
        except (OSError, AttributeError):
            continue
    return None


def _in_wheel() -> list[str]:
    """Where the wheel `nvidia-cudnn-cu13`, or that of CUDA 12, has the library."""
    try:
        spec = importlib.util.find_spec("nvidia.cudnn")
    except ModuleNotFoundError:
        return []
    folders = [] if spec is None else spec.submodule_search_locations or []
    return [str(Path(folder) / "lib" / "libcudnn.so.9") for folder in folders]


def declared(library: Any) -> Any:
    """`library` with the types of the arguments of its functions."""
    pair = c_void_p, c_void_p
    library.cudnnCreate.argtypes = (POINTER(c_void_p),)
    library.cudnnDestroy.argtypes = (c_void_p,)
    library.cudnnSetStream.argtypes = pair
    for name in ("Tensor", "Filter", "Convolution"):
        getattr(library, f"cudnnCreate{name}Descriptor").argtypes = (POINTER(c_void_p),)
        getattr(library, f"cudnnDestroy{name}Descriptor").argtypes = (c_void_p,)
    library.cudnnSetTensor4dDescriptor.argtypes = (c_void_p, *(c_int,) * 6)
    library.cudnnSetFilter4dDescriptor.argtypes = (c_void_p, *(c_int,) * 6)
    library.cudnnSetConvolution2dDescriptor.argtypes = (c_void_p, *(c_int,) * 8)
    library.cudnnSetConvolutionGroupCount.argtypes = (c_void_p, c_int)
    library.cudnnSetConvolutionMathType.argtypes = (c_void_p, c_int)
    for kind in KINDS.values():
        getattr(library, kind.search).argtypes = (*(c_void_p,) * 5, c_int, POINTER(c_int), POINTER(Performance))
        getattr(library, kind.run).argtypes = (
            *pair, *pair, *pair, c_void_p, c_int, c_void_p, c_size_t, c_void_p, *pair
        )  # fmt: skip
    return library


class _Handle:
    """A handle of cuDNN, destroyed with the thread that made it.

    Attributes:
        pointer: it; None where cuDNN does not begin.
    """

    def __init__(self, library: Any) -> None:
        self._library = library
        pointer = c_void_p()
        status = library.cudnnCreate(byref(pointer))
        self.pointer = None if status else pointer.value
        if status:
            from minitorch.warning import warn  # here, since it is an exception

            warn(
                f"cuDNN is installed but does not begin (cudnnCreate: status {status}): convolutions are computed by "
                "products of matrices, more slowly; see that its version is for the CUDA of CuPy"
            )

    def __del__(self, finalizing: Callable[[], bool] = sys.is_finalizing) -> None:
        if not finalizing() and self.pointer is not None:  # at the end of the process CUDA may be gone
            self._library.cudnnDestroy(self.pointer)


_local = threading.local()


def _handle(library: Any, cupy: Any) -> Any:
    """This thread's handle for the current device; None where cuDNN does not begin."""
    handles: dict[Any, _Handle] = _local.__dict__.setdefault("handles", {})
    key = (id(library), cupy.cuda.Device().id)
    if key not in handles:
        if cupy.cuda.get_current_stream().is_capturing():
            raise DeviceError(
                "cuDNN begins with its first convolution in a thread, which a capture does not survive; do the same "
                "work once before the capture"
            )
        handles[key] = _Handle(library)
    return handles[key].pointer
