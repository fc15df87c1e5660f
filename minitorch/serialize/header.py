"""The header of a `.safetensors` file as minitorch writes it, and the one way to open such a file for reading.

The metadata of a file, all strings, holds

- `format`: "minitorch"; `format_version`: "1";
- `meta`: the JSON tree that was saved with the arrays;
- `checksum`: SHA-256 over version, meta, names, dtypes, shapes and all bytes, so that damage anywhere is found.

Headers are parsed and judged by the safetensors package alone: no size or offset reaches this code unchecked. The
bytes are moved by our own code, so that they pass the checksum on their way and are never held twice; the package's
writer needs every device array on the host at once, and after a crash leaves a file that shows no owner.
"""

import contextlib
import io
import json
import math
import os
import stat
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import attrs
import numpy as np

from minitorch.errors import CheckpointError, DTypeError, MissingFileError
from minitorch.spelling import similar

if TYPE_CHECKING:
    from hashlib import _Hash as Checksum

CHUNK = 1 << 20  # bytes that pass from file to memory to checksum while they are in the cache
LONGEST = 100_000_000  # bytes in a header, by the definition of the format

DTYPES = {
    "BOOL": "bool",
    "F16": "float16",
    "F32": "float32",
    "F64": "float64",
    "I8": "int8",
    "I16": "int16",
    "I32": "int32",
    "I64": "int64",
    "U8": "uint8",
    "U16": "uint16",
    "U32": "uint32",
    "U64": "uint64",
}
CODES = {name: code for code, name in DTYPES.items()}
STORED_AS = {code: np.dtype("<" + np.dtype(name).str[1:]) for code, name in {**DTYPES, "BF16": "uint16"}.items()}

_FORMAT, _VERSION = "minitorch", "1"
_MARKS = ("format_version", "meta", "checksum")


@attrs.frozen
class Entry:
    """One array of a file; `start` counts from the first byte after the header."""

    name: str
    code: str
    shape: tuple[int, ...]
    start: int = 0

    @property
    def nbytes(self) -> int:
        """How many bytes the array takes in the file."""
        return math.prod(self.shape) * STORED_AS[self.code].itemsize


def in_order(entries: Iterable[Entry]) -> list[Entry]:
    """The entries in the order of checksum and writing: the widest first, so that each lies aligned; then by name."""
    return sorted(entries, key=lambda entry: (-STORED_AS[entry.code].itemsize, entry.name))


def located(entries: Iterable[Entry]) -> list[Entry]:
    """The entries with the places they have if their bytes follow one another without gaps, as the format demands."""
    start, result = 0, []
    for entry in entries:
        result.append(attrs.evolve(entry, start=start))
        start += entry.nbytes
    return result


def start_checksum(entries: Iterable[Entry], meta: str) -> "Checksum":
    """The checksum of everything but the arrays' bytes, to be updated with those in the order of `entries`."""
    import hashlib  # here, since most programs that import minitorch open no file

    about = [_FORMAT, _VERSION, meta, [[entry.name, entry.code, entry.shape] for entry in entries]]
    return hashlib.sha256(json.dumps(about).encode())


