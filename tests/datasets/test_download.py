"""get_file against a server on this machine: whole files or clear errors, and never half a file."""

import gzip
import hashlib
import io
import socket
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from minitorch.datasets import download, get_file
from minitorch.errors import ConfigError, DataError, DownloadError

BODY = bytes(range(256)) * 1000
DIGEST = hashlib.sha256(BODY).hexdigest()


class Server:
    """Serves the bodies in `files` by path; `requests` counts, `length` overrides what is announced."""

    def __init__(self):
        self.files = {"/data.bin": BODY, "/data.gz": gzip.compress(BODY)}
        self.length = None
        self.requests = []
        self.on_request = lambda: None
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self):
                outer.requests.append(self.path)
                outer.on_request()
                body = outer.files.get(self.path)
                if body is None:
                    self.send_error(404)
                    return
                self.send_response(200)
                self.send_header("Content-Length", str(outer.length or len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *args):
                pass

        self.httpd = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.httpd.server_port}"
        self.thread = threading.Thread(target=self.httpd.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
        self.thread.start()

    def close(self):
        self.httpd.shutdown()
        self.httpd.server_close()
        self.thread.join(10)


@pytest.fixture
def server(monkeypatch):
    """A file server on this machine."""
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    monkeypatch.setattr(download, "_TIMEOUT", 10.0)
    server = Server()
    yield server
    server.close()


@pytest.fixture
def refused():
    """An address on this machine where nobody listens."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        yield f"http://127.0.0.1:{probe.getsockname()[1]}"


def test_a_file_is_downloaded_once(server, tmp_path):
    """The first call downloads, the second takes what is there."""
    url = server.url + "/data.bin"
    path = get_file(url, sha256=DIGEST, folder=tmp_path / "new" / "folder")
    assert path == tmp_path / "new" / "folder" / "data.bin"
    assert path.read_bytes() == BODY
    assert get_file(url, sha256=DIGEST, folder=path.parent) == path
    assert server.requests == ["/data.bin"]
    assert [p.name for p in path.parent.iterdir()] == ["data.bin"]


def test_the_digest_of_a_gz_file_is_that_of_its_contents(server, tmp_path):
    """How a publisher packs a file does not matter; what is in it does."""
    assert get_file(server.url + "/data.gz", sha256=DIGEST, folder=tmp_path).read_bytes() == server.files["/data.gz"]


def test_the_name_can_be_chosen_or_comes_from_the_address(server, tmp_path):
    """The name is the last part of the address, without query, or `file_name`."""
    server.files["/a%20b?x=1/2"] = b"1"
    assert get_file(server.url + "/a%20b?x=1/2", folder=tmp_path).name == "a b"
    assert get_file(server.url + "/data.bin", "other.bin", folder=tmp_path).name == "other.bin"


def test_the_second_mirror_helps_out(server, refused, tmp_path):
    """An address that fails is passed over."""
    urls = [refused + "/data.bin", server.url + "/missing", server.url + "/data.bin"]
    assert get_file(urls, sha256=DIGEST, folder=tmp_path).read_bytes() == BODY


def test_the_file_appears_only_when_it_is_whole(server, tmp_path):
    """While the server is sending there is nothing under the name."""
    seen = []
    server.on_request = lambda: seen.append((tmp_path / "data.bin").exists())
    get_file(server.url + "/data.bin", folder=tmp_path)
    assert seen == [False]


@pytest.mark.parametrize(
    ("path", "length", "sha256", "message"),
    [
        ("/none.bin", None, None, "/none.bin: HTTP Error 404: Not Found"),
        ("/data.bin", 300_000, None, "/data.bin: the connection ended after 256000 of 300000 bytes"),
        ("/data.bin", None, "0" * 64, f"/data.bin: its contents have SHA-256 {DIGEST}, expected {'0' * 64}"),
        ("/page.gz", None, DIGEST, r"/page.gz: 6 bytes that are no whole gzip file \(Not a gzipped file \(b'<h'\)\)"),
    ],
    ids=["404", "truncated", "digest", "not gzip"],
)
def test_a_failed_download_leaves_nothing_and_says_why(server, tmp_path, path, length, sha256, message):
    """The error lists address and failure; neither the file nor a part of it stays."""
    server.length = length
    server.files["/page.gz"] = b"<html>"
    with pytest.raises(DownloadError, match=message) as caught:
        get_file(server.url + path, sha256=sha256, folder=tmp_path)
    name = path[1:]
    assert str(caught.value).startswith(
        f"get_file: {name} is not at {tmp_path / name} and could not be downloaded:\n  {server.url}{path}: "
    )
    assert str(caught.value).endswith(f"\nLook at the network, or put the file at {tmp_path / name} yourself.")
    assert list(tmp_path.iterdir()) == []


def test_offline_every_mirror_is_listed(refused, tmp_path):
    """Without a network each address is named with its failure."""
    with pytest.raises(DownloadError, match=r"/a/f: .*refused(.|\n)*/b/f: .*refused"):
        get_file([refused + "/a/f", refused + "/b/f"], folder=tmp_path)


def test_an_interrupted_download_leaves_nothing(server, tmp_path, monkeypatch):
    """Ctrl-C in the middle takes the part away and passes on."""

    def fetch(url, name, file):
        file.write(b"half")
        raise KeyboardInterrupt

    monkeypatch.setattr(download, "_fetch", fetch)
    with pytest.raises(KeyboardInterrupt):
        get_file(server.url + "/data.bin", folder=tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_damaged_file_in_the_cache_is_named(tmp_path):
    """A kept file with other contents is neither used nor deleted: the message says what to do."""
    path = tmp_path / "data.bin"
    path.write_bytes(b"other")
    digest = hashlib.sha256(b"other").hexdigest()
    with pytest.raises(DataError, match=f"{path.name}: its contents have SHA-256 {digest}, expected {DIGEST}; delete"):
        get_file("http://127.0.0.1/data.bin", sha256=DIGEST, folder=tmp_path)
    assert path.exists()


def test_progress_is_shown_on_a_terminal_alone(server, tmp_path, monkeypatch):
    """A terminal sees the name of the file; a pipe sees nothing."""

    class Terminal(io.StringIO):
        def isatty(self):
            return True

    for stream, expected in ((io.StringIO(), False), (Terminal(), True)):
        monkeypatch.setattr(sys, "stderr", stream)
        get_file(server.url + "/data.bin", f"{expected}.bin", folder=tmp_path)
        assert (f"{expected}.bin" in stream.getvalue()) is expected


@pytest.mark.parametrize(
    ("urls", "name", "message"),
    [
        ([], None, r"get_file: got \[\]; give at least one address, all of them http or https"),
        ("file:///etc/hosts", None, r"get_file: got \['file:///etc/hosts'\]; give at least one address"),
        ("http://127.0.0.1/", None, "get_file: '' is no name for a file; give file_name, without folders"),
        ("http://127.0.0.1/%2e%2e", None, r"get_file: '\.\.' is no name for a file"),
        ("http://127.0.0.1/a", "../a", r"get_file: '\.\./a' is no name for a file"),
    ],
)
def test_addresses_and_names_are_checked(urls, name, message, tmp_path):
    """Nothing but http(s) is opened, and nothing is written outside the folder."""
    with pytest.raises(ConfigError, match=message):
        get_file(urls, name, folder=tmp_path)


@pytest.mark.parametrize(
    ("platform", "variable", "value", "expected"),
    [
        ("linux", "XDG_CACHE_HOME", "/elsewhere", "/elsewhere/minitorch"),
        ("linux", "XDG_CACHE_HOME", "", "/home/me/.cache/minitorch"),
        ("darwin", "XDG_CACHE_HOME", "", "/home/me/Library/Caches/minitorch"),
        ("win32", "LOCALAPPDATA", "/local", "/local/minitorch/Cache"),
        ("win32", "LOCALAPPDATA", "", "/home/me/AppData/Local/minitorch/Cache"),
    ],
)
def test_the_cache_is_where_the_platform_keeps_caches(platform, variable, value, expected, monkeypatch):
    """Each platform's own place, within the user's home."""
    monkeypatch.setattr(sys, "platform", platform)
    monkeypatch.setattr(Path, "home", lambda: Path("/home/me"))
    monkeypatch.setenv(variable, value)
    assert download.cache_dir() == Path(expected)


def test_the_md5_is_that_of_the_file_as_it_is(server, tmp_path):
    """Of a packed file, it is taken without unpacking; both digests can be asked for."""
    packed = server.files["/data.gz"]
    md5 = hashlib.md5(packed).hexdigest()
    path = get_file(server.url + "/data.gz", md5=md5, sha256=DIGEST, folder=tmp_path)
    assert get_file(server.url + "/data.gz", md5=md5, folder=tmp_path).read_bytes() == packed
    assert server.requests == ["/data.gz"]
    other = "0" * 32
    with pytest.raises(DataError, match=f"{path.name}: it has MD5 {md5}, expected {other}; delete the file and run"):
        get_file(server.url + "/data.gz", md5=other, folder=tmp_path)
    path.unlink()
    with pytest.raises(DownloadError, match=f"/data.gz: it has MD5 {md5}, expected {other}"):
        get_file(server.url + "/data.gz", md5=other, folder=tmp_path)
    assert list(tmp_path.iterdir()) == []
