"""Where a test computes: what the fixture `device` gives."""

from typing import Any

import attrs
import numpy as np
import pytest


def has_cuda() -> bool:
    """Whether the real CuPy finds a device."""
    try:
        import cupy
    except ImportError:
        return False
    return bool(cupy.is_available())


GPUS = ["fake", *([pytest.param("cuda", marks=pytest.mark.gpu)] if has_cuda() else [])]


@attrs.frozen
class Backend:
    """Where a test computes: its array module, and the way there and back.

    Attributes:
        name: "cpu", "fake" (the stand-in for CuPy) or "cuda".
        xp: the array module.
    """

    name: str
    xp: Any

    def put(self, a: Any) -> Any:
        """A copy of the array, number or list `a` as an array of `xp`."""
        return self.xp.array(a)

    def get(self, a: Any) -> np.ndarray[Any, Any]:
        """The array `a`, which must be one of `xp`, on the host."""
        assert isinstance(a, self.xp.ndarray), f"expected an array of {self.xp.__name__}, got {type(a)}"
        return a if self.xp is np else self.xp.asnumpy(a)
