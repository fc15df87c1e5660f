"""`PublishedDataset`: the base of data sets whose files a publisher offers, found on this machine or downloaded."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, ClassVar

from minitorch.datasets.dataset import Dataset
from minitorch.datasets.download import cache_dir, checkout_data, get_file
from minitorch.errors import DataError, DownloadError


class PublishedDataset(Dataset):
    """A data set made from files of a publisher; `prepare` of a subclass asks `find` for their paths.

    The files are looked for in `root`, then in the folder that the environment variable `MINITORCH_DATA` names (each
    time in its subfolder `name` as well), then in `examples/data` of a checkout of the project, then in the user's
    cache, and are downloaded into that if they are nowhere. Files in the cache must be the published ones, by their
    digests. In the other folders any files of the same form and name will do, such as a small part of the data.

    Args:
        train: the part for training or the part for testing.
        transform: applied to each x; None passes it on.
        target_transform: applied to each t; None passes it on.
        root: a folder with the files.

    Raises:
        DataError: a file is damaged, cut short, or holds something else than its name says.
        DownloadError: the files are nowhere and could not be downloaded.
    """

    name: ClassVar[str]
    mirrors: ClassVar[tuple[str, ...]]
    digests: ClassVar[dict[str, str]] = {}  # SHA-256 of the contents; the packing differs between publishers
    md5s: ClassVar[dict[str, str]] = {}  # MD5 of the files as they are, where the publisher tells nothing else

    def __init__(
        self,
        train: bool = True,
        transform: Callable[[Any], Any] | None = None,
        target_transform: Callable[[Any], Any] | None = None,
        *,
        root: str | os.PathLike[str] | None = None,
    ) -> None:
        self.root = root
        super().__init__(train, transform, target_transform)

    def find(self, *names: str) -> list[Path]:
        """The paths of the files `names`, all from one folder.

        Raises:
            DataError: a folder has some of the files and not the others.
            DownloadError: they are nowhere and could not be downloaded.
        """
        *given, cache = self._folders()
        for folder in given:
            paths = [folder / name for name in names]
            if all(path.exists() for path in paths):
                return paths
            if any(path.exists() for path in paths):
                here = next(path for path in paths if path.exists())
                missing = next(path for path in paths if not path.exists())
                raise DataError(f"{here} is there, but {missing} is not; put both into one folder")
        try:
            return [
                get_file(self.urls(name), name, sha256=self.digests.get(name), md5=self.md5s.get(name), folder=cache)
                for name in names
            ]
        except DownloadError as error:
            places = "".join(f"\n  {folder}" for folder in (*given, cache))
            verb = "is" if len(names) == 1 else "are"
            offered = [*self.digests, *self.md5s]
            raise DownloadError(
                f"{type(self).__name__}: {' and '.join(names)} {verb} in none of{places}\n{error}\n"
                f"Or put the file{'s' if len(offered) > 1 else ''} {', '.join(offered)} into a folder and name it: "
                f"{type(self).__name__}(root=...) or the environment variable MINITORCH_DATA."
            ) from error

    def urls(self, name: str) -> list[str]:
        """The addresses of the file `name`: the mirrors are folders."""
        return [mirror + name for mirror in self.mirrors]

    def _folders(self) -> Iterator[Path]:
        """The folders to look into, the user's cache last."""
        for given in (self.root, os.environ.get("MINITORCH_DATA")):
            if given:
                folder = Path(given).expanduser()
                yield from (folder, folder / self.name)
        if checkout_data().is_dir():
            yield checkout_data() / self.name
        yield cache_dir() / self.name
