"""Save, load, verify and describe a file of arrays and JSON."""

import json
import os
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import attrs
import numpy as np

from minitorch.cuda import as_numpy, is_array
from minitorch.errors import ConfigError, DTypeError
from minitorch.serialize.atomic import replacing
from minitorch.serialize.header import (
    CHUNK,
    CODES,
    DTYPES,
    LONGEST,
    STORED_AS,
    Entry,
    OpenFile,
    damaged,
    encode,
    in_order,
    located,
    opened,
    start_checksum,
)

if TYPE_CHECKING:
    from hashlib import _Hash as Checksum

Array = Any  # a NumPy or CuPy array
HostArray = np.ndarray[Any, Any]


@attrs.frozen(eq=False)
class Loaded:
    """The content of a file: `arrays` by name, sorted, and the JSON tree `meta`."""

    arrays: dict[str, HostArray]
    meta: dict[str, Any]


@attrs.frozen
class ArrayInfo:
    """Shape and dtype of an array in a file: NumPy's name, or the format's code where NumPy has none ("BF16")."""

    shape: tuple[int, ...]
    dtype: str


@attrs.frozen
class Description:
    """What a header says; `nbytes` is the size of the file, `format_version` None in a file of another tool."""

    path: str
    nbytes: int
    format_version: str | None
    arrays: dict[str, ArrayInfo]
    meta: dict[str, Any]


def save(path: str | os.PathLike[str], arrays: Mapping[str, Array], meta: Mapping[str, Any] | None = None) -> None:
    """Write `arrays` and `meta` to `path`, whole or not at all: a crash or a full disk leaves the older file.

    The same content always makes the same bytes. Arrays on a device stay there; each is copied to the host as its
    turn comes. A missing folder is made; a symbolic link is written through.

    Args:
        path: the file; its usual ending is `.safetensors`.
        arrays: NumPy or CuPy arrays of bool, integers, float16, float32 or float64, by name; of any shape, strides
            and byte order. They come back bit for bit.
        meta: plain JSON: dict with str keys, list, str, int of any size, float (nan and inf too), bool, None. A tuple
            comes back as a list, and every nan as the one `float("nan")`.

    Raises:
        ConfigError: a name is empty, reserved or no text; there are too many of them, or `meta` is too large.
        DTypeError: an array or a value in `meta` is of a type that cannot be saved; the message says which.
        CheckpointError: the file could not be written; the older one is intact.
    """
    text = _meta_text({} if meta is None else meta)
    entries = located(in_order(_entry(name, array) for name, array in arrays.items()))
    checksum = start_checksum(entries, text)
    blank = encode(entries, text, checksum.hexdigest())
    if len(blank) > LONGEST:
        raise ConfigError(
            f"save: names and meta take {len(blank):,} bytes, and the format allows {LONGEST:,}; "
            "put long lists of numbers into arrays instead of meta"
        )
    with replacing(path, len(blank) + sum(entry.nbytes for entry in entries)) as file:
        file.seek(len(blank))
        for entry in entries:
            view = _bytes_of(np.asarray(as_numpy(arrays[entry.name]), STORED_AS[entry.code], order="C"))
            for begin in range(0, len(view), CHUNK):
                checksum.update(view[begin : begin + CHUNK])
                file.write(view[begin : begin + CHUNK])
        file.seek(0)
        file.write(encode(entries, text, checksum.hexdigest()))


def load(path: str | os.PathLike[str]) -> Loaded:
    """Read and check the whole file: what is returned is exactly what was saved.

    The arrays are writable, in native byte order, and own their memory. A file of another tool is read too: it has no
    checksum to check, its `meta` is empty, and bfloat16, which NumPy lacks, is widened to float32 without loss.

    Raises:
        MissingFileError: there is no such file (a `CheckpointError` and a `FileNotFoundError`).
        CheckpointError: the file is damaged, truncated, of another format version, or cannot be read.
        DTypeError: a file of another tool has an array of a type that NumPy lacks; the message says which.
    """
    with opened(path) as content:
        entries = content.arrays()
        checksum = start_checksum(entries, content.metadata.get("meta", ""))
        arrays = {entry.name: _read(content, entry, checksum) for entry in entries}
        content.check(checksum)
        return Loaded(dict(sorted(arrays.items())), content.meta())


