"""`extra_module`: a package that only some callbacks need, imported when such a callback is made."""

from importlib import import_module
from typing import Any

from minitorch.errors import MissingExtraError


def extra_module(name: str, owner: str, extra: str) -> Any:
    """The module `name`, for the callback `owner`.

    Raises:
        MissingExtraError: it cannot be imported; the message names the extra that installs it.
    """
    try:
        return import_module(name)
    except ImportError as error:
        raise MissingExtraError(f"{owner} cannot import {name} ({error}): pip install minitorch[{extra}]") from error
