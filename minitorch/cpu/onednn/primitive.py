"""Layouts of memory and primitives of oneDNN: described once, kept by what describes them, run on NumPy arrays.

A primitive is described by the arguments of its C function `dnnl_NAME_primitive_desc_create` in their order, without
the engine and the attributes, and run on arrays that are named by what they are to it:

    rows = plain((1024, 512))
    forward = primitive("eltwise_forward", FORWARD_TRAINING, GELU_ERF, rows, rows, 0.0, 0.0)
    forward.run({SRC: x, DST: y})

Several threads may run one primitive at once, each on arrays of its own.
"""

import ctypes
import threading
from collections.abc import Iterable, Mapping
from ctypes import byref, c_char_p, c_float, c_int, c_int64, c_void_p
from functools import cache, lru_cache
from typing import Any

import numpy as np

from minitorch.cpu.onednn.library import (
    UNIMPLEMENTED,
    Object,
    check,
    created,
    engine,
    find,
    making,
    on_one_thread,
    stream,
)  # fmt: skip
from minitorch.cpu.scratch import scratch

Array = np.ndarray[Any, Any]
Shape = tuple[int, ...]
Steps = tuple[tuple[Any, ...], ...]

FLOAT32, ANY = 3, 1  # dnnl_f32, dnnl_format_tag_any
IMPLEMENTATION, LAYOUT = 8, 255  # dnnl_query_impl_info_str, dnnl_query_exec_arg_md
USER = 1  # dnnl_scratchpad_mode_user
# What an array is to a primitive: DNNL_ARG_... of the same name.
SRC, SRC_1, DST, WEIGHTS, BIAS, WORKSPACE, SCRATCHPAD = 1, 2, 17, 33, 41, 64, 80
DIFF_SRC, DIFF_DST, DIFF_WEIGHTS, DIFF_BIAS = 129, 145, 161, 169
MEAN, VARIANCE, SCALE, SHIFT, DIFF_SCALE, DIFF_SHIFT = 49, 50, 51, 52, 255, 256
# Of dnnl_prop_kind_t.
FORWARD_TRAINING, FORWARD_INFERENCE, BACKWARD = 64, 96, 128


def after(i: int) -> int:
    """What an array is that step `i` after the primitive itself reads, counted from 0."""
    return 32768 * (i + 1) | SRC_1  # DNNL_ARG_ATTR_MULTIPLE_POST_OP


class Layout(Object):
    """How an array lies in memory: a memory descriptor.

    Attributes:
        size: of the memory, in bytes.
    """

    def __init__(self, creator: str, *arguments: Any) -> None:
        super().__init__("memory_desc", created(f"dnnl_memory_desc_{creator}", *arguments))
        self.size: int = find().library.dnnl_memory_desc_get_size(self.pointer)

    def same(self, other: "Layout") -> bool:
        """Whether an array that lies like this also lies like `other`."""
        return bool(find().library.dnnl_memory_desc_equal(self.pointer, other.pointer))


@lru_cache(maxsize=1024)
def plain(shape: Shape, strides: Shape | None = None) -> Layout:
    """The layout of a float32 array of this shape: in C order, or with these strides, counted in elements."""
    if strides is None:
        strides = tuple(int(np.prod(shape[i + 1 :])) for i in range(len(shape)))
    return Layout("create_with_strides", len(shape), _integers(shape), FLOAT32, _integers(strides))


