"""`Function`: an operation of your own as a class with `forward` and `backward`, as users of DeZero write it."""

import copy
import weakref
from collections.abc import Sequence
from typing import Any

import numpy as np

from minitorch.autograd.node import NO_PARAMS, Array, Gradients, Node, Parents, Value, recorded, wrap
from minitorch.autograd.primitive import as_array, describe, fit
from minitorch.config import Config, using_config
from minitorch.cuda import is_array, xp_of
from minitorch.errors import DTypeError, GraphError, ShapeError


class Function:
    """An operation of your own: subclass it, write `forward` and `backward`, and call an instance.

        class Square(Function):
            def forward(self, x):  # plain arrays in, an array or a tuple of arrays out
                return x**2

            def backward(self, gy):  # Variables in, a Variable or a tuple of Variables out: one for each input
                (x,) = self.inputs
                return 2 * x * gy

        y = Square()(x)

    Because `backward` computes with Variables, it can itself be differentiated (`create_graph=True`).
    An instance that is called again computes on a copy of itself, so that the graph of the earlier call stays right.

    Attributes:
        inputs: the Variables that it was called with.
        outputs: weak references to the Variables that it returned.
    """

    inputs: tuple[Any, ...]
    outputs: tuple[Any, ...]

    @property
    def name(self) -> str:
        """The name in messages and drawings: that of the class."""
        return type(self).__name__

    def forward(self, *arrays: Array) -> Any:
        """Compute the output from plain arrays: an array, or a tuple of arrays."""
        raise NotImplementedError(f"{self.name}.forward is not written: it takes arrays and returns an array")

    def backward(self, *grads: Any) -> Any:
        """Compute the gradient for each input, given that for each output, as Variables."""
        raise NotImplementedError(f"{self.name}.backward is not written: it takes one gradient for each output")

    def __call__(self, *inputs: Any) -> Any:
        """Apply the operation to Variables, arrays or numbers; returns a Variable, or a tuple of them."""
        if "inputs" in vars(self):
            again = copy.copy(self)
            del again.inputs
            return again(*inputs)
        self.inputs = _as_values(self.name, inputs)
        arrays = [x.data for x in self.inputs]
        ys = self.forward(*arrays)
        several = isinstance(ys, tuple)
        data = tuple([self._checked(y) for y in (ys if several else (ys,))])
        parents = tuple([x.node for x in self.inputs])
        node = None
        if Config.enable_backprop and any(parents):
            node = recorded(Value, self, arrays, NO_PARAMS, data, parents).node
        outputs = tuple([_output(node, i, y) for i, y in enumerate(data)])
        self.outputs = tuple([weakref.ref(v) for v in outputs])
        return outputs if several else outputs[0]

    def pullback(self, g: "OutputGrads", y: Any, args: Any, params: Any, parents: Parents) -> Gradients:
        """Call `backward` with Variables, recording it only where the gradients came as Variables."""
        y = y.data if isinstance(y, Value) else y
        create_graph = any(isinstance(gi, Value) for gi in g.grads.values())
        gys = [g.grads.get(i, xp_of(yi).zeros_like(yi)) for i, yi in enumerate(y)]
        with using_config("enable_backprop", create_graph):
            gxs = self.backward(*[gy if isinstance(gy, Value) else wrap(Value.box, gy, None) for gy in gys])
        gxs = gxs if isinstance(gxs, tuple | list) else (gxs,)
        if len(gxs) != len(parents):
            raise GraphError(
                f"{self.name}.backward returned {len(gxs)} gradients for {len(parents)} inputs; return one for each "
                "input, None where there is none"
            )
        return self._fitting(gxs, parents, create_graph)

    def _checked(self, y: Any) -> Array:
        y = as_array(y)
        if isinstance(y, Value) or not hasattr(y, "dtype"):
            raise DTypeError(f"{self.name}.forward returned {type(y).__name__}; return an array, or a tuple of arrays")
        return y

    def _fitting(self, gxs: Sequence[Any], parents: Parents, create_graph: bool) -> Gradients:
        for i, (gx, p, x) in enumerate(zip(gxs, parents, self.inputs, strict=True)):
            if p is None:
                continue
            if gx is None:
                gx = xp_of(x.data).zeros_like(x.data)
            gx = gx if isinstance(gx, Value) else wrap(Value.box, as_array(gx), None)
            if gx.data.shape != x.data.shape:
                raise ShapeError(
                    f"{self.name}.backward returned {describe(gx)} as the gradient of input {i}, which is "
                    f"{describe(x)}; the shapes must be equal: use sum_to where the forward broadcast"
                )
            gx = fit(gx, x.data)
            yield p, gx if create_graph else gx.data


def _as_values(name: str, inputs: Sequence[Any]) -> tuple[Any, ...]:
    """The inputs as Values; a number becomes an array like the first array there is, since its dtype is weak."""
    arrays = [x.data if isinstance(x, Value) else x for x in inputs if isinstance(x, Value) or is_array(x)]
    like = arrays[0] if arrays else np.zeros((), np.float32)
    values = []
    for i, x in enumerate(inputs):
        if isinstance(x, int | float | np.generic):
            number = x.item() if isinstance(x, np.generic) else x
            x = xp_of(like).asarray(number, dtype=np.result_type(like.dtype, number))
        if not (isinstance(x, Value) or is_array(x)):
            raise DTypeError(f"{name}: input {i} is {type(x).__name__}; give a Variable, an array or a number")
        values.append(x if isinstance(x, Value) else wrap(Value.box, x, None))
    return tuple(values)


class OutputGrads:
    """The gradients that have arrived for the outputs of one Function, by position."""

    size = 1  # adding makes new ones

    def __init__(self, grads: dict[int, Any]) -> None:
        self.grads = grads

    def __add__(self, other: "OutputGrads") -> "OutputGrads":
        total = dict(self.grads)
        for i, g in other.grads.items():
            total[i] = total[i] + g if i in total else g
        return OutputGrads(total)


class _Pick:
    """One output of a Function."""

    name = "output"

    def pullback(self, g: Any, y: Any, args: Any, params: dict[str, Any], parents: Parents) -> Gradients:
        return ((parents[0], OutputGrads({params["i"]: g})),)  # type: ignore[return-value]


_PICK = _Pick()


def _output(node: Node | None, i: int, y: Array) -> Any:
    return recorded(Value.box, _PICK, (y,), {"i": i}, y, (node,)) if node else wrap(Value.box, y, None)
