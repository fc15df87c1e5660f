"""The stand-in for `cupy.ndarray`: a NumPy array that nothing outside can reach but by a counted copy."""

import operator
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import numpy as np

from fake_cupy import cuda, traffic
from fake_cupy.signatures import JOINING, METHODS, PRODUCTS, SYNCHRONISING, VIEWS
from fake_cupy.traffic import current

IMPLICIT = (
    "Implicit conversion to a NumPy array is not allowed. Please use `.get()` to construct a NumPy array explicitly."
)
ARRAY_PRIORITY = 100  # as CuPy's


class ndarray:  # noqa: N801  # CuPy's name
    """An array on the pretended device."""

    __slots__ = ("__weakref__", "_base", "_device", "_memory", "_np")
    __array_priority__ = ARRAY_PRIORITY

    def __init__(
        self, shape: Any, dtype: Any = float, memptr: None = None, strides: None = None, order: str = "C"
    ) -> None:
        if memptr is not None or strides is not None:
            raise NotImplementedError("fake_cupy: ndarray(memptr=..., strides=...) has no stand-in")
        self._adopt(garbage(np.empty(shape, dtype, order)), None)

    def _adopt(self, a: np.ndarray[Any, Any], base: "ndarray | None") -> "ndarray":
        if a.dtype.kind not in "biufc":
            raise ValueError(f"Unsupported dtype {a.dtype}")
        self._np = a
        self._base = base
        self._device = current.device if base is None else base._device
        if base is None:
            self._memory = cuda.get_allocator()(a.nbytes)
            traffic.adopted(self)
        return self

    def __del__(self) -> None:
        if getattr(self, "_base", self) is None:
            traffic.dropped(self)

    # what is known without asking the device

    shape = property(lambda self: self._np.shape)
    dtype = property(lambda self: self._np.dtype)
    ndim = property(lambda self: self._np.ndim)
    size = property(lambda self: self._np.size)
    nbytes = property(lambda self: self._np.nbytes)
    itemsize = property(lambda self: self._np.itemsize)
    strides = property(lambda self: self._np.strides)
    base = property(lambda self: self._base)
    device = property(lambda self: cuda.Device(self._device))
    data = property(lambda self: SimpleNamespace(ptr=self._np.ctypes.data, device_id=self._device))
    T = property(lambda self: self if self.ndim < 2 else self.transpose())
    mT = property(lambda self: self.swapaxes(-1, -2))  # noqa: N815
    real = property(lambda self: call("real", np.real, self))
    imag = property(lambda self: call("imag", np.imag, self))

    @property
    def flags(self) -> SimpleNamespace:
        f = self._np.flags
        return SimpleNamespace(
            c_contiguous=f.c_contiguous, f_contiguous=f.f_contiguous, forc=f.forc, fnc=f.fnc, owndata=self._base is None
        )

    def _inside(self) -> np.ndarray[Any, Any]:
        """The NumPy array inside, for work on it."""
        owner = self if self._base is None else self._base
        assert owner._memory.alive, "the memory pool that this array is in has been freed: its memory is another's now"
        return self._np

    def __len__(self) -> int:
        return len(self._np)

    def __iter__(self) -> Any:
        if not self.ndim:
            raise TypeError("iteration over a 0-d array")
        return (self[i] for i in range(len(self)))

    # to the host, each a counted copy

    def get(self, stream: Any = None, order: str = "C", out: Any = None, blocking: bool = True) -> Any:
        """A copy on the host."""
        return self._fetch("get", order, out, blocking)

    def _fetch(self, what: str, order: str = "C", out: Any = None, blocking: bool = True) -> Any:
        traffic.to_host(what, self.nbytes, blocking=blocking)
        if out is None:
            return self._inside().copy(order)
        out[...] = self._inside()
        return out

    def item(self) -> Any:
        """The only element, as a Python scalar."""
        if self.size != 1:
            raise ValueError("can only convert an array of size 1 to a Python scalar")
        return self._fetch("item").item()

    def tolist(self) -> Any:
        """Nested lists of Python scalars."""
        return self._fetch("tolist").tolist()

    def tobytes(self, order: str = "C") -> bytes:
        """The bytes of all elements."""
        return self._fetch("tobytes").tobytes(order)

    def __array__(self, *args: Any, **kwargs: Any) -> Any:
        raise TypeError(IMPLICIT)

    def __array_function__(self, function: Any, types: Any, args: Any, kwargs: Any) -> Any:
        raise TypeError(
            f"numpy.{function.__name__} was given a CuPy array: call the function of xp_of(array). {IMPLICIT}"
        )

    def __array_ufunc__(self, function: Any, method: str, *inputs: Any, **kwargs: Any) -> Any:
        for a in (*inputs, *kwargs.get("out", ())):
            if isinstance(a, np.ndarray):
                raise unsupported(function.__name__, a)
        if method != "__call__" or kwargs or not any(isinstance(a, np.generic) for a in inputs):
            raise TypeError(f"numpy.{function.__name__} was given a CuPy array: call xp_of(array).{function.__name__}")
        return call(function.__name__, function, *inputs)  # `np.float32(2) * array` comes here, and CuPy takes it

    def __bool__(self) -> bool:
        return bool(self._fetch("bool"))

    def __int__(self) -> int:
        return int(self._fetch("int"))

    def __float__(self) -> float:
        return float(self._fetch("float"))

    def __complex__(self) -> complex:
        return complex(self._fetch("complex"))

    def __str__(self) -> str:
        return str(self._fetch("str"))

    def __repr__(self) -> str:
        return repr(self._fetch("repr"))

    def __format__(self, spec: str) -> str:
        return format(self._fetch("format"), spec)

    def __reduce__(self) -> Any:
        return _unpickled, (self._fetch("pickle"),)

    # from the host, and copies on the device

    def set(self, arr: Any, stream: Any = None) -> None:
        """Overwrite all elements by those of a NumPy array of the same shape and dtype."""
        if not isinstance(arr, np.ndarray):
            raise TypeError(f"Only numpy.ndarray can be set to cupy.ndarray, not {type(arr)}")
        if arr.dtype != self.dtype:
            raise TypeError(f"{arr.dtype} array cannot be set to {self.dtype} array")
        if arr.shape != self.shape:
            raise ValueError(f"Shape mismatch. Old shape: {self.shape}, new shape: {arr.shape}")
        traffic.to_device("set", arr.nbytes)
        self._np[...] = arr

    def astype(self, dtype: Any, order: str = "K", casting: None = None, subok: None = None, copy: bool = True) -> Any:
        """A copy of another dtype; the array itself if `copy` is False and it has that dtype."""
        if casting is not None or subok is not None:
            raise NotImplementedError("astype: CuPy takes neither casting nor subok")
        return call("astype", np.ndarray.astype, self, dtype, order=order, copy=copy)

    def view(self, dtype: Any = None, type: None = None) -> "ndarray":
        """A view, of another dtype if given."""
        return call("view", np.ndarray.view, self, self.dtype if dtype is None else dtype)

    def __copy__(self) -> "ndarray":
        return self.copy()

    def __deepcopy__(self, memo: Any) -> "ndarray":
        return self.copy()

    # indexing

    def __getitem__(self, key: Any) -> "ndarray":
        plain = _index(key)
        result = do(lambda: self._np[plain], [self])
        if _is_new(result, [self]):
            cuda.machine.work.append("getitem")
        return result

    def __setitem__(self, key: Any, value: Any) -> None:
        if isinstance(value, list | tuple):
            raise unsupported("assignment to items", value)
        _same_device("assignment to items", [self, *([value] if isinstance(value, ndarray) else [])])
        plain, item = _index(key), unwrap("assignment to items", value, [])
        do(lambda: self._np.__setitem__(plain, item), [])
        cuda.machine.work.append("setitem")

    # operators follow below the class


