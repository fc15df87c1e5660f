"""`primitive`: an operation written once, as a function on arrays and one line of algebra per argument.

    @primitive
    def tanh(a):
        return xp_of(a).tanh(a)

    tanh.defvjp(lambda g, y, a: g * (1 - y * y))

A rule is given plain arrays in a first-order backward and Values under `create_graph=True`: the same line serves both.
"""

import inspect
from collections.abc import Callable, Sequence
from functools import partial, update_wrapper
from typing import Any, Protocol, TypeVar, cast, overload

import numpy as np

from minitorch.autograd.node import NO_PARAMS, Array, Gradients, Node, Parents, Value, recorded, wrap
from minitorch.config import Config
from minitorch.cuda import is_array, xp_of
from minitorch.errors import DeviceError, DTypeError, GraphError, MinitorchError, ShapeError

Rule = Callable[..., Any]
V = TypeVar("V", bound=Value)


class PrimitiveFunction(Protocol):
    """What `@primitive` returns: a plain function, so that a class can bind it as a method, with its `op`.

    It returns a Value where an argument is one, else a plain array.
    """

    op: "Primitive"
    defvjp: Callable[..., None]
    defvjp_each: Callable[[Rule], None]
    __name__: str

    @overload
    def __call__(self, a: V, *args: Any, **params: Any) -> V: ...

    @overload
    def __call__(self, *args: Any, **params: Any) -> Any: ...


class Primitive:
    """An operation on any number of arrays together with its rules, one for each leading positional argument."""

    def __init__(self, name: str, forward: Callable[..., Array]) -> None:
        self.name = name
        self.forward = forward
        self.vjps: Sequence[Rule | None] = ()

    def bind(self) -> Callable[..., Any]:
        """The function that people call: it applies the forward to arrays, and records it where Values are given."""

        def apply(*args: Any, **params: Any) -> Any:
            box = x = None
            raw = []
            nodes = []
            for a in args:
                if isinstance(a, Value):
                    box = a.box
                    x = a.data
                    raw.append(x)
                    nodes.append(a.node)
                else:
                    raw.append(a)
                    nodes.append(None)
            if box is not None:  # then NumPy's scalars are weak, as Python's are
                raw = [a.item() if isinstance(a, np.generic) else a for a in raw]
            try:
                y, kept = self.run(raw, params)
                if x is not None and y.dtype is not x.dtype and widened_by_integers(y, raw):
                    raw = without_integers(raw)
                    y, kept = self.run(raw, params)
            except (ValueError, TypeError) as error:
                raise self.failure(error, raw) from error
            if box is None:
                return y
            y = as_array(y)
            parents = self.parents(nodes) if Config.enable_backprop else ()
            return recorded(box, self, raw, kept, y, parents) if any(parents) else wrap(box, y, None)

        return apply

    def run(self, args: Sequence[Any], params: dict[str, Any]) -> tuple[Array, dict[str, Any]]:
        """Compute the output; returns it and the parameters to keep for the rules."""
        return self.forward(*args, **params), params

    def parents(self, nodes: Sequence[Node | None]) -> Parents:
        """For each argument its node; None where it has no rule, or wants no gradient."""
        return tuple([None if rule is None else p for rule, p in zip(self.vjps, nodes, strict=False)])

    def pullback(self, g: Any, y: Any, args: Any, params: dict[str, Any], parents: Parents) -> Gradients:
        """Call the rule of each argument whose gradient is wanted, and undo broadcasting and promotion."""
        return [
            (p, fit(rule(g, y, *args, **params), a))
            for rule, p, a in zip(self.vjps, parents, args, strict=False)
            if p is not None and rule is not None
        ]

    def failure(self, error: Exception, args: Sequence[Any]) -> Exception:
        """The error to raise when the forward failed with `error`: it names the operation and what it was given."""
        if isinstance(error, MinitorchError):
            raise error
        given = ", ".join(describe(a) for a in args)
        if len({xp_of(a) for a in args if is_array(a)}) > 1:
            places = ", ".join(
                f"{describe(a)} on the {'host' if xp_of(a) is np else 'GPU'}" for a in args if is_array(a)
            )
            return DeviceError(
                f"{self.name}: arrays on different devices: {places}; move the model and the batch to one device, with "
                "to_gpu() and to_cpu() or a DevicePlacement callback"
            )
        kind = ShapeError if isinstance(error, ValueError) else DTypeError
        remedy = ""
        if "broadcast" in str(error):
            remedy = "; aligned from the right, sizes must be equal or 1: use reshape or expand_dims"
        return kind(f"{self.name}: {error}; got {given}{remedy}")


