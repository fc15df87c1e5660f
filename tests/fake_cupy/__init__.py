"""A strict stand-in for CuPy over NumPy, so that code for a device is tested without one.

    with fake_cupy.installed():
        a = minitorch.as_cupy(host)     # `import cupy` finds the stand-in

It refuses what CuPy refuses: implicit conversion, host arrays among device operands, keywords that CuPy lacks, cuBLAS
and copies during a stream capture. It also refuses what CuPy lets pass but hides a cost or a bug: matrix products of
floats other than by `minitorch.cuda.gemm`, NumPy's functions on device arrays, host arrays as an index, lists as
operands, operands on another device than the current one, `add.at`, an index out of range (CuPy wraps it around), a
kernel's first launch during a capture, launches that do not fit the declaration of the kernel, arrays whose memory pool
is gone. Fresh memory is garbage.

Work is done at once on the host; but what is captured is done by each launch of the graph, and not before. A kernel of
`minitorch.cuda.kernels` is run by its definition in NumPy, a product of `minitorch.cuda.gemm` from raw addresses.

`machine.work` lists all that the device was given to do. `counts`, `counting()` and `no_transfers()` tell what crossed
between host and device and what made the host wait.
"""

import importlib
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType

from fake_cupy import cublas
from fake_cupy.cuda import machine
from fake_cupy.kernel import launching_by
from fake_cupy.module import build
from fake_cupy.traffic import Traffic, TransferError, counting, counts, current, no_transfers, reset_counts

__all__ = [
    "Traffic", "TransferError", "counting", "counts", "cupy", "installed", "launching_by", "machine", "no_transfers",
    "reset_counts",
]  # fmt: skip

cupy = build()


@contextmanager
def without_cudnn() -> Iterator[None]:
    """Inside, cuDNN is not found: the real one would take addresses of the host for those of a device."""
    module = importlib.import_module("minitorch.cuda.cudnn")
    before, module.load = module.load, lambda: None
    try:
        yield
    finally:
        module.load = before


@contextmanager
def installed(devices: int = 1) -> Iterator[ModuleType]:
    """Make `import cupy` find the stand-in, on a machine with so many devices; undone at the end of the block."""
    modules = {"cupy": cupy, "cupy.cuda": cupy.cuda}
    before = {name: sys.modules.get(name) for name in modules}
    devices_before, machine.devices = machine.devices, devices
    machine.loaded.clear()
    machine.launches.clear()
    machine.work.clear()
    sys.modules.update(modules)
    try:
        with cublas.installed(), without_cudnn():
            yield cupy
    finally:
        machine.devices = devices_before
        current.__init__()  # no stream or device stays current
        for name, module in before.items():
            if module is None:
                del sys.modules[name]
            else:
                sys.modules[name] = module
