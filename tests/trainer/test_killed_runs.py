"""Runs killed with SIGKILL and resumed in a new process: they end, byte for byte, where an uninterrupted run ends.

The run has all that could go wrong: accumulated gradients, dropout, batch norm, random augmentation and mixing of
samples, a schedule, clipping, averaged weights, early stopping with the best weights, validation and a log.
"""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from minitorch import serialize
from minitorch.trainer.callback import HOOKS

PROGRAM = Path(__file__).with_name("killed_run.py")
STEPS = 40

# where something may be half done: before the first checkpoint, around each thing that happens at a step, at the first
# and the last step of an epoch, in the middle of writing, at the very end
CHAIN = [
    "1:on_after_backward",
    "2:waiting",
    "4:on_checkpoint",
    "4:writing",
    "4:saved",
    "7:on_validation_end",
    "10:on_epoch_end",
    "11:waiting",
    "17:on_batch_end",
    "20:writing",
    "20:saved",
    "30:on_checkpoint",
    "40:on_batch_end",
    "40:writing",
]
# for each hook a step in which it runs, after that of the one before
HOOK_STEPS = {
    "on_fit_start": 0, "on_batch_start": 2, "on_after_backward": 3, "on_after_update": 4, "on_batch_end": 5,
    "on_validation_start": 7, "on_epoch_end": 10, "on_epoch_start": 20, "on_validation_end": 21, "on_exception": 25,
    "on_checkpoint": 38, "on_fit_end": 40,
}  # fmt: skip


@pytest.fixture(scope="session")
def run(small_mnist):
    """Runs the program in a process of its own, in a folder, until it ends or fails; returns its status and words."""
    command = [sys.executable, "-W", "error", PROGRAM, small_mnist]
    with subprocess.Popen(
        list(map(str, command)),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=os.environ | {"OPENBLAS_NUM_THREADS": "1"},
    ) as server:

        def start(folder, failure=None):
            folder.mkdir(exist_ok=True)
            server.stdin.write(f"{folder} {failure or ''}\n")
            server.stdin.flush()
            return int(server.stdout.readline()), Path(f"{folder}.out").read_text()

        yield start
        server.stdin.close()


@pytest.fixture(scope="session")
def uninterrupted(run, tmp_path_factory):
    """The folder of a run that nobody disturbed."""
    folder = tmp_path_factory.mktemp("uninterrupted") / "run"
    completed(run, folder)
    return folder


def completed(run, folder):
    """Go on with a run to its end."""
    status, words = run(folder)
    assert (status, words) == (0, f"completed at step {STEPS}\n")


def killed(run, folder, failure):
    """Go on with a run until it is killed."""
    status, words = run(folder, failure)
    assert status == -9, (failure, words)


def last_checkpoint(folder):
    """Arrays as bytes, and all the rest but the seconds, of the last checkpoint of a finished run."""
    loaded = serialize.load(folder / "checkpoints" / f"step-{STEPS:08d}.safetensors")
    assert loaded.meta["checkpoint"]["state"].pop("elapsed") > 0
    return {name: array.tobytes() for name, array in loaded.arrays.items()}, loaded.meta


def assert_equal_runs(folder, other):
    """Weights, moments, averages, counters, means, random numbers and every byte of the metrics are equal."""
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
    """The run to compare with has moments, averages, best weights, logged intervals, validation, and epochs."""
    arrays, meta = last_checkpoint(uninterrupted)
    assert sum("/m" in name or "/v" in name for name in arrays if name.startswith("optimizer/")) == 12
    assert sum(name.startswith("callbacks/EMA/averages/") for name in arrays) == 8
    assert sum(name.startswith("callbacks/EarlyStopping/weights/") for name in arrays) == 8
    state = {"epoch": 4, "batch": 0, "step": 40, "samples": 4 * 310, "waiting": 0}
    assert {name: meta["checkpoint"]["state"][name] for name in state} == state
    assert meta["checkpoint"]["callbacks"]["EMA"]["count"] == 39
    lines = (uninterrupted / "metrics.jsonl").read_text().splitlines()
    assert len(lines) == 40 // 3 + 4
    assert all("val_loss" in line for line in lines if '"event": "epoch"' in line)
    assert all('"lr"' in line and '"grad_norm"' in line for line in lines)


def test_a_run_killed_again_and_again_ends_where_the_uninterrupted_one_does(run, uninterrupted, tmp_path):
    """One run, killed in many places, each time resumed in a new process: everything is the same."""
    for failure in CHAIN:
        killed(run, tmp_path / "run", failure)
    completed(run, tmp_path / "run")
    assert_equal_runs(tmp_path / "run", uninterrupted)


def test_a_run_that_writes_in_the_background_is_killed_and_resumed_alike(run, uninterrupted, tmp_path):
    """Killed while a thread is writing, or before it could, the run ends where the uninterrupted one does."""
    for failure in CHAIN:
        killed(run, tmp_path / "run", f"{failure} background")
    status, words = run(tmp_path / "run", "background")
    assert (status, words) == (0, f"completed at step {STEPS}\n")
    assert_equal_runs(tmp_path / "run", uninterrupted)


@pytest.mark.slow
@pytest.mark.parametrize("place", ["on_after_backward", "waiting", "on_checkpoint"])
def test_a_run_killed_at_any_step_ends_where_the_uninterrupted_one_does(run, uninterrupted, tmp_path, place):
    """Killed once, at each step in turn, before, within or after its update: everything is the same."""
    for step in range(1, STEPS + 1):
        folder = tmp_path / str(step)
        killed(run, folder, f"{step}:{place}")
        completed(run, folder)
        assert_equal_runs(folder, uninterrupted)


@pytest.mark.parametrize(("signal", "status"), [("SIGINT", "interrupted"), ("SIGTERM", "terminated")])
def test_a_run_that_is_asked_to_end_goes_on_later(run, uninterrupted, tmp_path, signal, status):
    """Asked again and again, in the middle of a step or between two, it ends where the uninterrupted one does."""
    for step, place in ((1, "on_batch_start"), (9, "on_after_backward"), (20, "on_epoch_end"), (31, "on_batch_end")):
        done, words = run(tmp_path / "run", f"{step}:{place}:{signal}")
        assert done == 0
        assert words.startswith(f"{status} at step {step}" if step > 1 else f"{status} at step ")
    completed(run, tmp_path / "run")
    assert_equal_runs(tmp_path / "run", uninterrupted)


def test_a_run_with_an_error_in_each_hook_goes_on_later(run, uninterrupted, tmp_path):
    """Each hook raises once; resumed after each, the run ends where the uninterrupted one does."""
    assert HOOK_STEPS.keys() == HOOKS.keys()
    for hook, step in HOOK_STEPS.items():
        done, words = run(tmp_path / "run", f"{step}:{hook}:raise")
        assert done == 1, (hook, words)
        assert (
            f"InjectedError: Chaos: an error on purpose, in {hook if hook != 'on_exception' else 'on_batch_end'}"
            in words
        )
    completed(run, tmp_path / "run")
    assert_equal_runs(tmp_path / "run", uninterrupted)
