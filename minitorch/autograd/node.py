"""What the tape is made of: `Value`, an array that may have a history, and `Node`, one step of that history.

A node holds arrays and its parent nodes, never a Value, so that no reference cycle keeps memory alive: when the last
Value of a graph goes, the whole graph goes with it, at once.
"""

from collections.abc import Iterable
from typing import Any, ClassVar, Protocol

Array = Any  # a NumPy or CuPy array


class Op(Protocol):
    """What the backward walk needs of an operation."""

    @property
    def name(self) -> str:
        """What it is called in messages and drawings."""

    def pullback(self, g: Any, y: Any, args: Any, params: dict[str, Any], parents: "Parents") -> "Gradients":
        """The gradient for each argument that has a parent, beside that parent, given `g` for the output `y`."""


class Node:
    """One application of an operation, or (with `op` None) a leaf on which gradients gather.

    Attributes:
        op: the operation that was applied; None for a leaf.
        args: what it was applied to, as plain arrays; None once freed.
        params: its keyword arguments; None once freed.
        y: the array it gave, or the tuple of arrays that a Function gave; None once freed.
        parents: for each argument the node it came from, or None where no gradient is wanted.
        grad: the gradient as a Value, on leaves and where it is retained.
        name: the name of its Variable, for drawings.
    """

    __slots__ = ("__weakref__", "args", "grad", "name", "op", "params", "parents", "y")

    op: Op | None
    args: Any
    params: Any
    y: Array
    parents: "Parents"
    grad: Any
    name: str | None

    def cut(self) -> None:
        """Forget how this was made: from now on it is a leaf."""
        self.op = self.args = self.params = self.y = None
        self.parents = ()


Parents = tuple[Node | None, ...]
NO_PARAMS: dict[str, Any] = {}
Gradients = Iterable[tuple[Node, Any]]


_new: Any = object.__new__


def leaf() -> Node:
    """A node on which gradients gather."""
    return recorded(Value, None, (), None, None, ()).node  # type: ignore[no-any-return]


class Value:
    """An array and the node it came from; the base class of `Variable`, without its operators.

    Attributes:
        data: the array.
        node: how it was made; None for a constant, which no gradient ever reaches.
        box: the class of what operations on this class return.
    """

    __slots__ = ("__weakref__", "data", "node")

    box: ClassVar[type["Value"]]
    data: Array
    node: Node | None


Value.box = Value


def wrap(cls: type[Value], data: Array, node: Node | None) -> Any:
    """A `cls` made of an array and a node as they are, past the checks of its constructor."""
    value = _new(cls)
    value.data = data
    value.node = node
    return value


def recorded(cls: type[Value], op: Op | None, args: Any, params: Any, y: Array, parents: Parents) -> Any:
    """A `cls` made of the array `y`, with a node that says how.

    A function that sets what a constructor would, in half its time: every operation pays for it.
    """
    node = _new(Node)
    node.op = op
    node.args = args
    node.params = params
    node.y = y
    node.parents = parents
    node.grad = node.name = None
    value = _new(cls)
    value.data = y
    value.node = node
    return value
