"""What DeZero's users look for under this name: gradient checks, comparison, and cached downloads."""

from typing import Any

import numpy as np

from minitorch.autograd.check import directional_check, gradient_check, numerical_grad
from minitorch.cuda import as_numpy
from minitorch.datasets.download import get_file

__all__ = ["array_allclose", "array_equal", "directional_check", "get_file", "gradient_check", "numerical_grad"]


def array_equal(a: Any, b: Any) -> bool:
    """Whether two arrays or Variables, wherever they live, have the same shape and elements."""
    return np.array_equal(as_numpy(a), as_numpy(b))


def array_allclose(a: Any, b: Any, rtol: float = 1e-4, atol: float = 1e-5) -> bool:
    """Whether two arrays or Variables, wherever they live, are equal within `atol + rtol * abs(b)`."""
    return np.allclose(as_numpy(a), as_numpy(b), rtol=rtol, atol=atol)
