"""Strict loading: the keys must be equal, and the message says how they differ."""

import pytest

from minitorch.errors import StateError
from minitorch.serialize import check_keys


def test_equal_keys_pass():
    """The same keys in any order, from any iterable, raise nothing."""
    check_keys("MLP", ["a", "b"], {"b": 1, "a": 2})
    check_keys("MLP", [], iter(()))


def test_keys_that_differ_are_listed():
    """Missing and unexpected keys are counted, sorted and named."""
    with pytest.raises(StateError) as info:
        check_keys("MLP.load_state_dict", ["l0.W", "step", "b"], ["l0.W", "momentum"])
    assert str(info.value) == (
        "MLP.load_state_dict: missing (2): b, step; unexpected (1): momentum. "
        "Load a state of the same structure, or rename its keys"
    )


def test_misspelled_key_is_paired():
    """A missing key that resembles an unexpected one says so."""
    with pytest.raises(StateError, match=r"^MLP: missing \(1\): l0.W \(is it l0.w\?\); unexpected \(1\): l0.w\. "):
        check_keys("MLP", ["l0.W", "l0.b"], ["l0.w", "l0.b"])


def test_long_lists_are_cut():
    """Of many keys the first ten are shown, and how many more there are."""
    with pytest.raises(StateError) as info:
        check_keys("VGG16", (f"p{i:02}" for i in range(22)), (f"completely.else.{i:02}" for i in range(11)))
    assert "missing (22): p00, p01, p02, p03, p04, p05, p06, p07, p08, p09 ... and 12 more; " in str(info.value)
    assert "else.09 ... and 1 more. Load" in str(info.value)
    with pytest.raises(StateError) as info:
        check_keys("VGG16", [], (f"{i:02}" for i in range(10)))
    assert str(info.value).startswith("VGG16: unexpected (10): 00, 01, 02, 03, 04, 05, 06, 07, 08, 09. Load")
