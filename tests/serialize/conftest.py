"""What the tests of files share."""

import numpy as np
import pytest

from minitorch.serialize import save


@pytest.fixture
def path(tmp_path):
    """A file that does not exist yet, in a folder of its own."""
    return tmp_path / "model.safetensors"


@pytest.fixture
def old(path):
    """A valid file with known content, alone in its folder."""
    save(path, {"x": np.zeros(3)}, {"generation": "old"})
    return path