class Unary(Primitive):
    """A primitive of one array and nothing else: the same as `Primitive`, at less cost."""

    def bind(self) -> Callable[..., Any]:
        """The function that people call."""
        forward = self.forward

        def apply(a: Any) -> Any:
            if not isinstance(a, Value):
                return forward(a)
            x = a.data
            try:
                y = forward(x)
            except (ValueError, TypeError) as error:
                raise self.failure(error, (x,)) from error
            if type(y) is not type(x):
                y = as_array(y)
            n = a.node
            if n is None or not Config.enable_backprop:
                return wrap(a.box, y, None)
            return recorded(a.box, self, (x,), NO_PARAMS, y, (n,))

        return apply

    def pullback(self, g: Any, y: Any, args: Any, params: dict[str, Any], parents: Parents) -> Gradients:
        """Call the rule; it gives the shape and dtype of its argument."""
        return ((parents[0], self.vjps[0](g, y, args[0])),)  # type: ignore[misc, return-value]


class Binary(Primitive):
    """A primitive of two arrays and nothing else: the same as `Primitive`, at less cost."""

    def bind(self) -> Callable[..., Any]:
        """The function that people call."""
        forward = self.forward

        def apply(a: Any, b: Any) -> Any:
            n = m = None
            if isinstance(a, Value):
                box = a.box
                n = a.node
                x = a = a.data
                if isinstance(b, Value):
                    m = b.node
                    b = b.data
                elif isinstance(b, np.generic):
                    b = b.item()
            elif isinstance(b, Value):
                box = b.box
                m = b.node
                x = b = b.data
                if isinstance(a, np.generic):
                    a = a.item()
            else:
                return forward(a, b)
            try:
                y = forward(a, b)
                if y.dtype is not x.dtype and widened_by_integers(y, (a, b)):
                    a, b = without_integers((a, b))
                    y = forward(a, b)
            except (ValueError, TypeError) as error:
                raise self.failure(error, (a, b)) from error
            if type(y) is not type(x):
                y = as_array(y)
            if (n is None and m is None) or not Config.enable_backprop:
                return wrap(box, y, None)
            return recorded(box, self, (a, b), NO_PARAMS, y, (n, m))

        return apply

    def pullback(self, g: Any, y: Any, args: Any, params: dict[str, Any], parents: Parents) -> Gradients:
        """Call the rules whose gradient is wanted, and undo broadcasting and promotion."""
        a, b = args
        p, q = parents
        rule_a, rule_b = self.vjps
        if q is None:
            return ((p, fit(rule_a(g, y, a, b), a)),)  # type: ignore[misc, return-value]
        if p is not None and a.shape == b.shape and a.dtype is b.dtype:  # so nothing is to be undone
            return (p, rule_a(g, y, a, b)), (q, rule_b(g, y, a, b))  # type: ignore[misc]
        return super().pullback(g, y, args, params, parents)


class _Each(Sequence[Rule]):
    """The rules of an operation that takes any number of arrays: one rule that is told the argument's position."""

    def __init__(self, rule: Rule) -> None:
        self.rule = rule

    def __getitem__(self, i: Any) -> Any:
        return partial(self.rule, i)

    def __len__(self) -> int:
        return 2**31


