"""Runs killed with SIGKILL and resumed in a new process: they end, byte for byte, where an uninterrupted run ends."""

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from minitorch import serialize

PROGRAM = Path(__file__).with_name("killed_run.py")
STEPS = 40

# where something may be half done: before the first checkpoint, around each thing that happens at a step, at the first
# and the last step of an epoch, in the middle of writing, at the very end
CHAIN = [
    "1:on_after_backward",
    "4:on_checkpoint",
    "4:writing",
    "4:saved",
    "7:on_validation_end",
    "10:on_epoch_end",
    "17:on_batch_end",
    "20:writing",
    "20:saved",
    "30:on_checkpoint",
    "40:on_batch_end",
    "40:writing",
]


@pytest.fixture(scope="session")
def run(small_mnist):
    """Runs the program in a process of its own, in a folder, until it ends or dies."""

    def start(folder, death=None):
        arguments = [sys.executable, "-W", "error", PROGRAM, small_mnist, folder, *([death] if death else [])]
        done = subprocess.run(list(map(str, arguments)), capture_output=True, text=True, timeout=120, check=False)
        if death is None:
            assert done.returncode == 0, done.stderr
            assert done.stdout == f"completed at step {STEPS}\n"
        else:
            assert done.returncode == -signal.SIGKILL, (death, done.stdout, done.stderr)
        return folder

    return start


@pytest.fixture(scope="session")
def uninterrupted(run, tmp_path_factory):
    """The folder of a run that nobody disturbed."""
    return run(tmp_path_factory.mktemp("uninterrupted"))


def last_checkpoint(folder):
    """Arrays as bytes, and all the rest but the seconds, of the last checkpoint of a finished run."""
    loaded = serialize.load(folder / "checkpoints" / f"step-{STEPS:08d}.safetensors")
    assert loaded.meta["checkpoint"]["state"].pop("elapsed") > 0
    return {name: array.tobytes() for name, array in loaded.arrays.items()}, loaded.meta


def assert_equal_runs(folder, other):
    """Weights, moments, counters, means, random numbers and every byte of the metrics are equal."""
    arrays, meta = last_checkpoint(folder)
    wanted_arrays, wanted_meta = last_checkpoint(other)
    assert meta == wanted_meta
    assert arrays.keys() == wanted_arrays.keys()
    assert [name for name in arrays if arrays[name] != wanted_arrays[name]] == []
    assert (folder / "metrics.jsonl").read_bytes() == (other / "metrics.jsonl").read_bytes()
    assert sorted(p.name for p in (folder / "checkpoints").iterdir()) == sorted(
        p.name for p in (other / "checkpoints").iterdir()
    )


def test_the_uninterrupted_run_has_everything_that_could_go_wrong(uninterrupted):
    """The run to compare with has moments of Adam, logged intervals, validation, and epochs."""
    arrays, meta = last_checkpoint(uninterrupted)
    assert sum("/m" in name or "/v" in name for name in arrays) == 8
    assert meta["checkpoint"]["state"] == {"epoch": 4, "batch": 0, "step": 40, "samples": 4 * 310, "waiting": 0}
    lines = (uninterrupted / "metrics.jsonl").read_text().splitlines()
    assert len(lines) == 40 // 3 + 4
    assert all("val_loss" in line for line in lines if '"event": "epoch"' in line)


def test_a_run_killed_again_and_again_ends_where_the_uninterrupted_one_does(run, uninterrupted, tmp_path):
    """One run, killed in many places, each time resumed in a new process: weights, moments and metrics are the same."""
    for death in CHAIN:
        run(tmp_path, death)
    assert_equal_runs(run(tmp_path), uninterrupted)


@pytest.mark.slow
@pytest.mark.parametrize("place", ["on_after_backward", "on_checkpoint"])
def test_a_run_killed_at_any_step_ends_where_the_uninterrupted_one_does(run, uninterrupted, tmp_path, place):
    """Killed once, at each step in turn, before or after its update: weights, moments and metrics are the same."""
    for step in range(1, STEPS + 1):
        folder = tmp_path / str(step)
        run(folder, f"{step}:{place}")
        assert_equal_runs(run(folder), uninterrupted)
