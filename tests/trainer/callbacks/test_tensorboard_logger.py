"""TensorBoardLogger: what TensorBoard's own reader finds in the files, also after breaks."""

import importlib.util
import sys

import pytest
import resumed_runs
import small_runs

from minitorch import Every
from minitorch.errors import CheckpointError, ConfigError, MissingExtraError
from minitorch.trainer.callbacks import EpochTimer, TensorBoardLogger

needs_tensorboard = pytest.mark.skipif(
    importlib.util.find_spec("tensorboard") is None, reason="tensorboard is not installed"
)


def reader(folder):
    """TensorBoard's reader of a folder."""
    from tensorboard.backend.event_processing.plugin_event_accumulator import EventAccumulator

    return EventAccumulator(str(folder))


def curves(accumulator):
    """By tag what a reader has, after looking for news: steps and values."""
    from tensorboard.util.tensor_util import make_ndarray

    accumulator.Reload()
    tags = accumulator.Tags()["tensors"]
    return {tag: [(e.step, float(make_ndarray(e.tensor_proto))) for e in accumulator.Tensors(tag)] for tag in tags}


@needs_tensorboard
def test_tensorboard_reads_the_history(tmp_path):
    """Epochs, intervals and timings are curves over steps, in the precision of TensorBoard, float32."""
    run = small_runs.trainer(EpochTimer(), TensorBoardLogger(tmp_path), log_every=Every(steps=2))
    run.fit(small_runs.batches(), small_runs.batches(2), epochs=2)
    seen = curves(reader(tmp_path))
    assert set(seen) == {"step/loss", "epoch/loss", "epoch/val_loss", "timings/seconds"}
    assert [step for step, _ in seen["step/loss"]] == [2, 4, 6, 8]
    assert [step for step, _ in seen["timings/seconds"]] == [4, 8]
    for name in ("loss", "val_loss"):
        expected = [((i + 1) * 4, pytest.approx(metrics[name], rel=1e-6)) for i, metrics in enumerate(run.history)]
        assert seen[f"epoch/{name}"] == expected


@needs_tensorboard
@pytest.mark.parametrize("break_at", [1, 4, 7, 8, 11])
def test_a_resumed_run_has_every_step_once(tmp_path, break_at):
    """Broken off and resumed, a reader sees the curves of a run that went through; so does one that was watching."""
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    resumed_runs.fit(whole, lambda: [TensorBoardLogger(whole)])
    resumed_runs.fit(broken, lambda: [TensorBoardLogger(broken)], break_at=break_at)
    watching = reader(broken)
    curves(watching)
    resumed_runs.fit(broken, lambda: [TensorBoardLogger(broken)])
    expected = curves(reader(whole))
    assert [step for step, _ in expected["step/loss"]] == [2, 4, 6, 8, 10, 12]
    assert curves(reader(broken)) == expected
    assert curves(watching) == expected


@needs_tensorboard
def test_files_of_sessions_after_the_checkpoint_are_emptied(tmp_path):
    """Resumed twice from the same checkpoint, the session in between leaves no event."""
    for break_at in (4, 5, None):
        resumed_runs.fit(tmp_path, lambda: [TensorBoardLogger(tmp_path)], break_at=break_at)
    sizes = [path.stat().st_size for path in sorted(tmp_path.glob("events*"))]
    assert [size > 0 for size in sizes] == [True, False, True]
    assert [step for step, _ in curves(reader(tmp_path))["step/loss"]] == [2, 4, 6, 8, 10, 12]


@needs_tensorboard
def test_a_new_run_does_not_mix_with_an_older_one(tmp_path):
    """It is refused with the ways out; with overwrite=True the older events are gone, those of others are not."""
    other = tmp_path / "events.out.tfevents.1700000000.host"
    other.write_bytes(b"")
    for _ in range(2):
        small_runs.trainer(TensorBoardLogger(tmp_path, overwrite=True)).fit(small_runs.batches(), epochs=1)
        assert len(curves(reader(tmp_path))["epoch/loss"]) == 1
    assert other.exists()
    with pytest.raises(
        ConfigError, match=r"^TensorBoardLogger: .* has files of an earlier run: events\.out.*; pass re"
    ):
        small_runs.trainer(TensorBoardLogger(tmp_path)).fit(small_runs.batches(), epochs=1)


@needs_tensorboard
def test_a_file_that_lost_events_is_reported(tmp_path):
    """Resumed without the bytes that the checkpoint counts, the run says which file is short."""
    resumed_runs.fit(tmp_path, lambda: [TensorBoardLogger(tmp_path)], break_at=7)
    (tmp_path / "events.out.tfevents.0000000001.minitorch").write_bytes(b"")
    with pytest.raises(CheckpointError, match=r"0000000001\.minitorch has 0 bytes, and the resumed run had written "):
        resumed_runs.fit(tmp_path, lambda: [TensorBoardLogger(tmp_path)])


@needs_tensorboard
def test_fit_called_twice_goes_on(tmp_path):
    """A second `fit` of the same Trainer goes on in a new file, and no step is lost."""
    run = small_runs.trainer(TensorBoardLogger(tmp_path))
    run.fit(small_runs.batches(), epochs=1)
    run.fit(small_runs.batches(), epochs=2)
    assert [step for step, _ in curves(reader(tmp_path))["epoch/loss"]] == [4, 8]


@needs_tensorboard
def test_no_large_framework_is_imported(tmp_path):
    """Neither TensorFlow nor PyTorch is needed for writing."""
    small_runs.trainer(TensorBoardLogger(tmp_path)).fit(small_runs.batches(), epochs=1)
    assert not {"tensorflow", "torch"} & set(sys.modules)


def test_without_the_package_the_extra_is_named(monkeypatch):
    """The error comes when the callback is made, and says what to install."""
    for name in ("tensorboard", *[name for name in sys.modules if name.startswith("tensorboard.")]):
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(
        MissingExtraError,
        match=r"^TensorBoardLogger cannot import tensorboard\..*pip install minitorch\[tensorboard\]$",
    ):
        TensorBoardLogger("runs")
