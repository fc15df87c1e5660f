"""`Variable`: an array that remembers how it was computed, with the operators of Python bound to the primitives."""

from collections.abc import Iterator
from typing import Any

import numpy as np

from minitorch.autograd import backward as walk
from minitorch.autograd.node import Array, Node, Value, leaf
from minitorch.autograd.primitive import describe
from minitorch.cuda import as_cupy, as_numpy, is_array, sync_allowed
from minitorch.errors import DTypeError, GraphError, ShapeError
from minitorch.foreign import VARIABLE_ATTRIBUTES, tells_attributes
from minitorch.ops import beside_arrays, elementwise, linalg, reduce, shape


@tells_attributes(VARIABLE_ATTRIBUTES)
class Variable(Value):
    """An array with a gradient: what is computed from it is recorded, and `backward` goes back through the record.

    Args:
        data: a NumPy or CuPy array, or a Python number (made a 0-d array, float32 of a float).
        name: a name for drawings and messages.
        requires_grad: whether gradients gather here. A constant (False) never gets one.

    Raises:
        DTypeError: `data` is anything else, or an array of strings or objects.
    """

    __slots__ = ("_name",)
    __array_ufunc__ = beside_arrays.ArrayUfunc()  # so that `array * variable` asks the Variable

    def __init__(self, data: Any, name: str | None = None, requires_grad: bool = True) -> None:
        self.data = _checked(data)
        self.node: Node | None = leaf() if requires_grad else None
        self.name = name

    # ---- what it holds

    @property
    def shape(self) -> tuple[int, ...]:
        """The size of each axis."""
        return self._array().shape  # type: ignore[no-any-return]

    @property
    def ndim(self) -> int:
        """The number of axes."""
        return self._array().ndim  # type: ignore[no-any-return]

    @property
    def size(self) -> int:
        """The number of elements."""
        return self._array().size  # type: ignore[no-any-return]

    @property
    def dtype(self) -> Any:
        """The type of the elements."""
        return self._array().dtype

    @property
    def name(self) -> str | None:
        """The name in drawings and messages."""
        return getattr(self, "_name", None)

    @name.setter
    def name(self, name: str | None) -> None:
        self._name = name
        if self.node is not None:
            self.node.name = name

    @property
    def requires_grad(self) -> bool:
        """Whether gradients reach this Variable; may be set on one that no operation made."""
        return self.node is not None

    @requires_grad.setter
    def requires_grad(self, wanted: bool) -> None:
        if wanted == self.requires_grad:
            return
        if self.node is not None and self.node.op is not None:
            raise GraphError(
                f"requires_grad: this Variable was computed by {self.node.op.name}; only a leaf can be made a "
                "constant: use Variable(y.data, requires_grad=False), or pass the array y.data itself"
            )
        self.node = leaf() if wanted else None
        self.name = self.name

    @property
    def grad(self) -> Any:
        """The gradient, a Variable (its array is `grad.data`), or None where there is none (yet)."""
        return None if self.node is None else self.node.grad

    @grad.setter
    def grad(self, grad: "Variable | None") -> None:
        if grad is not None and not isinstance(grad, Variable):
            raise DTypeError(
                f"grad: got {type(grad).__name__}; a gradient is a Variable: wrap the array in Variable(...)"
            )
        if self.node is None:
            if grad is None:
                return
            raise GraphError("grad: this Variable is a constant; set requires_grad = True first")
        if grad is not None and self.data is not None and grad.shape != self.data.shape:
            raise ShapeError(
                f"grad: got {describe(grad)} for {describe(self)}; a gradient has the shape of its Variable"
            )
        self.node.grad = grad

    def __len__(self) -> int:
        return len(self._array())

    def __repr__(self) -> str:
        if self.data is None:
            return "variable(None)"
        body = str(as_numpy(self.data)).replace("\n", "\n" + " " * 9)
        return f"variable({body})"

    def _array(self) -> Any:
        if self.data is None:
            raise GraphError(
                f"Variable {self.name or ''} holds no array yet: a lazily sized layer gets its weights at its first "
                "call"
            )
        return self.data

    # ---- gradients

    def backward(self, retain_grad: bool = False, create_graph: bool = False) -> None:
        """Add the gradient of this Variable to the `grad` of every leaf that it depends on.

        Starts from `self.grad` if it was set, else from ones. The graph is freed on the way, unless it is kept.

        Args:
            retain_grad: keep gradients on all Variables in between too, and keep the graph.
            create_graph: record the backward itself, for gradients of gradients; keeps the graph. A leaf and its
                gradient then hold each other, until `cleargrad`; what is not cleared is left to the garbage collector.

        Raises:
            GraphError: it is a constant, or the graph was freed by an earlier backward.
        """
        walk.backward(self, retain_grad=retain_grad, create_graph=create_graph)

    def cleargrad(self) -> None:
        """Forget the gradient."""
        if self.node is not None:
            self.node.grad = None

    def unchain(self) -> None:
        """Forget how this Variable was computed: it is a leaf from now on, and gradients go no further back."""
        if self.node is not None:
            self.node.cut()

    def unchain_backward(self) -> None:
        """Cut the graph behind this Variable, so that a later backward stops here (truncated BPTT)."""
        walk.unchain(self)

    # ---- devices

    def to_cpu(self) -> None:
        """Move the array, and the gradient if there is one, to the host."""
        self._move(as_numpy)

    def to_gpu(self) -> None:
        """Move the array, and the gradient if there is one, to the current GPU."""
        self._move(as_cupy)

    def _move(self, move: Any) -> None:
        if self.data is not None:
            self.data = move(self.data)
        if self.grad is not None:
            self.grad.data = move(self.grad.data)

    # ---- operators

    __add__ = elementwise.add
    __mul__ = elementwise.mul
    __sub__ = elementwise.sub
    __truediv__ = elementwise.div
    __neg__ = elementwise.neg
    __pow__ = elementwise.pow_
    __matmul__ = linalg.matmul
    __abs__ = elementwise.abs_
    __eq__ = elementwise.equal
    __ne__ = elementwise.not_equal
    __lt__ = elementwise.less
    __le__ = elementwise.less_equal
    __gt__ = elementwise.greater
    __ge__ = elementwise.greater_equal
    __hash__ = object.__hash__

    def __radd__(self, other: Any) -> Any:
        return elementwise.add(other, self)

    def __rmul__(self, other: Any) -> Any:
        return elementwise.mul(other, self)

    def __rsub__(self, other: Any) -> Any:
        return elementwise.sub(other, self)

    def __rtruediv__(self, other: Any) -> Any:
        return elementwise.div(other, self)

    def __rpow__(self, other: Any) -> Any:
        return elementwise.pow_(other, self)

    def __rmatmul__(self, other: Any) -> Any:
        return linalg.matmul(other, self)

    def __getitem__(self, index: Any) -> "Variable":
        return shape.getitem(self, index=_plain_index(index))

    def __iter__(self) -> Iterator["Variable"]:
        return (self[i] for i in range(len(self)))

    def __bool__(self) -> bool:
        return bool(self.data)

    def __float__(self) -> float:
        return float(self._only())

    def __int__(self) -> int:
        return int(self._only())

    def item(self) -> float | int | bool:
        """The only element as a Python number. On a GPU this waits for the device."""
        return self._only().item()  # type: ignore[no-any-return]

    def _only(self) -> Any:
        if self.size != 1:
            raise DTypeError(
                f"a Variable of shape {self.shape} is not one number; take sum(), mean() or an element first"
            )
        return self.data.reshape(())

    def __array__(self, *args: Any, **kwargs: Any) -> Any:
        raise DTypeError(
            "a Variable is not converted to an array behind your back: use v.data, or minitorch.as_numpy(v) for a copy "
            "on the host"
        )

    def __cupy_get_ndarray__(self) -> Any:
        """What CuPy takes for a Variable in `array -= variable`: the array of a constant."""
        return beside_arrays.operand_in_place(self, on_host=False)

    # ---- methods

    def reshape(self, *shape_: Any) -> "Variable":
        """The same elements in another shape; one size may be -1."""
        return shape.reshape(self, shape=_one_tuple(shape_))

    def transpose(self, *axes: Any) -> "Variable":
        """The axes in another order, reversed by default."""
        return shape.transpose(self, axes=_one_tuple(axes) if axes and axes[0] is not None else None)

    @property
    def T(self) -> "Variable":  # noqa: N802  # NumPy's name
        """The axes reversed."""
        return shape.transpose(self)

    def sum(self, axis: reduce.Axis = None, keepdims: bool = False) -> "Variable":
        """The sum over `axis`, of all elements by default."""
        return reduce.sum_(self, axis=axis, keepdims=keepdims)

    def mean(self, axis: reduce.Axis = None, keepdims: bool = False) -> "Variable":
        """The mean over `axis`, of all elements by default."""
        return reduce.mean(self, axis=axis, keepdims=keepdims)

    def max(self, axis: reduce.Axis = None, keepdims: bool = False) -> "Variable":
        """The largest over `axis`; the gradient is shared where several are."""
        return reduce.max_(self, axis=axis, keepdims=keepdims)

    def min(self, axis: reduce.Axis = None, keepdims: bool = False) -> "Variable":
        """The smallest over `axis`; the gradient is shared where several are."""
        return reduce.min_(self, axis=axis, keepdims=keepdims)

    def matmul(self, other: Any) -> "Variable":
        """The matrix product `self @ other`."""
        return linalg.matmul(self, other)

    def dot(self, other: Any) -> "Variable":
        """The matrix product `self @ other`."""
        return linalg.matmul(self, other)

    def astype(self, dtype: Any) -> "Variable":
        """The elements converted to `dtype`."""
        return elementwise.cast(self, dtype=dtype)


