"""The kernels of the host: the same numbers as the rules, in blocks, on any number of threads, without denormals."""

import tracemalloc
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minitorch import Layer, Parameter, Variable, optimizers
from minitorch.cpu import blas, threads, update
from minitorch.optimizers import Optimizer, rules
from minitorch.optimizers import optimizer as base

CASES: dict[str, tuple[str, int, dict[str, Any]]] = {  # by name: the function, how many states, its options
    "sgd": ("sgd", 0, {"lr": 0.1}),
    "momentum": ("momentum", 1, {"lr": 0.1, "momentum": 0.9, "nesterov": False}),
    "nesterov": ("momentum", 1, {"lr": 0.1, "momentum": 0.9, "nesterov": True}),
    "adagrad": ("adagrad", 1, {"lr": 0.1, "eps": 1e-3}),
    "adadelta": ("adadelta", 2, {"lr": 0.5, "rho": 0.9, "eps": 1e-3}),
    "rmsprop": ("rmsprop", 1, {"lr": 0.1, "alpha": 0.9, "eps": 1e-3}),
    "adam": ("adam", 2, {"t": 3, "lr": 0.1, "beta1": 0.9, "beta2": 0.99, "eps": 1e-3}),
    "adamw": ("adam", 2, {"t": 3, "lr": 0.1, "beta1": 0.9, "beta2": 0.99, "eps": 1e-3, "weight_decay": 0.2}),
    "average": ("average", 0, {"keep": 0.9}),
    "lion": ("lion", 1, {"lr": 0.1, "beta1": 0.8, "beta2": 0.9, "weight_decay": 0.2}),
}


def operands(name: str, shape: tuple[int, ...], dtype: str = "float64") -> list[np.ndarray]:
    """Parameter, gradient and states (which may be means of squares, so at least 0) for one case."""
    rng = np.random.default_rng(0)
    p, g = rng.standard_normal((2, *shape))
    return [a.astype(dtype) for a in (p, g, *rng.random((CASES[name][1], *shape)))]


def run(module: Any, name: str, arrays: list[np.ndarray]) -> list[np.ndarray]:
    """The arrays after one update, which is made in place."""
    function, _, options = CASES[name]
    getattr(module, function)(*arrays, **options)
    return arrays


@pytest.fixture
def small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Blocks of 8 elements or 16, so that small arrays are cut."""
    monkeypatch.setattr(update, "BLOCK", 8)
    monkeypatch.setattr(update, "LONG_BLOCK", 16)


@pytest.mark.parametrize("shape", [(), (0,), (7,), (8,), (9,), (3, 50), (50, 3), (2, 3, 4, 5), (1, 30)])
@pytest.mark.parametrize("name", CASES)
@pytest.mark.usefixtures("small_blocks")
def test_kernels_do_what_the_rules_say(name: str, shape: tuple[int, ...]) -> None:
    """Each kernel gives what its rule gives, but for rounding, whatever the shape and however it is cut."""
    for ours, defined in zip(
        run(update, name, operands(name, shape)), run(rules, name, operands(name, shape)), strict=True
    ):
        np.testing.assert_allclose(ours, defined, rtol=1e-13, atol=1e-15)


@pytest.mark.parametrize("name", CASES)
@pytest.mark.usefixtures("small_blocks")
def test_kernels_without_the_functions_of_the_library(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the BLAS library under NumPy lacks what they ask it for, NumPy computes the same."""
    monkeypatch.setattr(blas, "_function", lambda *args: None)
    test_kernels_do_what_the_rules_say(name, (3, 50))


def test_an_average_of_equal_arrays_stays() -> None:
    """What is equal to its average stays so to the bit, however often it is averaged."""
    p = np.random.default_rng(0).standard_normal(1000).astype(np.float32)
    e = p.copy()
    for _ in range(100):
        update.average(e, p, keep=0.999)
    np.testing.assert_array_equal(e, p)