def verify(path: str | os.PathLike[str]) -> None:
    """Check the whole file in little memory; return only if `load` would return exactly what was saved.

    A file of another tool has no checksum: of it, only the header and the length are checked.

    Raises:
        CheckpointError: as from `load`.
    """
    with opened(path) as content:
        if not content.is_ours:
            return
        entries = content.arrays()
        checksum = start_checksum(entries, content.metadata["meta"])
        buffer = memoryview(bytearray(CHUNK))
        for entry in entries:
            for at in range(0, entry.nbytes, CHUNK):
                content.read(entry.start + at, buffer[: entry.nbytes - at], checksum)
        content.check(checksum)
        content.meta()


def describe(path: str | os.PathLike[str]) -> Description:
    """Say what is in the file, from its header alone: at once, whatever its size, and with nothing verified.

    Raises:
        CheckpointError: the header cannot be read, or is of another format version.
    """
    with opened(path) as content:
        return Description(
            path=content.path,
            nbytes=os.fstat(content.file.fileno()).st_size,
            format_version=content.metadata["format_version"] if content.is_ours else None,
            arrays={e.name: ArrayInfo(e.shape, DTYPES.get(e.code, e.code)) for e in content.entries},
            meta=content.meta(),
        )


def _entry(name: str, array: Array) -> Entry:
    """The entry of one array to save; raises where name or dtype cannot be written."""
    if not isinstance(name, str) or name in ("", "__metadata__"):
        raise ConfigError(f"save: {name!r} cannot name an array; a name is a str, not empty and not '__metadata__'")
    try:
        name.encode()
    except UnicodeEncodeError:
        raise ConfigError(
            f"save: {name!r} cannot name an array: it has half a surrogate pair; use valid text"
        ) from None
    if not is_array(array) and not isinstance(array, np.generic):
        raise DTypeError(f"save: {name!r} is a {type(array).__name__}; give an array (of a Variable, its .data)")
    if array.dtype.name not in CODES:
        raise DTypeError(f"save: {name!r} has dtype {array.dtype}; what can be saved is {', '.join(CODES)}")
    return Entry(name, CODES[array.dtype.name], tuple(array.shape))


def _bytes_of(array: HostArray) -> memoryview:
    return array.reshape(-1).view(np.uint8).data


def _read(content: OpenFile, entry: Entry, checksum: "Checksum") -> HostArray:
    try:
        array = np.empty(entry.shape, STORED_AS[entry.code])
    except ValueError as error:  # more axes or a longer axis than NumPy takes
        raise damaged(content.path, f"array {entry.name!r} of shape {entry.shape} is impossible ({error})") from None
    content.read(entry.start, _bytes_of(array), checksum)
    if entry.code == "BF16":  # the upper half of a float32
        wide = np.empty(entry.shape, np.float32)
        np.left_shift(array, 16, out=wide.view(np.uint32), dtype=np.uint32)
        return wide
    return array.astype(array.dtype.newbyteorder("="), copy=False)


def _meta_text(meta: Mapping[str, Any]) -> str:
    if not isinstance(meta, Mapping):
        raise DTypeError(f"save: meta is a {type(meta).__name__}; give a dict, such as {{'value': ...}}")
    try:
        _check_json(dict(meta), "meta")
        return json.dumps(dict(meta), separators=(",", ":"))
    except RecursionError:
        raise ConfigError("save: meta is nested too deep, or contains itself; make it flat") from None
    except ValueError as error:  # CPython limits the digits of an int
        raise ConfigError(f"save: meta cannot be written as JSON: {error}") from None


def _check_json(value: Any, where: str) -> None:
    """Raise unless `value` comes back from JSON as it is; `json` itself would turn the key 1 into "1" in silence."""
    if isinstance(value, dict):
        for key, item in value.items():
            if not isinstance(key, str):
                raise DTypeError(f"save: {where} has the key {key!r}; keys of JSON are str: use {str(key)!r}")
            _check_json(item, f"{where}[{key!r}]")
    elif isinstance(value, list | tuple):
        for i, item in enumerate(value):
            _check_json(item, f"{where}[{i}]")
    elif value is not None and not isinstance(value, str | int | float):
        raise DTypeError(
            f"save: {where} is a {type(value).__name__}; meta takes dict, list, str, int, float, bool and None: "
            "convert it (int(x), float(x)), or save it among the arrays"
        )
