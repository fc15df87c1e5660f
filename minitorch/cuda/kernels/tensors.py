"""`Tensors`: parameters and their optimizer state, as launches find them that go over all of them at once.

It holds what stays the same from step to step: where parameters and state are, and how they are cut into chunks.
Gradients may be other arrays in every step; their addresses are an argument of the launch, which costs no transfer, and
a captured launch keeps them.
"""

from collections.abc import Sequence
from typing import Any

import attrs
import numpy as np

from minitorch.cuda.array_module import xp_of
from minitorch.errors import ShapeError

Array = Any

CHUNK = 2048  # elements that one block goes over
TENSORS = 256  # whose addresses fit into the arguments of one launch
ADDRESSES = np.dtype([("at", np.uint64, TENSORS)])


@attrs.frozen
class Group:
    """Up to TENSORS parameters that one launch updates, in arrays on the device.

    Attributes:
        addresses: of parameters, and of each of their states: uint64, (1 + states, T).
        sizes: int32, (T,).
        chunks: int32, (blocks, 2): tensor and first element of each chunk.
        options: float32, (T, 3): of each tensor the share of the learning rate, the decay that is added to the gradient
            (as by the hook `WeightDecay`), and the decay of the parameter itself (as by AdamW).
        members: which tensors they are, of all.
    """

    addresses: Array
    sizes: Array
    chunks: Array
    options: Array
    members: slice


class Tensors:
    """Parameters and their optimizer state, which stay where they are in device memory.

    Args:
        params: float32 arrays in C order, on one device; changed in place.
        states: for each kind of state a list of arrays, one for each parameter.
        options: for each parameter (lr_scale, l2, decay); see `Group`.

    Raises:
        ShapeError: an array is not float32 in C order, or state and parameter differ in shape.
    """

    def __init__(
        self,
        params: Sequence[Array],
        *states: Sequence[Array],
        options: Sequence[tuple[float, float, float]] | None = None,
    ) -> None:
        self.params = list(params)
        self.states = [list(state) for state in states]
        for same in zip(self.params, *self.states, strict=True):
            _check("Tensors", *same)
        options = [(1.0, 0.0, 0.0)] * len(self.params) if options is None else options
        self.options = np.array(options, np.float32).reshape(len(self.params), 3)
        groups = [self._group(slice(i, i + TENSORS)) for i in range(0, len(self.params), TENSORS)]
        self.groups = [group for group in groups if len(group.chunks)]

    def _group(self, members: slice) -> Group:
        put = xp_of(self.params[0]).asarray
        addresses = [[address_of(a) for a in arrays[members]] for arrays in (self.params, *self.states)]
        sizes = [p.size for p in self.params[members]]
        chunks = [(i, first) for i, size in enumerate(sizes) for first in range(0, size, CHUNK)]
        return Group(
            put(np.array(addresses, np.uint64)),
            put(np.array(sizes, np.int32)),
            put(np.array(chunks, np.int32).reshape(-1, 2)),
            put(self.options[members]),
            members,
        )

    def gradients(self, grads: Sequence[Array], group: Group) -> Any:
        """The addresses of the gradients of a group, to be passed by value.

        Raises:
            ShapeError: there are not as many gradients as parameters, or one has another shape, dtype or order.
        """
        if len(grads) != len(self.params):
            raise ShapeError(f"Tensors: {len(grads)} gradients for {len(self.params)} parameters; give one for each")
        by_value = np.zeros((), ADDRESSES)
        for i, (p, g) in enumerate(zip(self.params[group.members], grads[group.members], strict=True)):
            _check("Tensors", p, g)
            by_value["at"][i] = address_of(g)
        return by_value


def address_of(a: Array) -> int:
    """Where the first element of a NumPy or CuPy array is."""
    return int(a.ctypes.data if isinstance(a, np.ndarray) else a.data.ptr)


def _check(owner: str, *arrays: Array) -> None:
    for a in arrays:
        if a.dtype != np.float32 or not a.flags.c_contiguous or a.shape != arrays[0].shape:
            raise ShapeError(
                f"{owner}: got {a.dtype} {a.shape} beside a parameter {arrays[0].shape}; parameters, state and "
                "gradients must be float32, in C order and of one shape"
            )
