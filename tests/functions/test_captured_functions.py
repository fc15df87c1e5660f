"""Every function, forward and backward, can be captured on a device, and a launch gives the bits of the eager work."""

import numpy as np
import pytest
import test_dtypes

from minitorch import Variable
from minitorch.cuda import CapturedStep


@pytest.mark.parametrize("name", test_dtypes.CALLS)
def test_functions_are_captured(name, gpu, monkeypatch):
    """Labels and the like are on the device already; nothing else has to be done for it."""
    constants = test_dtypes.LABELS, test_dtypes.YES_OR_NO, test_dtypes.MEAN, test_dtypes.VAR
    there = {id(constant): gpu.array(constant) for constant in constants}
    monkeypatch.setattr(test_dtypes, "beside", lambda x, constant: there[id(constant)])
    f, shapes = test_dtypes.call(name)
    arrays = [gpu.array(test_dtypes.numbers(shape)) for shape in shapes]
    before = {key: a.copy() for key, a in there.items()}
    step = CapturedStep(lambda: test_dtypes.with_gradients(f, [Variable(a) for a in arrays]))
    expected = [a.get() for a in step.warm_up(1)]
    for key, a in there.items():  # running averages have moved
        a[...] = before[key]
    step.capture()
    for a, e in zip(step.launch(), expected, strict=True):
        if name != "dropout":  # which draws anew
            np.testing.assert_array_equal(a.get(), e)
