"""Attention on the host: its definition in float64 over several blocks of queries, and bits that stay."""

from typing import Any

import numpy as np
import pytest

from minitorch import Variable
from minitorch.cpu import attention as kernels
from minitorch.cpu import threads
from minitorch.cpu.attention import QUERIES
from minitorch.ops.attention import attention, attention_reference

Array = np.ndarray[Any, Any]
T = 2 * QUERIES + 5
CAUSAL = np.tri(T, dtype=bool)
PADDED = np.arange(T) < np.array([T, 3, 0])[:, None, None, None]  # of the last sample no key is seen
SPARSE = np.random.default_rng(1).random((3, 2, T, T)) < 0.02
MASKS = {"none": None, "causal": CAUSAL, "padded": PADDED, "sparse": SPARSE, "both": CAUSAL & PADDED}


def heads(scale: float = 1.0) -> list[Array]:
    """q, k, v and a gradient, (3, 2, T, 8), laid out as a layer has them: heads within positions."""
    draw = np.random.default_rng(0)
    return [draw.normal(0, scale, (3, T, 2, 8)).transpose(0, 2, 1, 3) for _ in range(4)]


def computed(f: Any, given: list[Array], allowed: Array | None, noise: Array | None = None) -> list[Array]:
    *leaves, g = [Variable(a) for a in given]
    y = f(*leaves, allowed, noise, scale=8**-0.5)
    y.grad = g
    y.backward()
    return [y.data, *[leaf.grad.data for leaf in leaves]]


@pytest.mark.parametrize("noisy", [False, True])
@pytest.mark.parametrize("mask", MASKS)
def test_is_its_definition(mask: str, noisy: bool) -> None:
    """Value and gradients in float32 are those of the reference in float64, whatever keys are left out."""
    noise = 2.0 * (np.random.default_rng(2).random((3, 2, T, T)) < 0.5) if noisy else None
    expected = computed(attention_reference, heads(), MASKS[mask], noise)
    noise = None if noise is None else noise.astype(np.float32)
    actual = computed(attention, [a.astype(np.float32) for a in heads()], MASKS[mask], noise)
    for a, e in zip(actual, expected, strict=True):
        assert a.dtype == np.float32
        np.testing.assert_allclose(a, e, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("mask", MASKS)
def test_scores_of_any_size(mask: str) -> None:
    """Where exponentials leave the range of float32, they are computed from the maximum of their row."""
    given = heads(8.0)
    given[0][:, :, 1] = -np.abs(given[0][:, :, 1]) * 4
    given[1] = np.abs(given[1])  # so that all scores of the second query are far below 0
    expected = computed(attention_reference, given, MASKS[mask])
    actual = computed(attention, [a.astype(np.float32) for a in given], MASKS[mask])
    for a, e in zip(actual, expected, strict=True):
        np.testing.assert_allclose(a, e, rtol=1e-3, atol=1e-2)


def test_a_large_score_changes_no_other_query() -> None:
    """Rows are computed anew one by one: the bits of all others stay."""
    q, k, v, _ = [a.astype(np.float32) for a in heads()]
    y = attention(q, k, v, None, None, scale=1.0)
    q[1, 0, 7] = 1000
    changed = attention(q, k, v, None, None, scale=1.0)
    assert np.isfinite(changed).all()
    np.testing.assert_array_equal(np.argwhere((changed != y).any(axis=-1)), [[1, 0, 7]])


@pytest.mark.parametrize("mask", MASKS)
def test_bits_do_not_depend_on_the_number_of_threads(mask: str) -> None:
    """One, two or three threads give the same bits, forward and backward."""
    given = [a.astype(np.float32) for a in heads()]
    bits = []
    for n in (1, 2, 3):
        threads.set_num_threads(n)
        bits.append([a.tobytes() for a in computed(attention, given, MASKS[mask])])
    assert bits[0] == bits[1] == bits[2]


@pytest.mark.parametrize("lead", [(3,), (2, 3), (2, 3, 2)])
def test_heads_in_any_groups(lead: tuple[int, ...], monkeypatch: pytest.MonkeyPatch) -> None:
    """One head in a task, or several, or those of several samples: each gets the same bits."""
    given = list(np.random.default_rng(0).normal(size=(4, *lead, 5, 4)).astype(np.float32))
    bits = []
    for scores in (1, 200, 350, 1000, 1 << 20):
        monkeypatch.setattr(kernels, "SCORES", scores)
        bits.append([a.tobytes() for a in computed(attention, given, np.tri(5, dtype=bool))])
    assert all(each == bits[0] for each in bits)


def test_keys_that_nobody_sees_cost_nothing() -> None:
    """A causal attention keeps about half of the exponentials."""
    q, k, v, _ = heads()
    _, saved = attention.forward(q, k, v, CAUSAL, None, scale=1.0)
    kept = sum(e.size for _, e, _ in saved)
    assert kept == 6 * (QUERIES * QUERIES + QUERIES * 2 * QUERIES + 5 * T)
