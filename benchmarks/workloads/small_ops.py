"""What one operation on almost no data costs: chains of 1,000 operations on arrays of one element."""

from collections.abc import Callable, Sequence
from functools import partial
from time import perf_counter
from typing import Any

import numpy as np

import minitorch.functions as F
from benchmarks import peers
from benchmarks.race import Race
from benchmarks.workload import Contestant, Target, Workload
from minitorch import Variable

Array = np.ndarray[Any, Any]
Chain = Callable[[Any, Any], Any]

OPS = 1000
MIXED, PRODUCTS = "mixed", "y * x"
X, B = 0.999, 0.001  # the two leaves


def mixed(x: Any, b: Any, tanh: Callable[[Any], Any]) -> Any:
    """A constant, a leaf, a negation and a function, 250 times over."""
    y = x
    for _ in range(OPS // 4):
        y = tanh(-(y * 0.999 + b))
    return y


def products(x: Any, b: Any) -> Any:
    """One leaf, used 1,000 times."""
    y = x
    for _ in range(OPS):
        y = y * x
    return y


def leaf(value: float) -> Array:
    return np.array([value], np.float32)


def race_chains(
    race: Race,
    passes: int,
    chains: dict[str, Chain],
    make: Callable[[float], Any],
    differentiate: Callable[[Any, Any, Any], Sequence[Any]],
) -> None:
    """Time the chains of a framework.

    Args:
        race: where to report to.
        passes: how often each chain is computed in a round.
        chains: by name, `(x, b) -> y`.
        make: a leaf of a number.
        differentiate: `(y, x, b) -> (y, gradient for x, gradient for b)`, of which the first two are compared.
    """
    x, b = make(X), make(B)
    race.start()
    for _ in range(race.rounds):
        seconds: dict[str, float] = {}
        numbers: list[float] = []
        for name, chain in chains.items():
            start = perf_counter()
            for _ in range(passes):
                chain(x, b)
            seconds[f"{name}, forward"] = (perf_counter() - start) / (passes * OPS)
            start = perf_counter()
            for _ in range(passes):
                found = differentiate(chain(x, b), x, b)
            seconds[f"{name}, forward and backward"] = (perf_counter() - start) / (passes * OPS)
            numbers += [float(found[0].item()), float(found[1].item())]
        race.lap(numbers, seconds=seconds)


def with_minitorch(race: Race, passes: int) -> None:
    def differentiate(y: Any, x: Any, b: Any) -> Any:
        x.cleargrad()
        b.cleargrad()
        y.backward()
        return y.data, x.grad.data

    chains: dict[str, Chain] = {MIXED: partial(mixed, tanh=F.tanh), PRODUCTS: products}
    race_chains(race, passes, chains, lambda value: Variable(leaf(value)), differentiate)


def with_torch(race: Race, passes: int) -> None:
    import torch

    def differentiate(y: Any, x: Any, b: Any) -> Any:
        x.grad = b.grad = None
        y.backward()
        return y, x.grad

    chains: dict[str, Chain] = {MIXED: partial(mixed, tanh=torch.tanh), PRODUCTS: products}
    race_chains(race, passes, chains, lambda value: torch.tensor([value], requires_grad=True), differentiate)


def with_dezero(race: Race, passes: int, *, keep_float32: bool) -> None:
    dezero = peers.import_dezero(keep_float32=keep_float32)

    def differentiate(y: Any, x: Any, b: Any) -> Any:
        x.cleargrad()
        b.cleargrad()
        y.backward()
        return y.data, x.grad.data

    chains: dict[str, Chain] = {MIXED: partial(mixed, tanh=dezero.functions.tanh), PRODUCTS: products}
    race_chains(race, passes, chains, lambda value: dezero.Variable(leaf(value)), differentiate)


# ---- without a framework


class Tape:
    """The least that could be called one: a slotted object an op, which knows its operands; good for chains only."""

    __slots__ = ("a", "b", "back", "data", "grad")
    grad: Any  # of leaves

    def __init__(self, data: Array, back: Any = None, a: Any = None, b: Any = None) -> None:
        self.data = data
        self.back = back
        self.a = a
        self.b = b

    def __add__(self, other: "Tape") -> "Tape":
        return Tape(self.data + other.data, Tape.add_back, self, other)

    def __mul__(self, other: Any) -> "Tape":
        if isinstance(other, Tape):
            return Tape(self.data * other.data, Tape.mul_back, self, other)
        return Tape(self.data * other, Tape.scale_back, self, other)

    def __neg__(self) -> "Tape":
        return Tape(-self.data, Tape.neg_back, self)

    def tanh(self) -> "Tape":
        return Tape(np.tanh(self.data), Tape.tanh_back, self)

    # Each returns the gradient for `a`, the way down the chain, and adds to that of the leaf `b`.

    def add_back(self, g: Any) -> Any:
        self.b.grad = self.b.grad + g
        return g

    def mul_back(self, g: Any) -> Any:
        self.b.grad = self.b.grad + g * self.a.data
        return g * self.b.data

    def scale_back(self, g: Any) -> Any:
        return g * self.b

    def neg_back(self, g: Any) -> Any:
        return -g

    def tanh_back(self, g: Any) -> Any:
        return g * (1 - self.data * self.data)

    def backward(self) -> None:
        node, g = self, np.ones_like(self.data)
        while node.back is not None:
            g = node.back(node, g)
            node = node.a
        node.grad = node.grad + g


def with_tape(race: Race, passes: int) -> None:
    def differentiate(y: Any, x: Any, b: Any) -> Any:
        x.grad = b.grad = 0.0
        y.backward()
        return y.data, x.grad

    chains: dict[str, Chain] = {MIXED: partial(mixed, tanh=Tape.tanh), PRODUCTS: products}
    race_chains(race, passes, chains, lambda value: Tape(leaf(value)), differentiate)


def with_numpy(race: Race, passes: int) -> None:
    """Bare arithmetic: the values that a backward needs are put into a list, the derivatives are written out."""

    def mixed_kept(x: Array, b: Array) -> list[Array]:
        y = x
        kept = [y]
        for _ in range(OPS // 4):
            y = np.tanh(-(y * 0.999 + b))
            kept.append(y)
        return kept

    def products_kept(x: Array, b: Array) -> list[Array]:
        y = x
        kept = [y]
        for _ in range(OPS):
            y = y * x
            kept.append(y)
        return kept

    def differentiate(kept: list[Array], x: Array, b: Array) -> Any:
        g = np.ones_like(x)
        y = kept.pop()
        result = y
        if len(kept) == OPS:
            gx: Any = 0.0
            while kept:
                gx = gx + g * kept.pop()
                g = g * x
            return result, gx + g
        gb: Any = 0.0
        while kept:
            g = -(g * (1 - y * y))
            gb = gb + g
            g = g * 0.999
            y = kept.pop()
        return result, g

    race_chains(race, passes, {MIXED: mixed_kept, PRODUCTS: products_kept}, leaf, differentiate)


MINITORCH, TORCH = "minitorch", "PyTorch eager"

WORKLOAD = Workload(
    title="chains of 1,000 operations on arrays of one float32",
    about=(
        "Time of one operation. `mixed` is `y = tanh(-(y * 0.999 + b))`, 250 times; `y * x` is `y = y * x`, 1,000 "
        "times; x and b are leaves of shape (1,). Forward records the graph and drops it; backward gives the gradients "
        "of x and b. The result and the gradient of x are compared."
    ),
    contestants=(
        Contestant(MINITORCH, with_minitorch),
        Contestant("NumPy, bare arithmetic", with_numpy),
        Contestant("NumPy on a minimal tape", with_tape),
        Contestant(TORCH, with_torch, ("torch",)),
        Contestant("DeZero 0.0.13 as it is", partial(with_dezero, keep_float32=False), peers.DEZERO_NEEDS),
    ),
    reference=MINITORCH,
    sizes={"passes": 20},
    quick={"passes": 2},
    unit="µs",
    targets=tuple(
        Target(MINITORCH, over=TORCH, at_most=at_most, column=f"{chain}, {way}")
        for chain in (MIXED, PRODUCTS)
        for way, at_most in (("forward", 0.65), ("forward and backward", 0.5))
    ),
)
