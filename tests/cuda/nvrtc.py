"""Compiles CUDA C++ for a GPU that is not there, with the compiler library of NVIDIA's wheel `nvidia-cuda-nvrtc`."""

import ctypes
import functools
import importlib.metadata
from ctypes import byref, c_char_p, c_size_t, c_void_p
from typing import Any

WHEELS = ("nvidia-cuda-nvrtc", "nvidia-cuda-nvrtc-cu12")


@functools.cache
def library() -> Any:
    """The library NVRTC, or None where no wheel with it is installed."""
    for wheel in WHEELS:
        try:
            files = importlib.metadata.files(wheel) or []
        except importlib.metadata.PackageNotFoundError:
            continue
        paths = {file.name.split(".so")[0]: str(file.locate()) for file in files if ".so" in file.name}
        if "libnvrtc" in paths:
            ctypes.CDLL(paths["libnvrtc-builtins"])  # which not every release finds by itself
            return ctypes.CDLL(paths["libnvrtc"])
    return None


def compile_for(arch: str, source: str, options: tuple[str, ...]) -> tuple[int, bytes, str]:
    """The machine code of `source` for `arch`, such as "sm_90".

    Returns:
        The status (0: it compiled), the machine code, and what the compiler said, warnings included.
    """
    nvrtc, program = library(), c_void_p()
    _check(nvrtc.nvrtcCreateProgram(byref(program), source.encode(), b"kernel.cu", 0, None, None))
    try:
        given = [option.encode() for option in (f"--gpu-architecture={arch}", *options)]
        status = nvrtc.nvrtcCompileProgram(program, len(given), (c_char_p * len(given))(*given))
        log = _read(nvrtc.nvrtcGetProgramLogSize, nvrtc.nvrtcGetProgramLog, program)
        code = b"" if status else _read(nvrtc.nvrtcGetCUBINSize, nvrtc.nvrtcGetCUBIN, program)
    finally:
        nvrtc.nvrtcDestroyProgram(byref(program))
    return status, code, log.decode().strip("\0\n ")


def _read(get_size: Any, get: Any, program: c_void_p) -> bytes:
    size = c_size_t()
    _check(get_size(program, byref(size)))
    buffer = ctypes.create_string_buffer(size.value)
    _check(get(program, buffer))
    return buffer.raw


def _check(status: int) -> None:
    assert status == 0, f"NVRTC answers {status}"
