"""DeviceStats: measurements among the timings, without waiting for a device."""

import importlib.util
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import small_runs

import fake_cupy
from minitorch.errors import MissingExtraError
from minitorch.trainer.callbacks import DevicePlacement, DeviceStats, device_stats


def test_processor_and_memory_are_measured(monkeypatch):
    """The time of the processor is divided by the time that passed, and the memory is that of what is in use."""
    clocks = SimpleNamespace(process_time=iter([10.0, 13.0]).__next__, perf_counter=iter([100.0, 102.0]).__next__)
    monkeypatch.setattr(device_stats, "time", clocks)
    run = small_runs.trainer(DeviceStats())
    held = np.ones(2**22)
    run.fit(small_runs.batches(), epochs=1)
    assert run.timings["cpu_percent"] == 150.0
    assert held.nbytes / 2**20 < run.timings["memory_mib"] < 2**20
    assert set(run.timings) == {"cpu_percent", "memory_mib"}


def test_it_logs_no_metric():
    """What differs from run to run stays out of the history."""
    run = small_runs.trainer(DeviceStats())
    run.fit(small_runs.batches(), epochs=1)
    assert set(run.history[0]) == {"loss"}


def test_memory_of_the_gpu_is_measured_without_waiting():
    """The arrays of the model are in the pool; nothing is synchronised for it."""
    with fake_cupy.installed():
        plain = small_runs.trainer(DevicePlacement("cuda"))
        with fake_cupy.counting() as without:
            plain.fit(small_runs.batches(), epochs=1)
        run = small_runs.trainer(DevicePlacement("cuda"), DeviceStats())
        with fake_cupy.counting() as traffic:
            run.fit(small_runs.batches(), epochs=1)
        weights = sum(array.nbytes for array in run.model.state_dict().values())
        assert traffic == without
        assert run.timings["gpu_used_mib"] >= weights / 2**20
        assert run.timings["gpu_pool_mib"] >= run.timings["gpu_used_mib"]


@pytest.mark.skipif(importlib.util.find_spec("psutil") is None, reason="psutil is not installed")
def test_outside_linux_psutil_is_asked(monkeypatch):
    """Where there is no /proc, the number comes from psutil, and is the same up to what the question takes."""
    direct = device_stats._resident_bytes()
    monkeypatch.setattr(device_stats, "STATM", Path("/nowhere/statm"))
    assert device_stats._resident_bytes() == pytest.approx(direct, rel=0.2)


def test_outside_linux_without_psutil_the_extra_is_named(monkeypatch):
    """The error comes when the callback is made, and says what to install."""
    monkeypatch.setattr(device_stats, "STATM", Path("/nowhere/statm"))
    monkeypatch.setitem(sys.modules, "psutil", None)
    with pytest.raises(
        MissingExtraError, match=r"^DeviceStats cannot import psutil \(.*\): pip install minitorch\[monitor\]$"
    ):
        DeviceStats()
