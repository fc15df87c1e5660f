"""GPU support: which array module an array belongs to, moving arrays, devices. Knows arrays, no Variable."""

from types import ModuleType

from minitorch.cuda.array_module import (
    as_cupy,
    as_numpy,
    get_array_module,
    has_gpu,
    is_array,
    require_cupy,
    transfers,
    xp_of,
)
from minitorch.cuda.device import Device, Memory, compute_stream
from minitorch.cuda.gemm import computing, gemm
from minitorch.cuda.graph import CapturedStep, DeviceScalar, StepNumber, capturing, preserved
from minitorch.cuda.strict import no_sync, sync_allowed

__all__ = [
    "CapturedStep",
    "Device",
    "DeviceScalar",
    "Memory",
    "StepNumber",
    "as_cupy",
    "as_numpy",
    "capturing",
    "compute_stream",
    "computing",
    "gemm",
    "get_array_module",
    "gpu_enable",
    "is_array",
    "no_sync",
    "preserved",
    "sync_allowed",
    "transfers",
    "xp_of",
]

# Computed when they are asked for, since importing minitorch must not import CuPy.
gpu_enable: bool  # whether a device works
cupy: ModuleType  # with a working device; what is missing is an error that says so


def __getattr__(name: str) -> bool | ModuleType:
    if name == "gpu_enable":
        return has_gpu()
    if name == "cupy":
        return require_cupy()  # type: ignore[no-any-return]
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
