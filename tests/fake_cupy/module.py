"""Builds the module that stands in for `cupy`: the names that CuPy 14 has, and no others."""

from collections.abc import Callable
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np

from fake_cupy import cuda, traffic
from fake_cupy.array import call, check_call, do, garbage, ndarray, offered, unsupported, unwrap, wrap
from fake_cupy.kernel import RawKernel
from fake_cupy.signatures import FUNCTIONS, LINALG, SAME, UFUNCS, WITHOUT_ARRAYS

# what a user of NumPy may reach for; each with the reason why it is not here
REFUSED = {
    "random": "minitorch draws its own numbers: see minitorch.random",
    "fuse": "it has no stand-in; write a kernel, with plain array code for where there is no compiler",
    "ElementwiseKernel": "it has no stand-in: it needs a compiler and a device",
    "ReductionKernel": "it has no stand-in: it needs a compiler and a device",
    "RawModule": "it has no stand-in: it needs a compiler and a device",
}

# what NumPy returns as a scalar of Python, CuPy as an array
SCALAR_OF_NUMPY = frozenset(["allclose", "array_equal", "array_equiv", "count_nonzero"])

RENAMED = {("reshape", "newshape"): "shape"} if np.lib.NumpyVersion(np.__version__) >= "2.1.0" else {}


class ufunc:  # noqa: N801  # CuPy's name
    """A universal function: `out`, `dtype`, `casting` and `where` are all that it takes besides its operands."""

    def __init__(self, name: str) -> None:
        self.__name__ = self.name = name
        self._function = getattr(np, name)

    def __call__(self, *args: Any, out: Any = None, dtype: Any = None, casting: Any = None, where: Any = None) -> Any:
        given = {"out": out, "dtype": dtype, "casting": casting, "where": where}
        for a in args:
            if isinstance(a, list | tuple):
                raise unsupported(self.name, a)
        args = tuple([offered(a) for a in args])
        return call(self.name, self._function, *args, **{k: v for k, v in given.items() if v is not None})

    def reduce(self, array: Any, axis: Any = 0, dtype: Any = None, out: Any = None, keepdims: bool = False) -> Any:
        """The sum or product along `axis`; CuPy reduces by no other function."""
        self._only("reduce", "add", "multiply")
        return call(self.name, self._function.reduce, array, axis=axis, dtype=dtype, out=out, keepdims=keepdims)

    def accumulate(self, array: Any, axis: int = 0, dtype: Any = None, out: Any = None) -> Any:
        """The running sum or product along `axis`; CuPy accumulates by no other function."""
        self._only("accumulate", "add", "multiply")
        return call(self.name, self._function.accumulate, array, axis=axis, dtype=dtype, out=out)

    def reduceat(self, array: Any, indices: Any, axis: int = 0, dtype: Any = None, out: Any = None) -> Any:
        """The sums of the slices that start at `indices`; CuPy does it by no other function."""
        self._only("reduceat", "add")
        return call(self.name, self._function.reduceat, array, indices, axis=axis, dtype=dtype, out=out)

    def outer(self, A: Any, B: Any, **kwargs: Any) -> Any:
        """The function of all pairs."""
        return call(self.name, self._function.outer, A, B, **kwargs)

    def at(self, a: Any, indices: Any, b: Any = None) -> None:
        """Refused."""
        raise TypeError(
            f"cupy.{self.name}.at adds with float atomics, in another order at each run: sort and sum the segments, so "
            "that runs repeat bit for bit"
        )

    def _only(self, method: str, *names: str) -> None:
        if self.name not in names:
            raise NotImplementedError(f"`{method}` is not supported by cupy.{self.name}, only by {', '.join(names)}")


def _function(name: str, parameters: str, numpy_function: Any, prefix: str = "") -> Callable[..., Any]:
    names = parameters.split()

    def function(*args: Any, **kwargs: Any) -> Any:
        check_call(name, names, args, kwargs)
        if name not in WITHOUT_ARRAYS and not _any_array((*args, *kwargs.values())):
            raise TypeError(f"cupy.{prefix}{name} was given no device array: {', '.join(repr(type(a)) for a in args)}")
        kwargs = {RENAMED.get((name, key), key): value for key, value in kwargs.items()}
        result = call(name, numpy_function, *args, **kwargs)
        return wrap(np.asarray(result), []) if name in SCALAR_OF_NUMPY and not isinstance(result, ndarray) else result

    function.__name__ = name
    return function


def _any_array(a: Any) -> bool:
    return any(map(_any_array, a)) if isinstance(a, list | tuple) else isinstance(a, ndarray)


def matmul(*args: Any, out: Any = None, dtype: Any = None, casting: Any = "same_kind") -> Any:
    """The matrix product."""
    for a in args:
        if not isinstance(a, ndarray):
            raise unsupported("matmul", a)
    traffic.product("matmul", [a.dtype for a in args])
    return call("matmul", np.matmul, *args, out=out, dtype=dtype, casting=casting)


