"""Adam's step by oneDNN: the rule in float64, NumPy's numbers beside, and bits that stay."""

import numpy as np
import pytest

from minitorch import get_num_threads, set_num_threads, using_config
from minitorch.cpu import update
from minitorch.cpu.onednn import adam as by_onednn
from minitorch.cpu.onednn import library
from minitorch.optimizers import rules

pytestmark = pytest.mark.skipif(library.find().library is None, reason="needs oneDNN: pip install minitorch[fast]")
SHAPES = [(by_onednn.LEAST,), (784, 1000), (3, update.BLOCK + 7)]


def updated(shape, dtype=np.float32, module=update, turned=False, **options):
    """Parameter and moments after three updates, of which some elements have no gradient."""
    draw = np.random.default_rng(0)
    p, g = draw.standard_normal((2, *shape)).astype(np.float32).astype(dtype)
    g[..., ::7] = 0
    if turned:
        p = np.asfortranarray(p)
    m, v = np.zeros((2, *shape), dtype)
    for t in (1, 2, 3):
        module.adam(p, g / t, m, v, t=t, lr=0.01 / t, beta1=0.9, beta2=0.999, eps=1e-8, **options)
    return p, m, v


@pytest.mark.parametrize("options", [{}, {"weight_decay": 0.1}], ids=str)
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_is_its_rule(shape, options, monkeypatch):
    """It is what the rule gives in float64, to rounding, where rates and counts change from step to step."""
    calls, step = [], by_onednn.step
    monkeypatch.setattr(by_onednn, "step", lambda *args: calls.append(0) or step(*args))
    for a, e in zip(updated(shape, **options), updated(shape, np.float64, rules, **options), strict=True):
        np.testing.assert_allclose(a, e, rtol=1e-5, atol=1e-7)
    assert calls


def test_bits_depend_neither_on_threads_nor_on_the_order_in_memory():
    """One, two or three threads give the same bits, and a Parameter in another order of memory."""
    before, bits = get_num_threads(), []
    try:
        for n in (1, 2, 3):
            set_num_threads(n)
            bits.append([a.tobytes() for a in updated(SHAPES[1])])
    finally:
        set_num_threads(before)
    assert bits[0] == bits[1] == bits[2] == [a.tobytes() for a in updated(SHAPES[1], turned=True)]


def test_smaller_ones_and_other_dtypes_are_left_to_numpy():
    """So are all where the flag is off."""
    assert by_onednn.takes(np.zeros(by_onednn.LEAST, np.float32))
    assert not by_onednn.takes(np.zeros(by_onednn.LEAST - 1, np.float32))
    assert not by_onednn.takes(np.zeros(by_onednn.LEAST))
    with using_config("use_onednn", False):
        assert not by_onednn.takes(np.zeros(by_onednn.LEAST, np.float32))


@pytest.mark.filterwarnings("ignore:invalid value")
def test_special_values_are_as_numpys():
    """Gradients and moments of zero, of nan and of infinity lead to the numbers that NumPy gives."""
    results = []
    for flag in (True, False):
        p, m, v, g = np.ones((4, by_onednn.LEAST), np.float32)
        v[:6], m[:6], g[:6] = (0, 0, np.inf, np.nan, 1, 0), (0, 0, 1, 1, np.inf, np.nan), (0, 1e-30, 0, 0, 0, 0)
        with using_config("use_onednn", flag):
            update.adam(p, g, m, v, t=1, lr=0.01, beta1=0.9, beta2=0.999, eps=1e-8)
        results.append(p)
    np.testing.assert_allclose(*results, rtol=1e-6)
