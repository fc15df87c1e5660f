"""What the tests of published data sets share: a publisher made of a dictionary, and a cache of their own."""

from typing import Any

import attrs
import pytest

from minitorch.datasets.download import cache_dir


@attrs.define
class Publisher:
    """Serves `files` by address; `fetched` lists the addresses asked for."""

    files: dict[str, bytes] = attrs.field(factory=dict)
    fetched: list[str] = attrs.field(factory=list)

    def fetch(self, url: str, name: str, file: Any) -> None:
        """Take the place of a download."""
        self.fetched.append(url)
        if url not in self.files:
            raise ConnectionRefusedError("Connection refused")
        file.write(self.files[url])

    @property
    def cache(self) -> Any:
        """The folder of the user's cache, which is empty at the start."""
        return cache_dir()


@pytest.fixture
def publisher(monkeypatch, tmp_path):
    """The only publisher there is; nothing is seen of the checkout or the settings of the person who runs the test."""
    for variable in ("HOME", "USERPROFILE", "LOCALAPPDATA", "XDG_CACHE_HOME"):
        monkeypatch.setenv(variable, str(tmp_path / "home"))
    monkeypatch.delenv("MINITORCH_DATA", raising=False)
    monkeypatch.setattr("minitorch.datasets.published.checkout_data", lambda: tmp_path / "no checkout")
    publisher = Publisher()
    monkeypatch.setattr("minitorch.datasets.download._fetch", publisher.fetch)
    return publisher
