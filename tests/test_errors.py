"""The exception tree: one base, and the built-in class that a caller would have expected."""

import builtins
import inspect

import pytest

from minitorch import errors
from minitorch.errors import MinitorchError

CLASSES = [cls for cls in vars(errors).values() if inspect.isclass(cls) and cls is not MinitorchError]
EXPECTED = {
    "ConfigError": ValueError,
    "ShapeError": ValueError,
    "DTypeError": TypeError,
    "GraphError": RuntimeError,
    "DeviceError": RuntimeError,
    "MissingExtraError": ImportError,
    "DataError": ValueError,
    "DownloadError": OSError,
    "StateError": ValueError,
    "CheckpointError": ValueError,
    "InUseError": BlockingIOError,
    "HookError": TypeError,
    "InjectedError": RuntimeError,
    "NonFiniteError": ArithmeticError,
    "SyncError": RuntimeError,
}


@pytest.mark.parametrize("cls", CLASSES, ids=lambda cls: cls.__name__)
def test_each_error_is_caught_under_both_names(cls):
    """As a MinitorchError and as a built-in error; the message stays what was given; the docstring says what for."""
    own = {base for base in cls.__mro__ if vars(builtins).get(base.__name__) is base} - {
        Exception,
        BaseException,
        object,
    }
    assert own
    for base in (MinitorchError, *own):
        with pytest.raises(base, match=r"^what, value, rule, remedy$"):
            raise cls("what, value, rule, remedy")
    assert cls.__doc__.endswith(".")


@pytest.mark.parametrize(("name", "builtin"), EXPECTED.items())
def test_the_built_in_of_each_error(name, builtin):
    """What callers already catch goes on working."""
    assert issubclass(getattr(errors, name), builtin)