def widened_by_integers(y: Any, args: Sequence[Any]) -> bool:
    """Whether `y` has a wider float type than the floats among `args`, for integers among them, as NumPy would have it.

    float32 and int64 make float64 in NumPy; here integers count as Python's do, and float32 stays float32.
    """
    dtypes = [a.dtype for a in args if hasattr(a, "dtype")]
    floats = [dtype for dtype in dtypes if dtype.kind == "f"]
    if not floats or y.dtype.kind != "f" or len(floats) == len(dtypes):
        return False
    return bool(np.result_type(*floats) != y.dtype == np.result_type(*dtypes))


def without_integers(args: Sequence[Any]) -> list[Any]:
    """`args` with arrays of integers converted to the float type of the others."""
    dtype = np.result_type(*[a.dtype for a in args if hasattr(a, "dtype") and a.dtype.kind == "f"])
    return [a.astype(dtype) if hasattr(a, "dtype") and a.dtype.kind in "iu" else a for a in args]


def describe(a: Any) -> str:
    """An argument in an error message: `float32(32, 784)` for an array, else its repr."""
    a = a.data if isinstance(a, Value) else a
    return f"{a.dtype}{tuple(a.shape)}" if hasattr(a, "dtype") and hasattr(a, "shape") else repr(a)


def fit(r: Any, a: Any) -> Any:
    """The gradient `r` brought to the shape and the floating dtype of the argument `a`: broadcasting undone."""
    shape = a.shape
    if r.shape != shape:
        r = sum_to_shape(r, shape)
    if r.dtype is not a.dtype and r.dtype != a.dtype and a.dtype.kind == "f":
        r = r.astype(a.dtype)
    return r


def sum_to_shape(r: Any, shape: tuple[int, ...]) -> Any:
    """Sum `r` over the axes that broadcasting `shape` to `r.shape` added or stretched."""
    lead = r.ndim - len(shape)
    axes = tuple(range(lead)) + tuple(i + lead for i, n in enumerate(shape) if n == 1 and r.shape[i + lead] != 1)
    return r.sum(axis=axes, keepdims=True).reshape(shape) if axes else r.reshape(shape)


def primitive(forward: Callable[..., Array]) -> PrimitiveFunction:
    """Make a differentiable operation of `forward`, a function on plain NumPy or CuPy arrays alike."""
    takes = inspect.signature(forward).parameters.values()
    plain = all(p.default is p.empty and p.kind is p.POSITIONAL_OR_KEYWORD for p in takes)
    kind = {1: Unary, 2: Binary}.get(len(takes), Primitive) if plain else Primitive
    op = kind(forward.__name__.rstrip("_"), forward)
    op.vjps = (partial(_no_rule, op.name),) * len(takes)
    apply = _published(op)

    def defvjp(*rules: Rule | None) -> None:
        """Give the rule `(g, y, *args, **params) -> gradient` of each argument in turn; None: not differentiable."""
        assert kind is Primitive or (len(rules) == len(takes) and None not in rules), op.name
        op.vjps = rules

    def defvjp_each(rule: Rule) -> None:
        """Give one rule `(i, g, y, *args, **params) -> gradient of argument i` for an operation on any number."""
        op.vjps = _Each(rule)

    apply.defvjp = defvjp
    apply.defvjp_each = defvjp_each
    return apply


def _no_rule(name: str, *args: Any, **params: Any) -> Any:
    raise GraphError(f"{name}: there is no rule for its gradient; give one for each argument with {name}.defvjp(...)")


def untracked(forward: Callable[..., Array]) -> PrimitiveFunction:
    """Make an operation without a derivative: given Values it returns a Value that no gradient passes through."""
    return _published(Primitive(forward.__name__.rstrip("_"), forward))


def _published(op: Primitive) -> PrimitiveFunction:
    apply = cast(PrimitiveFunction, update_wrapper(op.bind(), op.forward))
    apply.op = op
    return apply


def as_array(y: Any) -> Any:
    """`y`, with the scalar that NumPy makes of a 0-d result turned back into a 0-d array."""
    return np.asarray(y) if isinstance(y, np.generic) else y
