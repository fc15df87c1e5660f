"""The backward walk: from an output to the leaves, each node once, as soon as all its uses have reported.

Without what saves copies, and what some callers ask for besides, it is this:

    uses, arrived, ready = count_uses(root), {}, [(root, g)]
    while ready:
        node, g = ready.pop()
        if node is a leaf:
            add g to its gradient
        for parent, part in node.op.pullback(g, ...):
            add part to arrived[parent]
            uses[parent] -= 1
            if uses[parent] == 0:
                ready.append((parent, arrived.pop(parent)))
"""

from collections.abc import Iterable
from typing import Any

from minitorch.autograd.function import Function
from minitorch.autograd.node import Array, Node, Op, Value, wrap
from minitorch.autograd.primitive import as_array, fit
from minitorch.config import using_config
from minitorch.cuda import xp_of
from minitorch.errors import GraphError, ShapeError

NO_NODES: frozenset[Node] = frozenset()


def backward(root: Value, *, retain_grad: bool = False, create_graph: bool = False) -> None:
    """Add the gradient of `root` to the `grad` of every leaf that it depends on.

    Args:
        root: where to start. Its own `grad`, if somebody set it, else ones, is what the walk starts from.
        retain_grad: keep gradients on interior nodes too, and keep the graph for another walk.
        create_graph: record the backward itself, so that gradients can be differentiated again; keeps the graph.

    Raises:
        GraphError: `root` is a constant, or the graph was freed by an earlier walk.
        ShapeError: `root.grad` was set to another shape than that of `root`.
    """
    node = root.node
    if node is None:
        raise GraphError(
            "backward: this Variable is a constant (made with requires_grad=False, from constants only, or under "
            "no_grad), so there is nothing to differentiate; compute it from a Variable outside no_grad"
        )
    g = wrap(root.box, ones_like(root.data), None) if node.grad is None else node.grad
    if g.shape != root.data.shape:
        raise ShapeError(f"backward: grad has shape {g.shape}, its Variable {root.data.shape}; they must be equal")
    g = fit(g, root.data)
    node.grad = None
    if create_graph:
        with using_config("enable_backprop", True):
            walk(node, g, root.box, retain_grad=retain_grad, create_graph=True)
    else:
        walk(node, g.data, root.box, retain_grad=retain_grad)


def gradients(root: Value, inputs: Iterable[Value], g: Any, *, create_graph: bool) -> list[Any]:
    """The gradients of `root` for `inputs`, given `g` for `root`; None for an input that it does not depend on.

    Leaves keep their `grad` as it was, and the walk goes no further back than `inputs`.
    """
    nodes = [x.node for x in inputs]
    stop = frozenset(n for n in nodes if n is not None)
    found: dict[Node, Any] = {}
    if root.node is not None:
        walk(root.node, g, root.box, create_graph=create_graph, stop=stop, found=found)
    return [None if n is None else found.get(n) for n in nodes]


def walk(
    root: Node,
    g: Any,
    box: type[Value],
    *,
    retain_grad: bool = False,
    create_graph: bool = False,
    stop: frozenset[Node] = NO_NODES,
    found: dict[Node, Any] | None = None,
) -> None:
    """Visit every node between `root` and the leaves once, in topological order by use counts.

    `g` is an array, or a Value under `create_graph`. Gradients go into `found` for the nodes in `stop` and are dropped
    for other leaves; without `found` they are added to the leaves' `grad`.
    """
    uses = count_uses(root, stop)
    arrived: dict[Node, Any] = {}  # what has arrived at nodes that more will arrive at
    own: set[Node] = set()  # nodes for which nobody else holds that array
    ready = [(root, g)]
    keep = retain_grad or create_graph or found is not None
    while ready:
        node, g = ready.pop()
        op = node.op
        if op is None or (stop and node in stop):
            if found is None:
                accumulate(node, g, box, own=node in own)
            elif node in stop:
                found[node] = g
            continue
        y, args = node.y, node.args
        if create_graph:
            y = wrap(box, y, node)
            args = [a if p is None else wrap(box, a, p) for a, p in zip(args, node.parents, strict=True)]
        if retain_grad and not isinstance(op, Function):  # a Function has its gradients on its outputs
            node.grad = to_keep(g, box)
        for p, r in op.pullback(g, y, args, node.params, node.parents):
            if p not in arrived:
                if p.op is None and is_fresh(r, op, g, y, args):
                    own.add(p)
            elif create_graph or p not in own or r.size == 1:  # one element: NumPy adds thrice as fast to a new array
                r = arrived.pop(p) + r
                own.add(p)
            else:  # nobody else sees the array that arrived first: the sum goes into it
                arrived[p] += r
                r = arrived.pop(p)
            left = uses[p] - 1
            if left:
                uses[p] = left
                arrived[p] = r
            else:
                ready.append((p, r))
        if not keep:
            node.args = node.params = node.y = None


def count_uses(root: Node, stop: frozenset[Node]) -> dict[Node, int]:
    """For every node below `root`, how many gradients it will receive."""
    uses: dict[Node, int] = {}
    seen = [root]
    for node in seen:
        if stop and node in stop:
            continue
        if node.args is None and node.op is not None:
            raise GraphError(
                f"backward: the graph was freed by an earlier backward (at the operation {node.op.name}); to walk it "
                "twice pass retain_grad=True or create_graph=True the first time, or compute the output again"
            )
        for p in node.parents:
            if p in uses:
                uses[p] += 1
            elif p is not None:
                uses[p] = 1
                seen.append(p)
    return uses


def accumulate(leaf: Node, g: Any, box: type[Value], *, own: bool) -> None:
    """Add `g` to the gradient of `leaf`, which never shares its array with another gradient."""
    if leaf.grad is not None:
        if isinstance(g, Value) or leaf.grad.node is not None:
            leaf.grad = leaf.grad + g
        else:
            leaf.grad.data += g
    else:
        leaf.grad = to_keep(g, box, own=own)


def to_keep(g: Any, box: type[Value], *, own: bool = False) -> Any:
    """`g` as a Value with an array that nobody else holds; `own` says that this is so already."""
    if isinstance(g, Value):
        return wrap(box, g.data.copy(), g.node)
    g = as_array(g)
    return wrap(box, g if own else g.copy(), None)


def is_fresh(r: Array, op: Op, g: Any, y: Array, args: Any) -> bool:
    """Whether a rule made the array `r`, rather than handing out one that somebody holds, or a view of it."""
    if isinstance(op, Function):
        return False  # whose backward may hand out anything
    return getattr(r, "base", None) is None and r is not g and r is not y and all(r is not a for a in args)


def ones_like(data: Array) -> Array:
    """Ones of the shape of `data`; floating also where `data` is not, since a gradient is."""
    xp = xp_of(data)
    return xp.ones(data.shape, data.dtype if data.dtype.kind == "f" else xp.result_type(data.dtype, xp.float32))


def unchain(root: Value) -> None:
    """Cut the graph behind `root`: every node that `root` was computed from becomes a leaf.

    `root` itself stays what it is, unless it was walked and freed before: then nothing is left of it but a leaf too.
    """
    stack = [root.node] if root.node is not None else []
    while stack:
        node = stack.pop()
        stack.extend([p for p in node.parents if p is not None and p.op is not None])
        if isinstance(node.op, Function):
            continue  # its outputs are cut, or are `root`
        if node is not root.node or node.args is None:
            node.cut()