@pytest.mark.parametrize("name", CASES)
@pytest.mark.usefixtures("small_blocks")
def test_strides_do_not_matter(name: str) -> None:
    """Parameters and gradients that are not contiguous are updated to the same bits, in their own memory."""
    expected = run(update, name, operands(name, (6, 10)))
    arrays = operands(name, (6, 10))
    arrays[0] = np.asfortranarray(arrays[0])
    arrays[1] = np.repeat(arrays[1], 2, axis=1)[:, ::2]
    arrays[1].flags.writeable = False
    for a, b in zip(run(update, name, arrays), expected, strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("name", CASES)
@pytest.mark.usefixtures("small_blocks")
def test_every_number_of_threads_gives_the_same_bits(name: str) -> None:
    """One, two and five threads give the same bits."""
    results = []
    for n in (1, 2, 5):
        threads.set_num_threads(n)
        results.append(run(update, name, operands(name, (97,), "float32")))
    for other in results[1:]:
        for a, b in zip(results[0], other, strict=True):
            np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize(("name", "shared"), [("sgd", True), ("momentum", False), ("adam", True)])
@pytest.mark.usefixtures("small_blocks")
def test_two_blocks_are_shared_where_they_are_long_or_take_many_passes(
    name: str, shared: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two blocks of momentum, of which 512 KiB take 60 µs, wake no thread up."""
    found = []
    monkeypatch.setattr(update, "parallel", lambda task, count, *, per_thread: found.append(count // per_thread > 1))
    run(update, name, operands(name, (2 * (update.LONG_BLOCK if name == "sgd" else update.BLOCK),)))
    assert found == [shared]


@given(st.integers(1, 40), st.integers(1, 40), st.integers(1, 40))
def test_small_blocks_cover_everything_once(block: int, rows: int, columns: int) -> None:
    """Contiguous or not, every element is visited exactly once, in blocks no larger than they may be or than a row."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(update, "BLOCK", block)
        for a in (np.zeros((rows, columns)), np.zeros((rows, 2 * columns))[:, ::2]):

            def count(part: np.ndarray, s: np.ndarray) -> None:
                assert s.shape == part.shape
                assert part.size <= (block if part.ndim == 1 else max(block, columns))
                part += 1

            update.blockwise(count, a)
            assert (a == 1).all()


@pytest.mark.parametrize("name", CASES)
def test_no_memory_of_the_size_of_a_parameter(name: str) -> None:
    """An update of a large Parameter takes no new memory, once there is a block of scratch memory."""
    threads.set_num_threads(1)  # another thread may get its block late
    arrays = operands(name, (6 * update.BLOCK,), "float32")
    run(update, name, arrays)
    tracemalloc.start()
    run(update, name, arrays)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < arrays[0].nbytes / 50


# ---- denormals


class OneWeight(Layer):
    """A layer with the one Parameter W."""

    def __init__(self, W: Any) -> None:
        super().__init__()
        self.W = Parameter(W)


def denormals(optimizer: Optimizer) -> int:
    """How many denormal numbers the state holds."""
    arrays = [a for entry in optimizer.state.values() for a in entry.values() if isinstance(a, np.ndarray)]
    return sum(int(((a != 0) & (np.abs(a) < np.finfo(a.dtype).smallest_normal)).sum()) for a in arrays)


def after(make: Callable[[], Optimizer], steps: int) -> tuple[np.ndarray, Optimizer]:
    """Weights and optimizer after one gradient for all weights, and then none for the second half of them."""
    layer = OneWeight(np.linspace(-1, 1, 20, dtype=np.float32))
    optimizer = make().setup(layer)
    for step in range(steps):
        g = np.full(20, 0.5, np.float32)
        g[10:] = 0 if step else 1e-3
        layer.W.grad = Variable(g)
        optimizer.update()
    return layer.W.data, optimizer


FADING: list[Callable[[], Optimizer]] = [
    lambda: optimizers.MomentumSGD(0.01),
    lambda: optimizers.MomentumSGD(0.01, nesterov=True),
    lambda: optimizers.AdaDelta(rho=0.9),
    lambda: optimizers.RMSprop(alpha=0.9),
    optimizers.Adam,
    lambda: optimizers.Adam(beta2=0.9),
    optimizers.AdamW,
]


@pytest.mark.parametrize("make", FADING)
def test_means_do_not_stay_denormal(make: Callable[[], Optimizer], monkeypatch: pytest.MonkeyPatch) -> None:
    """Where gradients stay zero, means over them end at zero, not in the denormals; the weights are the same bits."""
    steps = 960
    weights, optimizer = after(make, steps)
    assert denormals(optimizer) == 0
    monkeypatch.setattr(base, "FLUSH_EVERY", steps + 1)
    untouched, plain = after(make, steps)
    assert denormals(plain) >= 10
    np.testing.assert_array_equal(weights, untouched)


def test_lion_goes_on_by_the_sign_of_a_tiny_mean() -> None:
    """Lion's mean is not flushed: where the gradient stays zero, its last sign moves the weight, as in the paper."""
    start, _ = after(lambda: optimizers.Lion(0.5, beta2=0.9), 1)
    weights, _ = after(lambda: optimizers.Lion(0.5, beta2=0.9), 961)
    np.testing.assert_allclose(start - weights, 480)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_flushing_changes_nothing_else(dtype: str) -> None:
    """Only what is smaller than 64 times the smallest normal number becomes zero; inf and nan stay."""
    least = 64 * np.finfo(dtype).smallest_normal
    kept = np.array([least, -least, 1.0, -1e30, np.inf, -np.inf, np.nan], dtype)
    gone = np.array([0.0, least / 2, -least / 2, least / 128, -np.finfo(dtype).smallest_subnormal], dtype)
    a = np.concatenate([kept, gone])
    update.flush_denormals(a)
    np.testing.assert_array_equal(a, np.concatenate([kept, np.zeros(5, dtype)]))


def test_flushing_leaves_other_dtypes() -> None:
    """In float16 64 times the smallest normal number is 0.004, which is not small: it stays, and so do integers."""
    for a in (np.array([1e-3, 6e-8], np.float16), np.array([0, 1])):
        before = a.copy()
        update.flush_denormals(a)
        np.testing.assert_array_equal(a, before)


def test_a_resumed_run_flushes_at_the_same_steps() -> None:
    """The count of updates is part of the state: a mean about to be flushed is so at the same update."""
    _, one = after(lambda: optimizers.MomentumSGD(0.01), 30)
    other_layer = OneWeight(np.zeros(20, np.float32))
    other = optimizers.MomentumSGD(0.01).setup(other_layer)
    one.state["W"]["v"][10:] = 9e-37
    other.load_state_dict(one.state_dict())
    for optimizer in (one, other):
        for expected in (8.1e-37, 0, 0):  # the 32nd update flushes 7.29e-37
            (W,) = optimizer.target.params()
            W.grad = Variable(np.zeros(20, np.float32))
            optimizer.update()
            np.testing.assert_allclose(optimizer.state["W"]["v"][10:], expected, rtol=1e-6, atol=0)
