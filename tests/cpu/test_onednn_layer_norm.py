"""Layer normalisation by oneDNN: its definition in float64, and NumPy's kernels on either side of it."""

import itertools

import numpy as np
import pytest

import minitorch.functions as F
from minitorch import Variable, get_num_threads, set_num_threads, using_config
from minitorch.cpu.onednn import layer_norm as by_onednn
from minitorch.cpu.onednn import library

pytestmark = pytest.mark.skipif(library.find().library is None, reason="needs oneDNN: pip install minitorch[fast]")
SHAPES = [(2048, 128), (3, 50, 200), (2, 70_000), (129, 128)]


def arrays(shape, dtype=np.float32):
    """x, gamma, beta, and a gradient of the result."""
    draw = np.random.default_rng(0)
    return [draw.normal(1, 2, s).astype(np.float32).astype(dtype) for s in (shape, shape[-1], shape[-1], shape)]


def computed(given, forward=True, backward=True):
    """The result and all gradients, each way with or without oneDNN."""
    *leaves, g = map(Variable, given)
    with using_config("use_onednn", forward):
        y = F.layer_norm(*leaves)
    y.grad = g
    with using_config("use_onednn", backward):
        y.backward()
    return [y.data, *[leaf.grad.data for leaf in leaves]]


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_is_its_definition(shape, monkeypatch):
    """Value and gradients are those of float64 to rounding, where the forward or the backward is NumPy's too."""
    calls = []
    for way in ("forward", "backward"):
        kernel = getattr(by_onednn, way)
        monkeypatch.setattr(by_onednn, way, lambda *args, way=way, kernel=kernel: calls.append(way) or kernel(*args))
    expected = computed(arrays(shape, np.float64))
    assert not calls
    for forward, backward in itertools.product((True, False), repeat=2):
        found = computed(arrays(shape), forward, backward)
        for a, e in zip(found, expected, strict=True):
            assert a.dtype == np.float32
            np.testing.assert_allclose(a, e, rtol=1e-4, atol=1e-6 * np.abs(e).max())
    assert sorted(calls) == ["backward", "backward", "forward", "forward"]


def test_bits_do_not_depend_on_the_number_of_threads():
    """One, two or three threads give the same bits."""
    before, bits = get_num_threads(), []
    try:
        for n in (1, 2, 3):
            set_num_threads(n)
            bits.append([a.tobytes() for a in computed(arrays(SHAPES[0]))])
    finally:
        set_num_threads(before)
    assert bits[0] == bits[1] == bits[2]


def test_what_is_left_to_numpy():
    """Little work, no gamma and beta, other dtypes, and arrays that do not fit."""
    x, gamma, beta, _ = arrays((2048, 128))
    assert by_onednn.takes(x, gamma, beta)
    assert not by_onednn.takes(x[:8], gamma, beta)
    assert not by_onednn.takes(x, None, None)
    assert not by_onednn.takes(x, gamma.astype(np.float64), beta)
    assert not by_onednn.takes(x, gamma[:1], beta)
