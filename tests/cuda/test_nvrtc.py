"""Every kernel compiles for the GPUs that it is written for; no GPU is needed for that."""

import os
import re

import nvrtc
import pytest

from minitorch.cuda.kernels import KERNELS, source
from minitorch.cuda.kernels.kernel import OPTIONS

FILES = sorted({kernel.file for kernel in KERNELS.values()})
OF_CUPY = ("-ftz=true", "--device-as-default-execution-space")  # what CuPy 14 adds to the options


@pytest.fixture(autouse=True)
def _compiler() -> None:
    if nvrtc.library() is None:
        assert os.environ.get("CI") != "true", "CI must have the wheel nvidia-cuda-nvrtc: it is in the extra test-cuda"
        pytest.skip("NVRTC is not installed: install the extra test-cuda")


@pytest.mark.parametrize("file", FILES)
def test_kernels_compile_for_hopper(file: str) -> None:
    """Each source compiles for sm_90 without a warning, uses no local memory, and has all the kernels it should."""
    status, code, log = nvrtc.compile_for(
        "sm_90", source(file), (*OPTIONS, "--ptxas-options=-v", "--ptxas-options=--warn-on-spills")
    )
    assert status == 0, log
    assert "warning" not in log.lower(), log
    assert set(re.findall(r"(\d+) bytes (?:stack frame|spill stores|spill loads)", log)) == {"0"}, log
    for kernel in KERNELS.values():
        assert (kernel.name.encode() + b"\0" in code) == (kernel.file == file), kernel.name


@pytest.mark.parametrize("arch", ["sm_80", "sm_90"])
@pytest.mark.parametrize("file", FILES)
def test_kernels_compile_as_cupy_has_them_compiled(file: str, arch: str) -> None:
    """With the options that it adds, for Ampere too."""
    status, _, log = nvrtc.compile_for(arch, source(file), (*OPTIONS, *OF_CUPY))
    assert status == 0, log
    assert "warning" not in log.lower(), log


def test_errors_are_reported() -> None:
    """A source that is wrong does not pass: the compiler is asked indeed."""
    status, _, log = nvrtc.compile_for("sm_90", source("sums") + "KERNEL bad() { nobody_knows(1); }", OPTIONS)
    assert status != 0
    assert "nobody_knows" in log
