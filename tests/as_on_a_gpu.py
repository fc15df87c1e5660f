"""A plugin of pytest, `-p as_on_a_gpu`: the stand-in for CuPy is taken for a real one.

Tests marked `gpu` then run as they will where there is a device, but for what the stand-in alone refuses.
"""

import fake_cupy

_installed = fake_cupy.installed()
_installed.__enter__()  # before any test asks whether there is a device


def pytest_unconfigure() -> None:
    """Take it away again."""
    _installed.__exit__(None, None, None)
