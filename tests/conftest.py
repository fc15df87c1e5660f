"""What all tests share: the devices to run on, slow tests, and the same random numbers and flags at each start."""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import fake_cupy
import minitorch
import without_hypothesis
from backend import GPUS, Backend, has_cuda
from minitorch.config import Config
from minitorch.cpu import blas, threads

if not without_hypothesis.install_if_missing():
    from hypothesis import HealthCheck, settings

    # how long an example takes tells how busy the machine is; and what fails in CI must be the change, not new examples
    settings.register_profile(
        "minitorch",
        deadline=None,
        suppress_health_check=[HealthCheck.too_slow],
        derandomize=os.environ.get("CI") == "true",
    )
    settings.load_profile("minitorch")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--slow", action="store_true", help="also run the tests marked slow, as CI does")


FIRST_ON_A_GPU = ("test_on_a_gpu", "test_training_on_a_gpu", "test_kernels", "test_gemm", "test_on_a_device")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Skip slow tests unless asked for, and gpu tests where there is none or where they would run on something else.

    `-m gpu` begins with the files that tell most, since `scripts/gpu` gives it a few minutes only.
    """
    if config.getoption("markexpr") == "gpu":
        rank = {name: i for i, name in enumerate(FIRST_ON_A_GPU)}
        items.sort(key=lambda item: rank.get(item.path.stem, len(rank)))
    with_slow = config.getoption("--slow") or os.environ.get("CI") == "true"
    with_gpu = has_cuda()
    for item in items:
        if item.get_closest_marker("slow") and not with_slow:
            item.add_marker(pytest.mark.skip(reason="slow: run with --slow"))
        if item.get_closest_marker("gpu"):
            callspec = getattr(item, "callspec", None)
            if not with_gpu:
                item.add_marker(pytest.mark.skip(reason="gpu: CuPy finds no device"))
            elif callspec is not None and callspec.params.get("device", "cuda") != "cuda":
                item.add_marker(pytest.mark.skip(reason="gpu: this is its variant for another device"))


@pytest.fixture(params=["cpu", *GPUS])
def device(request: pytest.FixtureRequest) -> Iterator[Backend]:
    """Each device there is, in turn; `import cupy` finds the stand-in while it is "fake"."""
    if request.param == "cpu":
        yield Backend("cpu", np)
    elif request.param == "fake":
        with fake_cupy.installed() as cupy:
            yield Backend("fake", cupy)
    else:
        import cupy

        yield Backend("cuda", cupy)


@pytest.fixture(params=GPUS)
def gpu(request: pytest.FixtureRequest) -> Iterator[Any]:
    """CuPy, or the stand-in for it, for what has to be on a device; `import cupy` finds it."""
    if request.param == "fake":
        with fake_cupy.installed() as cupy:
            yield cupy
    else:
        import cupy

        yield cupy


@pytest.fixture
def xp(device: Backend) -> Any:
    """The array module of `device`."""
    return device.xp


@pytest.fixture(autouse=True)
def _same_start() -> Iterator[None]:
    """Every test starts with seed 0, the flags on and the same numbers of threads, and leaves them so."""
    minitorch.random.seed(0)
    flags = Config.enable_backprop, Config.train, Config.use_onednn
    ours, theirs = threads.get_num_threads(), blas.get_num_threads()
    yield
    if (ours, theirs) != (threads.get_num_threads(), blas.get_num_threads()):
        threads.set_num_threads(ours)
        if theirs is not None:
            blas.set_num_threads(theirs)
    Config.enable_backprop, Config.train, Config.use_onednn = flags
    minitorch.random.seed(0)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A real file system of 1 MB; skips where this user may not mount one."""
    folder = tmp_path / "disk"
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(folder)]
    if sys.platform != "linux" or not shutil.which("mount"):
        pytest.skip("needs mount of Linux")
    if subprocess.run(command, capture_output=True, check=False).returncode:
        pytest.skip("may not mount a file system")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)
