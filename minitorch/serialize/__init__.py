"""Files of arrays and JSON: written whole or not at all, checked when read, and unable to run code."""

from minitorch.serialize.atomic import remove_leftovers
from minitorch.serialize.files import ArrayInfo, Description, Loaded, describe, load, save, verify
from minitorch.serialize.keys import check_keys
from minitorch.serialize.lock import FolderLock, is_held

__all__ = [
    "ArrayInfo",
    "Description",
    "FolderLock",
    "Loaded",
    "check_keys",
    "describe",
    "is_held",
    "load",
    "remove_leftovers",
    "save",
    "verify",
]