def call(name: str, function: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    """Apply a function of NumPy to the arrays inside, and wrap what it returns; refuse arrays of the host."""
    arrays: list[ndarray] = []
    args = tuple([unwrap(name, a, arrays) for a in args])
    kwargs = {key: unwrap(name, a, arrays) for key, a in kwargs.items()}
    _same_device(name, arrays)
    result = do(lambda: function(*args, **kwargs), arrays)
    if name not in VIEWS or _is_new(result, arrays):
        cuda.machine.work.append(name)
    return result


def _is_new(result: Any, inputs: list[ndarray]) -> bool:
    """Whether a result has memory of its own, rather than being an input or a view of one."""
    made = result if isinstance(result, list | tuple) else [result]
    return any(isinstance(r, ndarray) and r._base is None and all(r is not a for a in inputs) for r in made)


def do(work: Callable[[], Any], inputs: list[ndarray]) -> Any:
    """Do work on NumPy arrays and wrap what it returns; under a capture, have it done at each launch too."""
    with np.errstate(all="ignore"):  # a device gives no floating-point warnings
        result = wrap(work(), inputs)
    capture = traffic.capture()
    if capture is not None:
        capture.record(work, arrays_in(result))
    return result


def arrays_in(result: Any) -> list[np.ndarray[Any, Any]]:
    """The NumPy arrays in a result, whether it is wrapped or not, in their order."""
    if isinstance(result, list | tuple):
        return [a for r in result for a in arrays_in(r)]
    if isinstance(result, ndarray):
        return [result._np]
    return [np.asarray(result)] if isinstance(result, np.ndarray | np.generic) else []


def unwrap(name: str, a: Any, arrays: list[ndarray]) -> Any:
    """The NumPy array inside `a`, also within sequences; those found are added to `arrays`."""
    if isinstance(a, ndarray):
        arrays.append(a)
        return a._inside()
    if type(a) in (list, tuple):
        return type(a)([unwrap(name, b, arrays) for b in a])
    if hasattr(a, "__array_ufunc__") and not isinstance(a, np.generic | type):
        raise unsupported(name, a)
    return a


def offered(a: Any) -> Any:
    """The device array that `a` gives where CuPy's ufuncs ask for one; `a` itself where it gives none."""
    if not hasattr(type(a), "__cupy_get_ndarray__"):
        return a
    given = a.__cupy_get_ndarray__()
    assert isinstance(given, ndarray), "CuPy takes what it is given for a device array, unseen, and crashes"
    return given


def wrap(result: Any, inputs: list[ndarray]) -> Any:
    """What NumPy returned, with its arrays and scalars on the device; a view knows which input it is a view of."""
    if isinstance(result, np.generic):
        result = np.asarray(result)
    if isinstance(result, np.ndarray):
        base = None
        for a in inputs:
            if result is a._np:
                return a
            if np.may_share_memory(result, a._np):
                base = a if a._base is None else a._base
        return ndarray.__new__(ndarray)._adopt(result, base)
    if isinstance(result, list | tuple):
        wrapped = [wrap(r, inputs) for r in result]
        return type(result)(*wrapped) if hasattr(result, "_fields") else type(result)(wrapped)
    return result


def unsupported(name: str, a: Any) -> TypeError:
    """The error for an operand that is not on the device."""
    return TypeError(f"Unsupported type {type(a)} in {name}: a device array goes with device arrays and scalars only")


def garbage(a: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """`a`, filled with what nobody should read: memory of a device is not zero. Of large arrays, the beginning."""
    some = a if a.nbytes < 2**20 else a.reshape(-1, order="A")[:1000]  # a workspace of 32 MiB is made for each product
    some.fill(np.nan if a.dtype.kind in "fc" else 1 if a.dtype.kind == "b" else np.iinfo(a.dtype).max)
    return a


def _same_device(name: str, arrays: list[ndarray]) -> None:
    for a in arrays:
        if a._device != current.device:
            raise ValueError(
                f"{name}: Array device must be same as the current device: array device = {a._device} while current = "
                f"{current.device}"
            )


def _index(key: Any) -> tuple[Any, ...]:
    """An index as NumPy takes it. The Ellipsis makes it give an array where it would give a scalar."""
    keys = key if isinstance(key, tuple) else (key,)
    plain = tuple([_index_part(k) for k in keys])
    return plain if any(k is Ellipsis for k in keys) else (*plain, Ellipsis)


def _index_part(k: Any) -> Any:
    if isinstance(k, ndarray):
        _same_device("index", [k])
        if k.dtype == bool:
            traffic.synchronise("an index of booleans")
        return k._np
    if isinstance(k, list):
        if any(isinstance(i, ndarray) for i in k):
            raise unsupported("an index", k)
        traffic.to_device("an index that is a list", np.asarray(k).nbytes)
    return unwrap("an index", k, [])


def _unpickled(a: np.ndarray[Any, Any]) -> ndarray:
    traffic.to_device("unpickling", a.nbytes)
    return wrap(a, [])


def _is_operand(other: Any) -> bool:
    return isinstance(other, ndarray | bool | int | float | complex | np.generic)


def _operator(name: str, function: Callable[[Any, Any], Any], *, swap: bool = False) -> Callable[[Any, Any], Any]:
    def method(self: ndarray, other: Any) -> Any:
        if not _is_operand(other):
            if _wants_it(other):
                return NotImplemented
            raise unsupported(name, other)
        if name == "matmul":
            traffic.product("matmul", [a.dtype for a in (self, other) if isinstance(a, ndarray)])
        return call(name, function, other, self) if swap else call(name, function, self, other)

    return method


def _in_place(name: str, function: Callable[[Any, Any], Any]) -> Callable[[Any, Any], Any]:
    def method(self: ndarray, other: Any) -> Any:
        other = offered(other)
        if not _is_operand(other):
            raise unsupported(name, other)
        return call(name, function, self, other)

    return method


def _unary(name: str, function: Callable[[Any], Any]) -> Callable[[Any], Any]:
    return lambda self: call(name, function, self)


def _wants_it(other: Any) -> bool:
    """Whether CuPy leaves an operator to the other operand (NEP 13), as it does to a Variable."""
    if hasattr(other, "__array_ufunc__"):
        return other.__array_ufunc__ is None
    return bool(getattr(other, "__array_priority__", 0) > ARRAY_PRIORITY)


def _method(name: str, parameters: str) -> Callable[..., Any]:
    function = getattr(np.ndarray, name)
    names = parameters.split()

    def method(self: ndarray, *args: Any, **kwargs: Any) -> Any:
        check_call(name, names, (self, *args), kwargs, own=1)
        return call(name, function, self, *args, **kwargs)

    return method


def check_call(
    name: str, parameters: list[str], args: tuple[Any, ...], kwargs: dict[str, Any], *, own: int = 0
) -> None:
    """Refuse arguments that CuPy's `name` does not have, and what it cannot do during a capture.

    The first `own` of `args` is the array that a method is called on.
    """
    given = args[own:]
    if len(given) > len(parameters) and not any(p.startswith("*") for p in parameters):
        raise TypeError(
            f"{name}() takes {len(parameters)} arguments in CuPy ({', '.join(parameters)}), got {len(given)}"
        )
    for key in kwargs:
        if key not in parameters and not any(p.startswith("**") for p in parameters):
            raise TypeError(f"{name}() got an unexpected keyword argument {key!r}; CuPy has ({', '.join(parameters)})")
    if name in PRODUCTS:
        traffic.product(name, [a.dtype for a in args if isinstance(a, ndarray)])
    if name in JOINING and isinstance(args[0], list | tuple) and len(args[0]) > 8:
        traffic.to_device(f"{name} of more than eight arrays, whose addresses it sends,", 8 * len(args[0]))
    if name == "repeat":
        repeats = kwargs.get("repeats", given[1 - own] if len(given) > 1 - own else 1)
        if isinstance(repeats, list | tuple) and len(repeats) > 1:
            traffic.to_device("repeat by a list", 8 * len(repeats))
        if isinstance(repeats, ndarray | list | tuple):
            traffic.synchronise("repeat by an array, whose sum is the size of the result,")
    if name in SYNCHRONISING or (name == "where" and len(given) + len(kwargs) == 1):
        traffic.synchronise(name)


ARITHMETIC = ["add", "sub", "mul", "truediv", "floordiv", "mod", "pow", "and_", "or_", "xor", "lshift", "rshift"]

for _name in [*ARITHMETIC, "matmul"]:
    _short, _function = _name.rstrip("_"), getattr(operator, _name)
    setattr(ndarray, f"__{_short}__", _operator(_name, _function))
    setattr(ndarray, f"__r{_short}__", _operator(_name, _function, swap=True))
for _name in ARITHMETIC:
    _short = _name.rstrip("_")
    setattr(ndarray, f"__i{_short}__", _in_place(_name, getattr(operator, f"i{_short}")))
for _name in ["lt", "le", "eq", "ne", "gt", "ge"]:
    setattr(ndarray, f"__{_name}__", _operator(_name, getattr(operator, _name)))
for _name in ["neg", "pos", "abs", "invert"]:
    setattr(ndarray, f"__{_name}__", _unary(_name, getattr(operator, _name)))
for _name, _parameters in METHODS.items():
    setattr(ndarray, _name, _method(_name, _parameters))
ndarray.__hash__ = None  # type: ignore[assignment]
