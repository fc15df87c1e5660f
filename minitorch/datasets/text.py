"""Shakespeare and TinyText: characters in order of a text, to train small language models on.

Source of the text of `Shakespeare`: A. Karpathy, "The Unreasonable Effectiveness of Recurrent Neural Networks", 2015.
"""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from minitorch.datasets.dataset import Dataset
from minitorch.datasets.published import PublishedDataset
from minitorch.errors import ConfigError, DataError

Array = np.ndarray[Any, Any]


def character_ids(text: str) -> tuple[Array, dict[str, int]]:
    """The id of each character of `text`, int64, and the ids by character, numbered as they first appear."""
    codes = np.frombuffer(text.encode("utf-32-le", "surrogatepass"), np.uint32)
    found, first, places = np.unique(codes, return_index=True, return_inverse=True)
    order = first.argsort()
    ids = np.empty(len(found), np.int64)
    ids[order] = np.arange(len(found))
    return ids[places], {chr(code): number for number, code in enumerate(found[order])}


class Shakespeare(PublishedDataset):
    """The characters of 40,000 lines of Shakespeare's plays in a row: x is the id of one, t that of the next.

    `data` and `label` are int64 of shape (1115393,); `char_to_id` and `id_to_char` translate. A recurrent network
    reads it through a `SeqDataLoader`; `TinyText` makes windows of such a text. There is no part for testing.

    Where the text is looked for, and when it is downloaded, `PublishedDataset` says; the subfolder is `shakespeare`.

    Args:
        transform: of an id.
        target_transform: of an id.
        root: a folder with the file `shakespeare.txt`.

    Raises:
        DataError: the text is not the published one, if it is in the cache, or is no UTF-8.
        DownloadError: the text is nowhere and could not be downloaded.
    """

    name: ClassVar[str] = "shakespeare"
    mirrors: ClassVar[tuple[str, ...]] = (
        "https://raw.githubusercontent.com/karpathy/char-rnn/master/data/tinyshakespeare/input.txt",
        "https://raw.githubusercontent.com/jcjohnson/torch-rnn/master/data/tiny-shakespeare.txt",
    )
    digests: ClassVar[dict[str, str]] = {
        "shakespeare.txt": "86c4e6aa9db7c042ec79f339dcb96d42b0075e16b8fc2e86bf0ca57e2dc565ed"
    }

    def __init__(
        self,
        *,
        transform: Callable[[Any], Any] | None = None,
        target_transform: Callable[[Any], Any] | None = None,
        root: str | os.PathLike[str] | None = None,
    ) -> None:
        super().__init__(True, transform, target_transform, root=root)

    def prepare(self) -> None:
        """Find and read the text."""
        (path,) = self.find(*self.digests)
        ids, self.char_to_id = character_ids(read_text(path))
        self.id_to_char = {number: char for char, number in self.char_to_id.items()}
        self.data, self.label = ids[:-1], ids[1:]

    def urls(self, name: str) -> list[str]:
        """The addresses of the text: the mirrors are files, each with a name of its own."""
        return list(self.mirrors)


class TinyText(Dataset):
    """Windows of `context` characters of a text: x is the ids of a window, t those of the window one further on.

    Both are int64 of shape (context,), and window i begins at character i of its part of the text. Characters are
    numbered as they first appear in the whole text, so that both parts number them alike; `char_to_id` and
    `id_to_char` translate. The windows are views of the text: they take no memory until a batch is made.

    Args:
        source: the text itself, a `str`, or a file in UTF-8, a `pathlib.Path`.
        context: characters in a window.
        train: the windows of the beginning of the text, or those of its end.
        test_fraction: how much of the text is the end.
        transform: of the ids of x.
        target_transform: of the ids of t.

    Raises:
        ConfigError: `context` is no integer of at least 1, or `test_fraction` not from 0 to below 1, or `source` is a
            `str` that names a file.
        DataError: the file cannot be read as UTF-8, or the part of the text is no longer than `context`.
    """

    def __init__(
        self,
        source: str | os.PathLike[str],
        context: int,
        train: bool = True,
        *,
        test_fraction: float = 0.1,
        transform: Callable[[Any], Any] | None = None,
        target_transform: Callable[[Any], Any] | None = None,
    ) -> None:
        if isinstance(context, bool) or not isinstance(context, int | np.integer) or context < 1:
            raise ConfigError(f"TinyText: context is {context!r}; it is an integer of at least 1")
        if not 0 <= test_fraction < 1:
            raise ConfigError(f"TinyText: test_fraction is {test_fraction!r}; it is from 0 to below 1")
        if isinstance(source, str) and "\n" not in source and os.path.isfile(source):
            raise ConfigError(f"TinyText: {source!r} names a file, but a str is the text itself; give Path({source!r})")
        self.context = int(context)
        self._text = source if isinstance(source, str) else read_text(Path(source))
        self._test_fraction = test_fraction
        super().__init__(train, transform, target_transform)

    def prepare(self) -> None:
        """Number the characters, and cut the part into windows."""
        ids, self.char_to_id = character_ids(self._text)
        self.id_to_char = {number: char for char, number in self.char_to_id.items()}
        end = len(ids) - round(len(ids) * self._test_fraction)
        ids = ids[:end] if self.train else ids[end:]
        if len(ids) <= self.context:
            raise DataError(
                f"TinyText: {len(ids)} characters to {'train on' if self.train else 'test with'}, but a window and "
                f"the character after it take {self.context + 1}; give a longer text or a smaller context"
            )
        self.data = sliding_window_view(ids[:-1], self.context)
        self.label = sliding_window_view(ids[1:], self.context)


def read_text(path: Path) -> str:
    """The text in a file of UTF-8, its line ends as they are.

    Raises:
        DataError: the file cannot be read, or is no UTF-8.
    """
    try:
        return path.read_bytes().decode("utf-8")
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error}); give a file of text") from error
    except UnicodeDecodeError as error:
        raise DataError(f"{path}: no text in UTF-8 ({error}); convert the file") from error
