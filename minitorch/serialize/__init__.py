"""Files of arrays and JSON: written whole or not at all, checked when read, and unable to run code."""

from typing import TYPE_CHECKING

from minitorch.lazy import when_used

__all__ = [
    "ArrayInfo", "Description", "FolderLock", "Loaded", "check_keys", "describe", "is_held", "load",
    "remove_leftovers", "save", "verify",
]  # fmt: skip

if TYPE_CHECKING:
    from minitorch.serialize.atomic import remove_leftovers
    from minitorch.serialize.files import ArrayInfo, Description, Loaded, describe, load, save, verify
    from minitorch.serialize.keys import check_keys
    from minitorch.serialize.lock import FolderLock, is_held
else:
    HOMES = {
        "ArrayInfo": "files", "Description": "files", "FolderLock": "lock", "Loaded": "files", "check_keys": "keys",
        "describe": "files", "is_held": "lock", "load": "files", "remove_leftovers": "atomic", "save": "files",
        "verify": "files",
    }  # fmt: skip
    __getattr__, __dir__ = when_used(__name__, HOMES)