def layout_of(array: Array) -> Layout:
    """The layout of this array of float32, which may be a view."""
    if array.flags.c_contiguous:
        return plain(array.shape)
    return plain(array.shape, tuple([s // array.itemsize for s in array.strides]))


@lru_cache(maxsize=1024)
def chosen(shape: Shape) -> Layout:
    """A float32 array of this shape, in the layout that a primitive chooses: `Primitive.layout` says which it is."""
    return Layout("create_with_tag", len(shape), _integers(shape), FLOAT32, ANY)


class Primitive:
    """Something that oneDNN computes, for arrays of fixed shapes and layouts. Made by `primitive` and `reorder`.

    Attributes:
        description: its primitive descriptor, which that of a gradient asks for.
        implementation: the name of the kernel, such as "jit:avx512_core"; most that begin with "ref" are slow.
    """

    def __init__(self, description: Object, name: str) -> None:
        self.description, self._name = description, name
        self._layouts: dict[int, Layout] = {}
        self._here = _Here()
        self._primitive = Object("primitive", created("dnnl_primitive_create", description.pointer))
        said = c_char_p()
        check(find().library.dnnl_primitive_desc_query(description.pointer, IMPLEMENTATION, 0, byref(said)), name)
        self.implementation = (said.value or b"").decode()

    def layout(self, what: int) -> Layout:
        """How the array that is `what` to this primitive has to lie: `layout(WEIGHTS)`."""
        if what not in self._layouts:
            found = find().library.dnnl_primitive_desc_query_md(self.description.pointer, LAYOUT, what)
            self._layouts[what] = Layout("clone", found)
        return self._layouts[what]

    def run(self, arrays: Mapping[int, Array]) -> None:
        """Compute, reading from some of the arrays and writing to the others.

        Args:
            arrays: by what they are, `{SRC: x, DST: y}`; each begins where its layout does, and takes as many bytes.

        Raises:
            DeviceError: oneDNN reports an error.
        """
        what, calls = tuple(arrays), self._here.calls
        call = calls.get(what)
        if call is None:
            call = calls[what] = _Call(self, what)
        call.read_and_write(arrays.values())
        with on_one_thread:  # where there are no other threads, what is executed is done when the call returns
            check(call.execute(self._primitive.pointer, stream(), *call.arguments), self._name)


class _Here(threading.local):
    """The calls of one primitive in this thread, by what their arrays are."""

    def __init__(self) -> None:
        self.calls: dict[tuple[int, ...], _Call] = {}


class _Call:
    """The arguments of a primitive in one thread: memories, which point to other arrays at each call."""

    def __init__(self, primitive: Primitive, what: tuple[int, ...]) -> None:
        self.space = primitive.layout(SCRATCHPAD).size
        if self.space:
            what = (*what, SCRATCHPAD)
        layouts = [primitive.layout(each) for each in what]
        self.sizes = [layout.size for layout in layouts]
        self.memories = [
            Object("memory", created("dnnl_memory_create", layout.pointer, engine(), None)) for layout in layouts
        ]
        pairs: list[Any] = [(each, memory.pointer) for each, memory in zip(what, self.memories, strict=True)]
        self.arguments = len(what), _array_type(Argument, len(what))(*pairs)
        library = find().library
        self.point, self.execute = library.dnnl_memory_set_data_handle, library.dnnl_primitive_execute

    def read_and_write(self, arrays: Iterable[Array]) -> None:
        """Let the memories point to these arrays, and to space to work in."""
        if self.space:
            arrays = (*arrays, scratch("onednn", (self.space,), np.dtype(np.uint8)))
        for memory, size, array in zip(self.memories, self.sizes, arrays, strict=True):
            assert _extent(array) == size, (array.shape, array.strides, size)
            check(self.point(memory.pointer, address(array)), "dnnl_memory_set_data_handle")


def address(array: Any) -> int:
    """Of the first element; `array.ctypes.data` takes three times as long."""
    if array.flags.carray:
        return ctypes.addressof(ctypes.c_char.from_buffer(array))
    return int(array.ctypes.data)


def _extent(array: Array) -> int:
    """The bytes that oneDNN counts for an array; for a view, to the end of its longest axis."""
    if array.flags.c_contiguous:
        return array.nbytes
    assert min(array.strides) > 0
    return int(max(n * s for n, s in zip(array.shape, array.strides, strict=True)))


class Argument(ctypes.Structure):
    """`dnnl_exec_arg_t`."""

    _fields_ = (("what", c_int), ("memory", c_void_p))


@lru_cache(maxsize=1024)
def primitive(name: str, *arguments: Any, forward: Primitive | None = None, steps: Steps = ()) -> Primitive | None:
    """The primitive of a description; one that was described before is given out again.

    Args:
        name: what it computes, "eltwise_forward" of `dnnl_eltwise_forward_primitive_desc_create`.
        arguments: of that function, between the engine and the attributes: layouts, None for one that is not there,
            ints for enumerations and flags, floats, and tuples for dimensions.
        forward: the primitive whose gradient this is, for those functions that ask for it.
        steps: what is done to the result in the same pass: of each the name, "eltwise" of
            `dnnl_post_ops_append_eltwise`, and the arguments of that function.

    Returns:
        The primitive, or None where oneDNN has none for these arguments.
    """
    hint = () if forward is None else (c_void_p(forward.description.pointer),)
    values = (c_void_p(engine()), *map(_as_c, arguments), *hint)
    return _made(name, *values, steps=steps)


@lru_cache(maxsize=1024)
def reorder(source: Layout, target: Layout) -> Primitive:
    """What copies an array that lies like `source` (SRC) to one that lies like `target` (DST)."""
    values = (_as_c(source), c_void_p(engine()), _as_c(target), c_void_p(engine()))
    made = _made("reorder", *values)
    assert made is not None  # there is one for all pairs of layouts of one shape
    return made


def _made(name: str, *values: Any, steps: Steps = ()) -> Primitive | None:
    function, pointer = f"dnnl_{name}_primitive_desc_create", c_void_p()
    with making, on_one_thread:  # a primitive is made for as many threads as there are now
        status = getattr(find().library, function)(byref(pointer), *values, c_void_p(_attributes(steps).pointer))
        if status == UNIMPLEMENTED:
            return None
        check(status, function)
        return Primitive(Object("primitive_desc", pointer.value), name)


@lru_cache(maxsize=64)
def _attributes(steps: Steps) -> Object:
    """Those of a primitive with these steps; what it needs of memory to work in is given by the caller."""
    library = find().library
    attributes = Object("primitive_attr", created("dnnl_primitive_attr_create"))
    status = library.dnnl_primitive_attr_set_scratchpad_mode(attributes.pointer, USER)
    check(status, "dnnl_primitive_attr_set_scratchpad_mode")
    if steps:
        post_ops = Object("post_ops", created("dnnl_post_ops_create"))
        for name, *arguments in steps:
            function = f"dnnl_post_ops_append_{name}"
            check(getattr(library, function)(c_void_p(post_ops.pointer), *map(_as_c, arguments)), function)
        status = library.dnnl_primitive_attr_set_post_ops(attributes.pointer, post_ops.pointer)
        check(status, "dnnl_primitive_attr_set_post_ops")
    return attributes


def _integers(numbers: Shape) -> Any:
    return _array_type(c_int64, len(numbers))(*numbers)


@cache
def _array_type(kind: Any, length: int) -> Any:
    """The type of so many of a kind: kept, since a type that nobody keeps is left to the garbage collector."""
    return kind * length


def _as_c(value: Any) -> Any:
    """An argument of a description as C has it."""
    if isinstance(value, Layout):
        return c_void_p(value.pointer)
    if isinstance(value, tuple):
        return _integers(value)
    return c_float(value) if isinstance(value, float) else value