def array(
    obj: Any,
    dtype: Any = None,
    copy: bool | None = True,
    order: Any = "K",
    subok: bool = False,
    ndmin: int = 0,
    *,
    blocking: bool = False,
) -> ndarray:
    """An array on the current device: a copy from the host, counted, unless `obj` is on a device already."""
    if _any_array(obj):
        arrays: list[ndarray] = []
        plain = unwrap("array", obj, arrays)
        result: ndarray = do(lambda: np.array(plain, dtype=dtype, copy=copy, order=order, ndmin=ndmin), arrays)
        if result.base is None and all(result is not a for a in arrays):
            cuda.machine.work.append("array")
        return result
    host = np.array(obj, dtype=dtype, order=order, ndmin=ndmin)
    if host.dtype.kind not in "biufc":
        raise ValueError(f"Unsupported dtype {host.dtype}")
    traffic.to_device("array", host.nbytes)
    return wrap(host, [])


def asarray(
    a: Any, dtype: Any = None, order: Any = None, *, copy: bool | None = None, blocking: bool = False
) -> ndarray:
    """The array itself if it is on a device, else a copy of it there."""
    return array(a, dtype, copy, order)


def ascontiguousarray(a: Any, dtype: Any = None) -> ndarray:
    """`a` on the device and in C order, itself if it is so already."""
    return array(a, dtype, None, "C", ndmin=1)


def copy(a: Any, order: str = "K") -> ndarray:
    """A copy on the current device."""
    return array(a, None, True, order)


def asnumpy(a: Any, stream: Any = None, order: str = "C", out: Any = None, *, blocking: bool = True) -> Any:
    """`a` on the host: a counted copy if it is on a device."""
    return a.get(stream, order, out, blocking) if isinstance(a, ndarray) else np.asarray(a, order=order)


def empty(shape: Any, dtype: Any = float, order: Any = "C") -> ndarray:
    """An array of garbage."""
    return ndarray(shape, dtype, order=order)


def empty_like(
    prototype: ndarray, dtype: Any = None, order: Any = "K", subok: None = None, shape: Any = None
) -> ndarray:
    """An array of garbage with the dtype and shape of another, where none are given."""
    arrays: list[ndarray] = []
    plain = unwrap("empty_like", prototype, arrays)
    return wrap(garbage(np.empty_like(plain, dtype=dtype, order=order, shape=shape)), [])


def result_type(*arrays_and_dtypes: Any) -> Any:
    """The dtype that operands of these dtypes have a result of."""
    return np.result_type(*(a.dtype if isinstance(a, ndarray) else a for a in arrays_and_dtypes))


def build() -> ModuleType:
    """The module `cupy`."""
    module = ModuleType("cupy", "A strict stand-in for CuPy, over NumPy.")
    names: dict[str, Any] = {name: getattr(np, name) for name in SAME if hasattr(np, name)}
    names |= {name: ufunc(name) for name in UFUNCS if hasattr(np, name)}
    names |= {name: _function(name, p, getattr(np, name)) for name, p in FUNCTIONS.items() if hasattr(np, name)}
    for f in (array, asarray, ascontiguousarray, asnumpy, copy, empty, empty_like, matmul, result_type, ndarray, ufunc):
        names[f.__name__] = f
    names["asanyarray"] = asarray
    linalg = {name: _function(name, p, getattr(np.linalg, name), "linalg.") for name, p in LINALG.items()}
    names["linalg"] = SimpleNamespace(**linalg)
    tricks = np.lib.stride_tricks
    names["lib"] = SimpleNamespace(
        stride_tricks=SimpleNamespace(
            as_strided=_function("as_strided", "x shape strides", tricks.as_strided),
            sliding_window_view=_function("sliding_window_view", "x window_shape axis", tricks.sliding_window_view),
        )
    )
    names["cuda"] = cuda_module()
    names["is_available"] = cuda.is_available
    names["get_default_memory_pool"] = lambda: cuda.default_pool
    names["RawKernel"] = RawKernel
    names["get_array_module"] = lambda *args: module if any(isinstance(a, ndarray) for a in args) else np
    names["__version__"] = "14.2.0"
    names["__getattr__"] = _missing
    vars(module).update(names)
    return module


def cuda_module() -> ModuleType:
    """The module `cupy.cuda`."""
    module = ModuleType("cupy.cuda")
    for f in (
        cuda.Device, cuda.Event, cuda.Graph, cuda.MemoryPointer, cuda.MemoryPool, cuda.Stream, cuda.UnownedMemory
    ):  # fmt: skip
        setattr(module, f.__name__, f)
    for g in (
        cuda.alloc_pinned_memory, cuda.get_allocator, cuda.get_current_stream, cuda.get_elapsed_time, cuda.is_available,
        cuda.using_allocator,
    ):  # fmt: skip
        setattr(module, g.__name__, g)
    vars(module)["runtime"] = cuda.runtime
    return module


def _missing(name: str) -> Any:
    if name in REFUSED:
        raise NotImplementedError(f"cupy.{name}: {REFUSED[name]}")
    hint = "; NumPy has it, CuPy 14 has not" if hasattr(np, name) else ""
    raise AttributeError(f"module 'cupy' has no attribute {name!r}{hint}")
