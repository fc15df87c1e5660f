"""The flags of the framework, and the context managers that set them.

The flags are per thread: a worker thread that computes under `no_grad` changes nothing for the thread that trains.
"""

import threading
from collections.abc import Iterator
from contextlib import _GeneratorContextManager, contextmanager

from minitorch.errors import ConfigError


class _Config(threading.local):
    """The flags of a thread.

    Attributes:
        enable_backprop: record operations for backward.
        train: compute as in training (dropout, batch norm).
        use_onednn: let oneDNN compute on the host where it is installed (the extra `fast`) and fits.
    """

    enable_backprop: bool
    train: bool
    use_onednn: bool

    def __init__(self) -> None:  # in every thread
        self.enable_backprop = True
        self.train = True
        self.use_onednn = True


Config = _Config()


@contextmanager
def using_config(name: str, value: bool) -> Iterator[None]:
    """Set flag `name` to `value` inside a `with` block or a decorated function, then put it back.

    Args:
        name: "enable_backprop", "train" or "use_onednn".
        value: the value inside the block.

    Raises:
        ConfigError: there is no such flag.
    """
    if name not in _Config.__annotations__:
        raise ConfigError(f"using_config: no flag {name!r}; the flags are {', '.join(_Config.__annotations__)}")
    before = getattr(Config, name)
    setattr(Config, name, value)
    try:
        yield
    finally:
        setattr(Config, name, before)


def no_grad() -> _GeneratorContextManager[None]:
    """Record no operations: nothing inside can be differentiated, and no memory is held for it."""
    return using_config("enable_backprop", False)


def test_mode() -> _GeneratorContextManager[None]:
    """Compute as at test time: dropout passes its input on, batch norm uses its running averages."""
    return using_config("train", False)


test_mode.__test__ = False  # type: ignore[attr-defined]  # pytest must not collect it where a test imports it
