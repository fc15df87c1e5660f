"""Memory that a step frees comes back in the next one without page faults."""

import subprocess
import sys

import pytest

PROGRAM = """
import resource
import numpy as np
import minitorch
from minitorch.models import MLP

minitorch.optimizers.SGD(0.1).setup(MLP((1,)))

def step():
    arrays = [np.ones(1 << 18, np.float32) for _ in range(20)]

step()
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(10):
    step()
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="the setting is of glibc")
def test_steps_reuse_pages() -> None:
    """Ten steps that allocate and free 20 MB each touch few new pages once an optimizer has been set up."""
    output = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=True).stdout
    assert int(output) < 1000, "50,000 pages were written"
