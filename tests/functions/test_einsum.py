"""`einsum`: against NumPy's, its derivatives, and its errors."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import minitorch.functions as F
from minitorch import Variable
from minitorch.errors import ConfigError, DTypeError, ShapeError
from minitorch.utils import directional_check

SIZES = {"i": 2, "j": 3, "k": 4, "l": 1, "m": 2}


def operand(term, seed=0):
    """Random numbers with an axis for each letter; "..." stands for two axes, of sizes 2 and 1."""
    before, dots, after = term.partition("...")
    shape = [SIZES[c] for c in before] + [2, 1] * bool(dots) + [SIZES[c] for c in after]
    return np.random.default_rng([seed, *term.encode()]).normal(size=shape)


def operands(subscripts):
    terms = subscripts.replace(" ", "").split("->")[0].split(",")
    return [operand(term, i) for i, term in enumerate(terms)]


CASES = [
    "i->i", "ij->ji", "ij->", "ij->j", "ijk->ki",  # one operand
    "ij,jk->ik", "ij,jk", "ij,kj->ki", "ijk,jkm->im", "ijk,ikm->ijm", "kij,mk->mij",  # products of matrices
    "i,j->ij", "i,j->ji", "i,i->", "i,i->i", "ij,ij->ij", "ij,ij->i", "ij,ij->", "ij,ji->", "i,ij->ij",
    "ii->i", "ii->", "ii", "iii->i", "iij->j", "jii->ij", "iijj->ji", "ii,i->", "ij,ii->j",  # diagonals
    "ij,k->ik", "ij,k->", "ij,jk->", "ik,jk->k",  # letters that only one operand has, and the output has not
    "ij,jk,km->im", "ij,j,jk->k", "i,i,i->i", "i,j,k->kji", "ij,ij,kj->k", "ij,jk,ki->",  # three operands
    "...ij,...jk->...ik", "...i->...", "...ij->...ji", "...,...", "i...,...->...i", "...ij,jk->...ik", "...ij,kj",
    ",ij->ij", ",->", "->", "ij , jk -> ik", "l,li->i",
]  # fmt: skip


@pytest.mark.parametrize("subscripts", CASES)
def test_like_numpy(subscripts, device):
    """Every use gives NumPy's numbers."""
    xs = operands(subscripts)
    y = F.einsum(subscripts, *[device.put(x) for x in xs])
    np.testing.assert_allclose(device.get(y.data), np.einsum(subscripts, *xs), rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("subscripts", CASES)
def test_derivatives(subscripts):
    """Every use has the first and second derivatives that differences give, for each operand."""
    directional_check(lambda *xs: F.einsum(subscripts, *xs), operands(subscripts))


@st.composite
def random_subscripts(draw):
    """Terms of random letters and an output of some of them."""
    terms = draw(st.lists(st.text("ijkl", max_size=4), min_size=1, max_size=3))
    letters = sorted(set("".join(terms)))
    output = draw(st.permutations(letters))[: draw(st.integers(0, len(letters)))]
    return ",".join(terms) + draw(st.sampled_from(["", "->" + "".join(output)]))


@given(random_subscripts())
def test_random_subscripts_like_numpy(subscripts):
    """Whatever the letters, the result is NumPy's."""
    xs = operands(subscripts)
    np.testing.assert_allclose(F.einsum(subscripts, *xs).data, np.einsum(subscripts, *xs), rtol=1e-11, atol=1e-12)


def test_dots_broadcast():
    """The axes of "..." broadcast from the right, an operand without them too, and gradients are summed again."""
    a, b = Variable(np.ones((5, 1, 2, 3))), Variable(np.ones((4, 3, 2)))
    y = F.einsum("...ij,...jk->...ik", a, b)
    assert y.shape == (5, 4, 2, 2)
    y.sum().backward()
    assert (a.grad.shape, b.grad.shape) == (a.shape, b.shape)
    np.testing.assert_array_equal(a.grad.data, np.full(a.shape, 8.0))


def test_no_elements():
    """Axes of size 0 are axes: a sum over none is 0."""
    assert F.einsum("ij,jk->ik", np.ones((2, 0)), np.ones((0, 3))).data.tolist() == [[0.0] * 3] * 2
    assert F.einsum("ii->i", np.ones((0, 0))).shape == (0,)


def test_float32_stays():
    """The dtype of the operands is that of the result and of the gradients."""
    a, b = Variable(np.ones((2, 3), np.float32)), Variable(np.ones((3, 2), np.float32))
    y = F.einsum("ij,ji->i", a, b)
    y.backward()
    assert y.dtype == a.grad.dtype == b.grad.dtype == np.float32


@pytest.mark.parametrize(
    ("subscripts", "shapes", "error", "message"),
    [
        ("ij", [(2, 3), (3,)], ConfigError, "einsum 'ij': 1 terms for 2 operands"),
        ("i1->i", [(2, 3)], ConfigError, "'i1' is no term; an axis is a letter"),
        ("i->i->i", [(2,)], ConfigError, "'i->i' is no term"),
        ("......->i", [(2,)], ConfigError, r"'\.\.\.\.\.\.' is no term.*'\.\.\.' comes once"),
        ("ij->ik", [(2, 3)], ConfigError, "the output must have letters of the operands, none of them twice"),
        ("ij->ii", [(2, 3)], ConfigError, "the output must have letters of the operands, none of them twice"),
        ("...i->i", [(2, 3)], ConfigError, r"and '\.\.\.' where an operand has axes for it"),
        ("ijk", [(2, 3)], ShapeError, r"operands of shapes \[\(2, 3\)\]; a term has a letter for each axis"),
        ("i", [(2, 3)], ShapeError, "a term has a letter for each axis"),
        ("...ijk", [(2, 3)], ShapeError, "a term has a letter for each axis"),
        ("ij,jk", [(2, 3), (4, 2)], ShapeError, r"axis 'j' has size 4 in operand 1, \(4, 2\), and 3 before"),
        ("ii", [(2, 3)], ShapeError, r"axis 'i' has size 3 in operand 0, \(2, 3\), and 2 before"),
        ("ij,jk", [(2, 1), (4, 2)], ShapeError, "axis 'j' has size 4 in operand 1"),
        ("...,...", [(2,), (3,)], ShapeError, r"an axis of '\.\.\.' has size 3 in operand 1, \(3,\), and 2 before"),
    ],
)
def test_errors(subscripts, shapes, error, message):
    """What cannot be read, or does not fit, is refused with the place where it does not."""
    with pytest.raises(error, match=message):
        F.einsum(subscripts, *[np.zeros(shape) for shape in shapes])


def test_subscripts_come_first():
    """The operands in front, as of other functions, are a mistake that is named."""
    with pytest.raises(DTypeError, match="einsum: subscripts is ndarray; give a string"):
        F.einsum(np.zeros(2), "i")
