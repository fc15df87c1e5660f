"""For the tests of the Trainer: a small part of real MNIST, as files, and a clock that no busy machine disturbs."""

import time

import pytest

from small_mnist import write_small_mnist


@pytest.fixture(scope="session")
def small_mnist(tmp_path_factory):
    """A folder with the first 310 training images of MNIST and the first 60 test images."""
    folder = tmp_path_factory.mktemp("data") / "mnist"
    write_small_mnist(folder, train=310, test=60)
    return folder


@pytest.fixture
def clock(monkeypatch):
    """`time.sleep` takes the time it is told, and a look at `time.perf_counter` a microsecond; all else takes none."""
    now = [100.0]

    def go_on(seconds):
        now[0] += seconds
        return now[0]

    monkeypatch.setattr(time, "sleep", go_on)
    monkeypatch.setattr(time, "perf_counter", lambda: go_on(1e-6))