def encode(entries: Iterable[Entry], meta: str, checksum: str) -> bytes:
    """The first bytes of a file, as long for one checksum as for another; a multiple of 8, to align the arrays."""
    marks = {"format": _FORMAT, "format_version": _VERSION, "meta": meta, "checksum": checksum}
    tree: dict[str, Any] = {"__metadata__": marks}
    for entry in entries:
        offsets = [entry.start, entry.start + entry.nbytes]
        tree[entry.name] = {"dtype": entry.code, "shape": entry.shape, "data_offsets": offsets}
    text = json.dumps(tree, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    return len(text).to_bytes(8, "little") + text


@attrs.frozen
class OpenFile:
    """A file open for reading, with its header as the safetensors package parsed it."""

    path: str
    file: io.BufferedReader
    data: int  # where the arrays' bytes begin
    entries: list[Entry]  # in the order of their bytes, not located yet
    metadata: dict[str, str]

    @property
    def is_ours(self) -> bool:
        """Whether minitorch wrote the file; one damaged mark does not turn it into an unchecked file of others."""
        return self.metadata.get("format") == _FORMAT or sum(mark in self.metadata for mark in _MARKS) > 1

    def check_version(self) -> None:
        """Raise unless this is a file of others or one of ours that this version reads."""
        if not self.is_ours:
            return
        if self.metadata.get("format") != _FORMAT or any(mark not in self.metadata for mark in _MARKS):
            raise damaged(self.path, "its metadata is incomplete")
        if self.metadata["format_version"] != _VERSION:
            raise CheckpointError(
                f"{self.path} has format_version {self.metadata['format_version']!r:.40} and this minitorch reads "
                f"{_VERSION!r}: update minitorch if a newer one wrote the file, else the file is damaged"
            )

    def arrays(self) -> list[Entry]:
        """The entries with their places, in the order of the checksum."""
        for entry in self.entries:
            if self.is_ours and entry.code not in DTYPES:
                raise damaged(self.path, f"array {entry.name!r} has dtype {entry.code}, which is never saved")
            if entry.code not in STORED_AS:
                raise DTypeError(
                    f"{self.path}: array {entry.name!r} has dtype {entry.code}, which cannot be read; "
                    "convert it to F32 with the tool that wrote the file"
                )
        return in_order(located(self.entries))

    def meta(self) -> dict[str, Any]:
        """The JSON tree of the metadata; empty in a file of others."""
        if not self.is_ours:
            return {}
        try:
            meta = json.loads(self.metadata["meta"])
        except (ValueError, RecursionError) as error:
            raise damaged(self.path, f"its meta is no JSON ({error})") from None
        if not isinstance(meta, dict):
            raise damaged(self.path, f"its meta is a {type(meta).__name__} instead of a dict")
        return meta

    def read(self, at: int, out: memoryview, checksum: "Checksum") -> None:
        """Fill `out` with the arrays' bytes from `at` on, and count them in `checksum`."""
        self.file.seek(self.data + at)
        for begin in range(0, len(out), CHUNK):
            part = out[begin : begin + CHUNK]
            if self.file.readinto(part) != len(part):
                raise damaged(self.path, "it became shorter while it was read")
            checksum.update(part)

    def check(self, checksum: "Checksum") -> None:
        """Raise unless what was read is what was written; a file of others says nothing about that."""
        if self.is_ours and self.metadata["checksum"] != checksum.hexdigest():
            raise damaged(self.path, "its content does not fit its checksum")


@contextlib.contextmanager
def opened(path: str | os.PathLike[str]) -> Iterator[OpenFile]:
    """The file at `path`, its header parsed and judged.

    Raises:
        MissingFileError: there is no such file.
        CheckpointError: the file cannot be read, its header is damaged, or it is of another format version.
    """
    name = os.fspath(path)
    try:
        if not stat.S_ISREG(os.stat(name).st_mode):  # a pipe would block for ever
            raise CheckpointError(f"{name} is a folder or a device; name a .safetensors file")
        while True:
            with open(name, "rb") as file:
                content = _parse(name, file)
                if os.path.samestat(os.fstat(file.fileno()), os.stat(name)):
                    content.check_version()
                    yield content
                    return
            # Another file took the name between our opening it and the package's: both must see the same one.
    except FileNotFoundError:
        raise MissingFileError(_why_missing(Path(name))) from None
    except OSError as error:
        raise CheckpointError(f"{name} cannot be read: {error.strerror or error}") from error


def damaged(path: str, why: str) -> CheckpointError:
    """The error to raise when the content of a file is wrong."""
    return CheckpointError(f"{path} is damaged: {why}; restore it from a copy, or use an older checkpoint")


def _parse(path: str, file: io.BufferedReader) -> OpenFile:
    from safetensors import SafetensorError, safe_open

    size = os.fstat(file.fileno()).st_size
    if size == 0:
        raise damaged(path, "it is empty")
    start = file.read(8)
    length = int.from_bytes(start, "little")
    if start.startswith(b"PK\x03\x04"):
        raise CheckpointError(
            f"{path} is a zip archive, such as NumPy's .npz, and no safetensors file; read it with numpy.load, and "
            "give the arrays to load_state_dict by the paths of the Parameters"
        )
    if length > LONGEST:
        raise damaged(path, f"it is no safetensors file, or the length of its header, {length:,}, was overwritten")
    if size < 8 + length:
        raise damaged(path, f"it is truncated: it has {size:,} bytes and its header alone takes {8 + length:,}")
    try:
        with safe_open(path, framework="np") as parsed:
            slices = {name: parsed.get_slice(name) for name in parsed.offset_keys()}
            entries = [Entry(name, part.get_dtype(), tuple(part.get_shape())) for name, part in slices.items()]
            return OpenFile(path, file, 8 + length, entries, parsed.metadata() or {})
    except SafetensorError as error:
        raise damaged(path, f"it is truncated or overwritten ({error})") from None


def _why_missing(path: Path) -> str:
    if not path.parent.is_dir():
        return f"{path} does not exist, nor does its folder {path.parent}"
    neighbours = [neighbour.name for neighbour in path.parent.glob("*.safetensors")]
    nearest = similar(path.name, neighbours, 5, cutoff=0)
    return f"{path} does not exist; in its folder there is {', '.join(nearest) or 'no .safetensors file'}"
