"""Files of arrays and JSON: written whole or not at all, checked when read, and unable to run code."""

from minitorch.serialize.atomic import remove_leftovers
from minitorch.serialize.files import ArrayInfo, Description, Loaded, describe, load, save, verify
from minitorch.serialize.keys import check_keys

__all__ = [
    "ArrayInfo",
    "Description",
    "Loaded",
    "check_keys",
    "describe",
    "load",
    "remove_leftovers",
    "save",
    "verify",
]
