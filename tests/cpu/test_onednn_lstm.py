"""The LSTM over a sequence by oneDNN gives what NumPy's kernels give, and a batch is cut by its shape alone."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from minitorch import Variable, get_num_threads, layers, seed, set_num_threads, using_config
from minitorch.cpu.onednn import library, lstm
from minitorch.errors import ShapeError

pytestmark = pytest.mark.skipif(library.find().library is None, reason="needs oneDNN: pip install minitorch[fast]")

Array = np.ndarray[Any, Any]
SIZES = {  # T, N, in_size, hidden_size
    "one run": (5, lstm.SEQUENCES - 1, 3, 4),
    "two runs": (5, lstm.SEQUENCES, 3, 4),
    "runs of two lengths": (5, 3 * lstm.SEQUENCES + 5, 3, 4),
    "most runs": (4, (lstm.RUNS + 2) * lstm.SEQUENCES, 2, 2),
    "one sequence": (9, 1, 6, 5),
    "large": (32, 20, 64, 128),
}


def normal(*shape: int) -> Array:
    return np.random.default_rng(sum(shape)).normal(size=shape).astype(np.float32)


def trained(size: tuple[int, ...]) -> list[Array]:
    """Outputs of two pieces, the state carried over, and all gradients of a sum over outputs and last memory."""
    T, N, inputs, H = size
    seed(0)
    layer = layers.LSTM(H, in_size=inputs)
    layer.x2h.b.data += normal(4 * H)
    h, c, x, piece = (Variable(normal(*shape)) for shape in ((N, H), (N + 1, H), (T, N, inputs), (T, N, inputs)))
    layer.set_state(h, c[1:])
    y = layer.sequence(x)
    z = layer.sequence(piece)
    ((y * normal(T, N, H)).sum() + (z * z).sum() + layer.c.sum()).backward()
    return [y.data, z.data, layer.c.data, *[v.grad.data for v in (x, piece, h, c, *layer.params())]]


@pytest.fixture
def runs(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What was asked of oneDNN, in turn."""
    asked: list[str] = []

    def noted(name: str) -> Callable[..., Any]:
        whole = getattr(lstm, name)
        return lambda *args: asked.append(name) or whole(*args)

    for name in ("forward", "backward"):
        monkeypatch.setattr(lstm, name, noted(name))
    return asked


@pytest.mark.parametrize("size", SIZES.values(), ids=SIZES)
def test_as_without(size: tuple[int, ...], runs: list[str]) -> None:
    """States and all gradients are those of NumPy's kernels, but for rounding."""
    found = trained(size)
    assert runs == ["forward"] * 2 + ["backward"] * 2
    with using_config("use_onednn", False):
        expected = trained(size)
    assert len(runs) == 4
    for a, b in zip(found, expected, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5 * np.abs(b).max())


def test_bits_do_not_depend_on_the_number_of_threads() -> None:
    """One, two and three threads give the same bits."""
    before, results = get_num_threads(), []
    try:
        for n in (1, 2, 3):
            set_num_threads(n)
            results.append([a.tobytes() for a in trained(SIZES["runs of two lengths"])])
    finally:
        set_num_threads(before)
    assert results[0] == results[1] == results[2]


def test_what_is_left_to_numpy(runs: list[str]) -> None:
    """Few steps, for which the weights would be laid out anew in vain, and all that is not float32 in C order."""
    layer = layers.LSTM(4, in_size=3)
    layer.sequence(normal(lstm.STEPS - 1, 2, 3))
    layer.reset_state()
    layer.sequence(np.asfortranarray(normal(9, 2, 3)))
    layer.reset_state()
    layer.sequence(normal(9, 2, 3).astype(np.float64))
    assert not runs
    layer.reset_state()
    layer.sequence(normal(lstm.STEPS, 2, 3))
    assert runs == ["forward"]


def test_a_memory_of_another_batch_is_an_error(runs: list[str]) -> None:
    """What does not fit never reaches the library."""
    layer = layers.LSTM(4, in_size=3)
    layer.set_state(normal(5, 4), normal(6, 4))
    with pytest.raises(ShapeError, match="lstm_sequence"):
        layer.sequence(normal(9, 5, 3))
    assert not runs


def test_a_gradient_that_comes_in_another_order() -> None:
    """What comes in may be a view, or be float64."""
    layer = layers.LSTM(4, in_size=3)
    x = Variable(normal(6, 5, 3))
    grads = []
    for g in (normal(6, 5, 4), np.asfortranarray(normal(6, 5, 4)), normal(6, 5, 4).astype(np.float64)):
        layer.reset_state()
        x.cleargrad()
        y = layer.sequence(x)
        y.grad = Variable(g)
        y.backward()
        grads.append(x.grad.data)
    np.testing.assert_array_equal(grads[1], grads[0])
    np.testing.assert_array_equal(grads[2], grads[0])


def test_twice() -> None:
    """A graph that is kept gives the same gradients a second time."""
    layer = layers.LSTM(4, in_size=3)
    y = layer.sequence(normal(6, 5, 3)).sum()
    grads = []
    for _ in range(2):
        layer.cleargrads()
        y.backward(retain_grad=True)
        grads.append([p.grad.data.tobytes() for p in layer.params()])
    assert grads[0] == grads[1]


def test_second_derivative() -> None:
    """A gradient that is differentiated goes the way of the definition, whatever computed the value."""

    def second() -> Array:
        layer = layers.LSTM(4, in_size=3)
        layer.x2h.W.data[...], layer.h2h.W.data[...] = normal(3, 16), normal(4, 16)
        x = Variable(normal(5, 2, 3))
        layer.sequence(x).sum().backward(create_graph=True)
        first = x.grad
        x.cleargrad()
        (first * first).sum().backward()
        return x.grad.data  # type: ignore[no-any-return]

    with_library = second()
    with using_config("use_onednn", False):
        np.testing.assert_allclose(with_library, second(), rtol=1e-3, atol=1e-5)


def test_forward_with_and_backward_without() -> None:
    """The flag may change in between: the backward goes the way of its forward."""
    layer = layers.LSTM(4, in_size=3)
    y = layer.sequence(normal(6, 5, 3))
    with using_config("use_onednn", False):
        y.sum().backward()
        grads = [p.grad.data for p in layer.params()]
        layer.reset_state()
        y = layer.sequence(normal(6, 5, 3))
    layer.cleargrads()
    y.sum().backward()
    for a, p in zip(grads, layer.params(), strict=True):
        np.testing.assert_allclose(a, p.grad.data, rtol=1e-4, atol=1e-5)
