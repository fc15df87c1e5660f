"""Peers that need help before they run: how they are brought to it is part of the measurement, and stands here."""

from typing import Any

import numpy as np

DEZERO_NEEDS = ("dezero", "matplotlib", "pillow")  # it does not say that it needs the last two


def import_dezero(*, keep_float32: bool) -> Any:
    """DeZero 0.0.13, which does not import on NumPy 2 as it is: `np.int`, removed there, is put back before.

    Args:
        keep_float32: turn its Python numbers into float32 arrays. As it is, they become float64 arrays, which on
            NumPy 2 turn every gradient into float64.
    """
    vars(np)["int"] = int
    import dezero
    import dezero.core
    import dezero.models

    if keep_float32:

        def as_array(x: Any, array_module: Any = np) -> Any:
            return array_module.array(x, np.float32) if np.isscalar(x) else x

        dezero.core.as_array = as_array
    return dezero
