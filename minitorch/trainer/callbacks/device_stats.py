"""`DeviceStats`: how busy the processor is, and how much memory is in use."""

import os
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import attrs
import numpy as np

from minitorch.cuda import xp_of
from minitorch.models import Model
from minitorch.trainer.callback import Callback, Phase
from minitorch.trainer.callbacks.extra import extra_module

if TYPE_CHECKING:
    from minitorch.trainer.trainer import Trainer

MIB = 2**20
STATM = Path("/proc/self/statm")


@attrs.define(eq=False)
class DeviceStats(Callback):
    """Measures at the end of each epoch what the process takes of the machine, as `trainer.timings`.

        Trainer(model, optimizer, loss=loss, callbacks=[DeviceStats(), EpochTimer(), ConsoleLogger()])

    `cpu_percent` is of one core, over the epoch: 200 means that two were busy all the time. `memory_mib` is what the
    process has in memory now. For a model on a GPU, `gpu_used_mib` is what all arrays of CuPy's memory pool take, and
    `gpu_pool_mib` what the pool has taken from the device, free blocks included. All memory is in MiB (2**20 bytes).
    Nothing waits for the device.

    Raises:
        MissingExtraError: outside Linux, the package `psutil` is not installed.
    """

    phase = Phase.METRIC

    _clocks: tuple[float, float] = attrs.field(default=(0.0, 0.0), init=False, repr=False)

    def __attrs_post_init__(self) -> None:
        _resident_bytes()

    def on_epoch_start(self, trainer: "Trainer") -> None:
        """Start the clocks."""
        self._clocks = time.process_time(), time.perf_counter()

    def on_epoch_end(self, trainer: "Trainer", metrics: dict[str, float]) -> None:
        """Read the clocks and the memory."""
        busy, passed = time.process_time() - self._clocks[0], time.perf_counter() - self._clocks[1]
        trainer.timings["cpu_percent"] = 100 * busy / passed
        trainer.timings["memory_mib"] = _resident_bytes() / MIB
        xp = module_of(trainer.model)
        if xp is not np:
            pool = xp.get_default_memory_pool()
            trainer.timings["gpu_used_mib"] = pool.used_bytes() / MIB
            trainer.timings["gpu_pool_mib"] = pool.total_bytes() / MIB


def module_of(model: Model) -> Any:
    """The array module, `numpy` or `cupy`, that `model` computes with."""
    return next((xp_of(param.data) for param in model.params() if param.data is not None), np)


def _resident_bytes() -> int:
    """The memory of this process that is in RAM."""
    if STATM.exists():
        return int(STATM.read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    return int(extra_module("psutil", "DeviceStats", "monitor").Process().memory_info().rss)
