"""Gradients compared with differences of the function itself, to any order."""

import sys
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from minitorch.autograd.backward import backward, gradients
from minitorch.autograd.node import Array, Value, leaf, wrap
from minitorch.autograd.primitive import as_array
from minitorch.config import no_grad
from minitorch.cuda import as_numpy, get_array_module

Function = Callable[..., Any]


def numerical_grad(f: Function, x: Any, *args: Any, **kwargs: Any) -> Array:
    """The gradient of `sum(f(x, *args, **kwargs))` for `x` by central differences: two calls for each element of `x`.

    Args:
        f: takes a Variable first and returns a Variable.
        x: a Variable or an array; computed in float64.
        *args: given to `f` after `x`.
        **kwargs: given to `f` too.

    Returns:
        An array of the shape of `x`, on its device.
    """
    eps = 1e-4
    xp = get_array_module(x)
    at = as_numpy(x).astype(np.float64)
    grad = np.zeros_like(at)
    with no_grad():
        for i in np.ndindex(at.shape):
            ends = []
            for step in (eps, -eps):
                moved = at.copy()
                moved[i] += step
                y = f(wrap(Value.box, xp.asarray(moved), None), *args, **kwargs)
                ends.append(float(as_numpy(y.data).sum(dtype=np.float64)))
            grad[i] = (ends[0] - ends[1]) / (2 * eps)
    return xp.asarray(grad)


def gradient_check(f: Function, x: Any, *args: Any, rtol: float = 1e-4, atol: float = 1e-5, **kwargs: Any) -> bool:
    """Whether backpropagation through `f` at `x` gives the gradient that differences of `f` give.

    Args:
        f: takes a Variable first and returns a Variable.
        x: a Variable or an array; computed in float64.
        *args: given to `f` after `x`.
        rtol: the relative difference allowed.
        atol: the absolute difference allowed.
        **kwargs: given to `f` too.

    Returns:
        True where they agree; else False, after writing both gradients to stderr.
    """
    xp = get_array_module(x)
    at = wrap(Value.box, xp.asarray(as_numpy(x).astype(np.float64)), leaf())
    expected = as_numpy(numerical_grad(f, at, *args, **kwargs))
    backward(f(at, *args, **kwargs))
    found = np.zeros_like(expected) if at.grad is None else as_numpy(at.grad)
    if found.shape == expected.shape and np.allclose(expected, found, rtol=rtol, atol=atol):
        return True
    sys.stderr.write(f"gradient_check failed\nby differences:\n{expected}\nby backpropagation:\n{found}\n")
    return False


def directional_check(
    f: Function, xs: Sequence[Array], *, order: int = 2, rtol: float = 1e-4, atol: float = 1e-6, seed: int = 0
) -> None:
    """Assert that the derivatives of `f` along random directions agree with differences, to `order`.

    One number is compared for each order, whatever the size of `xs`: `<w, df/dx v>` for random `v` and `w`, and then
    the same for the gradient as a function of `xs` and `w`.

    Args:
        f: takes Variables, one for each of `xs`, and returns a Variable.
        xs: float64 arrays.
        order: how often to differentiate.
        rtol: the relative difference allowed.
        atol: the absolute difference allowed.
        seed: for the directions.

    Raises:
        AssertionError: they differ; the message says at which order and by how much.
    """
    rng = np.random.default_rng(seed)
    for level in range(1, order + 1):
        xp = get_array_module(xs[0])
        with no_grad():
            y = f(*[wrap(Value.box, x, None) for x in xs])
        w = xp.asarray(rng.standard_normal(y.shape))
        vs = [xp.asarray(rng.standard_normal(x.shape)) for x in xs]
        by_walk = sum(_dot(g, v) for g, v in zip(_vjp(f, xs, w), vs, strict=True))
        by_difference = _difference(f, xs, vs, w)
        if not np.isclose(by_walk, by_difference, rtol=rtol, atol=atol):
            raise AssertionError(
                f"order {level}: backpropagation gives {by_walk!r} along a random direction, differences give "
                f"{by_difference!r}"
            )
        f, xs = _gradient_function(f, len(xs)), [*xs, w]


def _difference(f: Function, xs: Sequence[Array], vs: Sequence[Array], w: Array, eps: float = 1e-5) -> float:
    """`<w, f(xs + eps vs) - f(xs - eps vs)> / (2 eps)`."""
    ends = []
    for step in (eps, -eps):
        moved = [wrap(Value.box, as_array(x + step * v), leaf()) for x, v in zip(xs, vs, strict=True)]
        ends.append(as_numpy(f(*moved).data).astype(np.float64))
    return float(((ends[0] - ends[1]) * as_numpy(w)).sum() / (2 * eps))


def _vjp(f: Function, xs: Sequence[Array], w: Array) -> list[Array]:
    at = [wrap(Value.box, x, leaf()) for x in xs]
    found = gradients(f(*at), at, w, create_graph=False)
    return [np.zeros(x.shape) if g is None else as_numpy(g) for g, x in zip(found, xs, strict=True)]


def _dot(a: Array, b: Array) -> float:
    return float((as_numpy(a) * as_numpy(b)).sum())


def _gradient_function(f: Function, n: int) -> Function:
    """A number made of the gradients of `<w, f(x1, ..., xn)>` for all xi, as a function of `x1, ..., xn, w`."""

    def gradient(*xs_and_w: Any) -> Any:
        xs, w = xs_and_w[:n], xs_and_w[n]
        # The inputs are used through aliases of their own, so that each is told apart even where f passes one on.
        at = [x * 1.0 for x in xs]
        found = gradients(f(*at), at, w, create_graph=True)
        grads = [x * 0.0 if g is None else g for g, x in zip(found, xs, strict=True)]
        return sum(((0.5 * g + 1.0) * g).sum() for g in grads)  # a scalar in which every gradient counts

    return gradient