Value.box = Variable  # operations return Variables


class Parameter(Variable):
    """A Variable to be trained: layers find their Parameters, optimizers update them.

    Args:
        data: as of a Variable; None for one that is sized later.
        name: its name within its layer.
        requires_grad: False for what is kept with the weights but not trained, such as running averages.
        shape: where `data` is None, the shape it is to get, None for each size that is not known yet.
        dtype: where `data` is None, the dtype it is to get.

    Attributes:
        trainable: what `requires_grad` was when it was made: True also while it is frozen.
    """

    __slots__ = ("_dtype", "_on_gpu", "_shape", "trainable")

    def __init__(
        self,
        data: Any,
        name: str | None = None,
        requires_grad: bool = True,
        *,
        shape: tuple[int | None, ...] = (),
        dtype: Any = np.float32,
    ) -> None:
        super().__init__(data, name, requires_grad)
        self.trainable = requires_grad
        self._shape = shape
        self._dtype = np.dtype(dtype)
        self._on_gpu = False

    @property
    def wanted_shape(self) -> tuple[int | None, ...]:
        """The shape; None for each size that is not known yet."""
        return self._shape if self.data is None else self.shape

    @property
    def wanted_dtype(self) -> Any:
        """The dtype, also before there is an array."""
        return self._dtype if self.data is None else self.dtype

    @property
    def on_gpu(self) -> bool:
        """Whether its array is on a GPU, or will be once there is one."""
        return self._on_gpu if self.data is None else not isinstance(self.data, np.ndarray)

    def accepts(self, shape: tuple[int, ...]) -> bool:
        """Whether an array of `shape` may be assigned."""
        wanted = self.wanted_shape
        return len(shape) == len(wanted) and all(w is None or w == n for w, n in zip(wanted, shape, strict=True))

    def assign(self, value: Array) -> None:
        """Copy `value` in, converted to this dtype and moved to this device."""
        with sync_allowed():
            if self.data is None:
                self.data = self.place(as_numpy(value).astype(self.wanted_dtype))
            else:
                self.data[...] = self.place(value)

    def place(self, value: Array) -> Array:
        """`value` on the device of this Parameter, copied only if it is on another."""
        return as_cupy(value) if self.on_gpu else as_numpy(value)

    def _move(self, move: Any) -> None:
        self._on_gpu = move is as_cupy
        super()._move(move)


