"""`Dropout`: the function as a layer."""

import numpy as np
import pytest

import minitorch
import minitorch.functions as F
import minitorch.layers as L
from minitorch import test_mode
from minitorch.errors import ConfigError

X = np.ones((20, 30), np.float32)


def test_it_is_the_function(device):
    """While training it is `F.dropout` with the ratio of the layer; in test mode it passes its input on."""
    layer = L.Dropout(0.3)
    y = layer(device.put(X))
    minitorch.seed(0)
    np.testing.assert_array_equal(device.get(y.data), F.dropout(X, 0.3).data)
    with test_mode():
        np.testing.assert_array_equal(device.get(layer(device.put(X)).data), X)


def test_it_has_no_parameters():
    """There is nothing to train or save in it."""
    assert list(L.Dropout().params()) == []
    assert repr(L.Dropout()) == "Dropout(0.5)"


@pytest.mark.parametrize("wrong", [-0.1, 1.5], ids=repr)
def test_the_ratio_is_checked_when_it_is_made(wrong):
    """A ratio that is no probability is refused at once, not at the first call."""
    with pytest.raises(
        ConfigError, match=rf"^Dropout: dropout_ratio {wrong!r} is not a probability; it must be from 0 "
    ):
        L.Dropout(wrong)
