"""`einsum`: sums of products named by their indices, made of transposes, matrix products and sums."""

import math
from collections import Counter
from collections.abc import Sequence
from typing import Any

from minitorch.errors import ConfigError, DTypeError, ShapeError
from minitorch.ops import linalg
from minitorch.variable import Variable, as_variable


def einsum(subscripts: str, *operands: Any) -> Variable:
    """The sum of products that `subscripts` describes, as NumPy's: `einsum("nik,nkj->nij", a, b)` multiplies matrices.

    Each operand has a letter for each of its axes. Axes with the same letter run together; those whose letter is not in
    the output are summed over. Without "->" the output has the letters that occur once, in alphabetical order. A letter
    twice in one operand takes its diagonal. "..." stands for any number of axes, which broadcast and go to the output.

    The operands are multiplied from left to right, by matrix products: give those first whose product is small.

    Args:
        subscripts: such as "ij,jk->ik".
        *operands: one for each term before "->".

    Raises:
        ConfigError: `subscripts` cannot be read, or has another number of terms than there are operands.
        ShapeError: an operand has another number of axes than its term, or axes of one letter differ in size.
    """
    if not isinstance(subscripts, str):
        raise DTypeError(f"einsum: subscripts is {type(subscripts).__name__}; give a string such as 'ij,jk->ik' first")
    xs = [as_variable(x) for x in operands]
    terms, output = _read(subscripts, [x.shape for x in xs])
    _check_sizes(subscripts, terms, [x.shape for x in xs])
    (y, term), *rest = [_diagonal(x, term) for x, term in zip(xs, terms, strict=True)]
    for i, (x, other) in enumerate(rest):
        wanted = set(output).union(*[later for _, later in rest[i + 1 :]])
        y, term = _product(y, term, x, other, wanted)
    y, term = _summed(y, term, set(output))
    return _arranged(y, term, output)


def _read(subscripts: str, shapes: Sequence[tuple[int, ...]]) -> tuple[list[str], str]:
    """The terms of the operands and of the output, a character for each axis: "..." becomes "0", "1", ..."""
    inputs, arrow, output = subscripts.replace(" ", "").partition("->")
    terms = inputs.split(",")
    if len(terms) != len(shapes):
        raise ConfigError(
            f"einsum {subscripts!r}: {len(terms)} terms for {len(shapes)} operands; give one term for each"
        )
    for term in [*terms, output]:
        letters = term.replace("...", "", 1)
        if letters and not (letters.isascii() and letters.isalpha()):
            raise ConfigError(f"einsum {subscripts!r}: {term!r} is no term; an axis is a letter, and '...' comes once")
    spread = [
        len(shape) - len(t.replace("...", "")) if "..." in t else 0 for t, shape in zip(terms, shapes, strict=True)
    ]
    if min(spread) < 0 or any("..." not in t and len(t) != len(s) for t, s in zip(terms, shapes, strict=True)):
        raise ShapeError(f"einsum {subscripts!r}: operands of shapes {list(shapes)}; a term has a letter for each axis")
    several = "".join([chr(ord("0") + i) for i in range(max(spread))])
    terms = [t.replace("...", several[len(several) - n :]) for t, n in zip(terms, spread, strict=True)]
    if not arrow:
        once = sorted(c for c, n in Counter("".join(terms)).items() if n == 1 and c not in several)
        return terms, several + "".join(once)
    missing = several and "..." not in output
    output = output.replace("...", several)
    if missing or len(set(output)) < len(output) or not set(output) <= set("".join(terms)):
        raise ConfigError(
            f"einsum {subscripts!r}: the output must have letters of the operands, none of them twice, and '...' where "
            "an operand has axes for it"
        )
    return terms, output


def _check_sizes(subscripts: str, terms: Sequence[str], shapes: Sequence[tuple[int, ...]]) -> None:
    sizes: dict[str, int] = {}
    for i, (term, shape) in enumerate(zip(terms, shapes, strict=True)):
        for c, n in zip(term, shape, strict=True):
            if c.isdigit() and 1 in (n, sizes.get(c, n)):
                sizes[c] = max(n, sizes.get(c, n))  # axes of "..." broadcast
            elif sizes.setdefault(c, n) != n:
                axis = "an axis of '...'" if c.isdigit() else f"axis {c!r}"
                raise ShapeError(
                    f"einsum {subscripts!r}: {axis} has size {n} in operand {i}, {shape}, and {sizes[c]} before; axes "
                    "of one letter must be of one size"
                )


def _diagonal(x: Variable, term: str) -> tuple[Variable, str]:
    """`x` with each letter of its term once."""
    for c in term:
        while term.count(c) > 1:
            i = term.index(c)
            j = term.index(c, i + 1)
            n = x.shape[i]
            others = [k for k in range(x.ndim) if k not in (i, j)]
            x = x.transpose((*others, i, j))
            x = x.reshape((*x.shape[:-2], n * n))[..., :: n + 1]
            term = "".join([term[k] for k in others]) + c
    return x, term


def _product(a: Variable, term_a: str, b: Variable, term_b: str, wanted: set[str]) -> tuple[Variable, str]:
    """The product of two operands, summed over the letters that are not `wanted` afterwards."""
    a, term_a = _summed(a, term_a, wanted.union(term_b))
    b, term_b = _summed(b, term_b, wanted.union(term_a))
    both = [c for c in term_a if c in term_b and c in wanted]
    inner = [c for c in term_a if c in term_b and c not in wanted]
    left = [c for c in term_a if c not in term_b]
    right = [c for c in term_b if c not in term_a]
    a = _arranged(a, term_a, "".join(both + left + inner))
    b = _arranged(b, term_b, "".join(both + inner + right))
    k, n = len(both), len(inner)
    sizes = a.shape[k : a.ndim - n] + b.shape[k + n :]
    rows, depth, columns = (
        math.prod(a.shape[k : a.ndim - n]),
        math.prod(b.shape[k : k + n]),
        math.prod(b.shape[k + n :]),
    )
    a = a.reshape((*a.shape[:k], rows, depth))
    b = b.reshape((*b.shape[:k], depth, columns))
    if not inner:
        y = a * b  # (rows, 1) by (1, columns)
    elif left or right:
        y = linalg.matmul(a, b)
    else:
        y = (a * b.reshape((*b.shape[:k], 1, depth))).sum(-1)
    return y.reshape((*y.shape[:k], *sizes)), "".join(both + left + right)


def _summed(x: Variable, term: str, wanted: set[str]) -> tuple[Variable, str]:
    """`x` summed over the letters that are not `wanted`."""
    axes = tuple([i for i, c in enumerate(term) if c not in wanted])
    return (x.sum(axes) if axes else x), "".join([c for c in term if c in wanted])


def _arranged(x: Variable, term: str, order: str) -> Variable:
    """`x` with its axes in another order."""
    return x if term == order else x.transpose(tuple([term.index(c) for c in order]))
