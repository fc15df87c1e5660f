"""`get_file`: a file from the network, kept in the user's cache and checked."""

import os
import sys
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import BinaryIO
from urllib.parse import unquote, urlsplit

from minitorch.errors import ConfigError, DataError, DownloadError

_TIMEOUT = 30.0  # seconds without a byte, after which a server counts as silent
_BLOCK = 1 << 16


def cache_dir() -> Path:
    """The folder where downloads of minitorch are kept for this user; it need not exist yet."""
    home = Path.home()
    if sys.platform == "win32":
        return Path(os.environ.get("LOCALAPPDATA") or home / "AppData" / "Local") / "minitorch" / "Cache"
    if sys.platform == "darwin":
        return home / "Library" / "Caches" / "minitorch"
    return Path(os.environ.get("XDG_CACHE_HOME") or home / ".cache") / "minitorch"


def checkout_data() -> Path:
    """The folder of data in a checkout of the project; where the package is installed otherwise, there is none."""
    return Path(__file__).parents[2] / "examples" / "data"


def get_file(
    urls: str | Sequence[str],
    file_name: str | None = None,
    *,
    sha256: str | None = None,
    md5: str | None = None,
    folder: str | os.PathLike[str] | None = None,
) -> Path:
    """The path of a whole file: kept from an earlier call, or else downloaded from the first address that works.

    A file appears under its name only when it is complete and checked, whatever interrupts the download and whoever
    downloads it at the same time. Progress is shown on standard error if that is a terminal.

    Args:
        urls: one address, or several of the same file (mirrors), tried in turn; http or https.
        file_name: the name to keep it under; by default the last part of the first address.
        sha256: the digest, in hexadecimal, of the contents; of a `.gz` file, of what is packed in it, since that is
            the same wherever it was packed. It is checked at each call.
        md5: the digest, in hexadecimal, of the file itself, packed as it is: for files whose publisher tells no other.
            It finds damage, and is no strong guard against forgery. It is checked at each call.
        folder: where to keep it; the user's cache by default (`~/.cache/minitorch` on Linux).

    Raises:
        ConfigError: an address is not http or https, or there is no usable file name.
        DataError: the file kept from before does not have the digests.
        DownloadError: no address gave the file; each is listed with its failure.
    """
    urls = [urls] if isinstance(urls, str) else list(urls)
    if not urls or any(urlsplit(url).scheme not in ("http", "https") for url in urls):
        raise ConfigError(f"get_file: got {urls}; give at least one address, all of them http or https")
    name = unquote(urlsplit(urls[0]).path).rpartition("/")[2] if file_name is None else file_name
    if name in ("", ".", "..") or "/" in name or os.path.basename(name) != name:
        raise ConfigError(f"get_file: {name!r} is no name for a file; give file_name, without folders")
    path = (cache_dir() if folder is None else Path(folder)) / name
    if path.exists():
        try:
            _check_digests(path, name, sha256, md5)
        except DataError as error:
            raise DataError(f"{path}: {error}; delete the file and run again") from error
        return path
    failures = []
    for url in urls:
        try:
            _download(url, path, sha256, md5)
            return path
        except (OSError, ValueError) as error:
            failures.append(f"  {url}: {error or type(error).__name__}")
    raise DownloadError(
        f"get_file: {name} is not at {path} and could not be downloaded:\n"
        + "\n".join(failures)
        + f"\nLook at the network, or put the file at {path} yourself."
    )


def contents(path: Path) -> bytes:
    """The bytes of a file; of a `.gz` file, those packed in it.

    Raises:
        DataError: the `.gz` file is damaged or cut short.
    """
    try:
        return _unpacked(path.name, path.read_bytes())
    except DataError as error:
        raise DataError(f"{path}: {error}; delete the file and run again") from error


def _unpacked(name: str, raw: bytes) -> bytes:
    if not name.endswith(".gz"):
        return raw
    import gzip

    try:
        return gzip.decompress(raw)
    except (OSError, EOFError, zlib.error) as error:
        raise DataError(f"{len(raw)} bytes that are no whole gzip file ({error})") from error


def _check_digests(path: Path, name: str, sha256: str | None, md5: str | None) -> None:
    """Raise DataError if the file at `path`, which is to be called `name`, has other digests; None is not checked."""
    import hashlib

    if md5 is not None:
        with path.open("rb") as file:
            found = hashlib.file_digest(file, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()
        if found != md5:
            raise DataError(f"it has MD5 {found}, expected {md5}")
    if sha256 is not None:
        found = hashlib.sha256(_unpacked(name, path.read_bytes())).hexdigest()
        if found != sha256:
            raise DataError(f"its contents have SHA-256 {found}, expected {sha256}")


def _download(url: str, path: Path, sha256: str | None, md5: str | None) -> None:
    """Fetch `url` into a temporary file beside `path`, check it, then give it its name."""
    import tempfile

    path.parent.mkdir(parents=True, exist_ok=True)
    handle, part = tempfile.mkstemp(prefix=f"{path.name}.", suffix=".part", dir=path.parent)
    try:
        with os.fdopen(handle, "wb") as file:
            _fetch(url, path.name, file)
        _check_digests(Path(part), path.name, sha256, md5)
        os.replace(part, path)
    finally:
        Path(part).unlink(missing_ok=True)


def _fetch(url: str, name: str, file: BinaryIO) -> None:
    """Copy the body of `url` to `file`; raises DataError if it is shorter than announced."""
    import urllib.request  # here, since most programs that import minitorch download nothing, and these take long
    from http.client import HTTPException

    from tqdm import tqdm

    try:
        with urllib.request.urlopen(url, timeout=_TIMEOUT) as response:
            length = response.headers.get("Content-Length")
            total = int(length) if length else None
            with tqdm(total=total, desc=name, unit="B", unit_scale=True, disable=None, file=sys.stderr) as bar:
                while block := response.read(_BLOCK):
                    file.write(block)
                    bar.update(len(block))
    except HTTPException as error:
        raise DataError(f"the answer is no valid HTTP ({error!r})") from error
    if total is not None and file.tell() != total:
        raise DataError(f"the connection ended after {file.tell()} of {total} bytes")