def as_variable(x: Any) -> Variable:
    """`x` itself if it is a Variable, else a constant Variable of that array or number."""
    return x if isinstance(x, Variable) else Variable(x, requires_grad=False)


def _checked(data: Any) -> Any:
    if data is None:
        return data
    if is_array(data):
        if data.dtype.kind in "OUS":
            raise DTypeError(
                f"Variable: got {describe(data)}, an array of no numbers: convert it first, for instance with "
                "x.astype(np.float32)"
            )
        return data
    if isinstance(data, np.generic):
        return np.asarray(data)
    if isinstance(data, bool | int):
        return np.asarray(data)
    if isinstance(data, float):
        return np.asarray(data, np.float32)
    raise DTypeError(
        f"Variable: got {type(data).__name__}; data is a NumPy or CuPy array or a number: "
        "convert it first, for instance with np.array(x)"
    )


def _plain_index(index: Any) -> Any:
    """An index with the arrays taken out of Variables."""
    if isinstance(index, tuple):
        return tuple([i.data if isinstance(i, Value) else i for i in index])
    return index.data if isinstance(index, Value) else index


def _one_tuple(sizes: tuple[Any, ...]) -> tuple[int, ...]:
    """`(2, 3)` of both `f(2, 3)` and `f((2, 3))`."""
    return tuple(sizes[0]) if len(sizes) == 1 and isinstance(sizes[0], tuple | list) else sizes
