"""`Fused`: a composition of operations computed by faster kernels, and differentiated as the composition it is."""

from collections.abc import Callable, Sequence
from typing import Any, overload

from minitorch.autograd.backward import gradients
from minitorch.autograd.node import NO_PARAMS, Array, Gradients, Node, Parents, Value, leaf, recorded
from minitorch.autograd.primitive import Primitive, V


class Fused(Primitive):
    """A primitive whose definition is `reference`; `forward` and `backward` are a faster way to the same numbers.

    Args:
        reference: the composition of operations that defines it: `(*args, **params) -> Value`. A second derivative
            (`create_graph=True`) goes through it.
        forward: `(*arrays, **params) -> (y, saved)`; `saved` is anything that the backward can use.
        backward: `(g, y, saved, wanted, *arrays, **params) -> gradients`, one for each argument, of that argument's
            shape and dtype, no two of them the same array; those that are not `wanted` may be None.
        argnums: the positions of the arguments that can be differentiated.
        name: for messages and drawings; that of `reference` unless given.
    """

    def __init__(
        self,
        *,
        reference: Callable[..., Any],
        forward: Callable[..., tuple[Array, Any]],
        backward: Callable[..., Sequence[Any]],
        argnums: tuple[int, ...],
        name: str | None = None,
    ) -> None:
        super().__init__(name or reference.__name__, forward)
        self.reference = reference
        self.backward = backward
        self.argnums = argnums
        self.apply = self.bind()

    @overload
    def __call__(self, a: V, *args: Any, **params: Any) -> V: ...

    @overload
    def __call__(self, *args: Any, **params: Any) -> Any: ...

    def __call__(self, *args: Any, **params: Any) -> Any:
        """Apply the operation: a Value where an argument is one, else a plain array."""
        return self.apply(*args, **params)

    def run(self, args: Sequence[Any], params: dict[str, Any]) -> tuple[Array, dict[str, Any]]:
        """Compute the output; returns it, and what the backward is to be given."""
        y, saved = self.forward(*args, **params)
        return y, {"saved": saved, "params": params}

    def parents(self, nodes: Sequence[Node | None]) -> Parents:
        """For each argument its node; None where it cannot be differentiated, or wants no gradient."""
        return tuple([p if i in self.argnums else None for i, p in enumerate(nodes)])

    def pullback(self, g: Any, y: Any, args: Any, params: dict[str, Any], parents: Parents) -> Gradients:
        """Run the backward kernel, or under `create_graph` differentiate the reference."""
        if isinstance(g, Value):
            grads = self._through_reference(g, args, params["params"], parents)
        else:
            wanted = tuple([p is not None for p in parents])
            grads = list(self.backward(g, y, params["saved"], wanted, *args, **params["params"]))
        return [(p, r) for p, r in zip(parents, grads, strict=False) if p is not None]

    def _through_reference(self, g: Value, args: Any, params: dict[str, Any], parents: Parents) -> list[Any]:
        # The reference is applied to aliases, so that its walk ends there; each alias then stands for its argument.
        aliases = [a if p is None else _alias(a) for a, p in zip(args, parents, strict=True)]
        y = self.reference(*aliases, **params)
        wanted = [a for a, p in zip(aliases, parents, strict=True) if p is not None]
        found = iter(gradients(y, wanted, g, create_graph=True))
        grads = [None if p is None else next(found) for p in parents]
        return [a * 0.0 if p is not None and r is None else r for r, a, p in zip(grads, args, parents, strict=True)]


class _Alias(Primitive):
    """The identity, as a node of its own."""

    def pullback(self, g: Any, y: Any, args: Any, params: dict[str, Any], parents: Parents) -> Gradients:
        return ((parents[0], g),)  # type: ignore[return-value]


_ALIAS = _Alias("alias", lambda a: a)


def _alias(a: Value) -> Any:
    return recorded(a.box, _ALIAS, (a.data,), NO_PARAMS, a.data, (a.node or leaf(),))
