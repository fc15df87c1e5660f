"""Runs on a disk that becomes full: a clear error, nothing lost, and the run goes on when there is room again."""

import contextlib
import importlib.util
import json
import os
import shutil
import threading

import pytest
from small_runs import at, batches, loader, trainer, weights

import minitorch
from minitorch import Every, serialize
from minitorch.errors import CheckpointError
from minitorch.optimizers import Adam
from minitorch.trainer import Phase
from minitorch.trainer.callbacks import Checkpoint, CSVLogger, JSONLLogger, TensorBoardLogger

tensorboard = pytest.param(
    TensorBoardLogger,
    marks=pytest.mark.skipif(importlib.util.find_spec("tensorboard") is None, reason="tensorboard is not installed"),
)


def fill(folder, leave=0):
    """Take all the room there is in `folder` but `leave` bytes, with a file of its own."""
    with (folder / "filler").open("ab", buffering=0) as file, contextlib.suppress(OSError):
        for size in (1 << 16, 1 << 12, 1):
            while shutil.disk_usage(folder).free > leave:
                file.write(bytes(size))


def filling(folder, step, leave=0):
    """A callback that fills the disk before anybody writes at `step`, and after whatever is being written."""

    def wait_and_fill(run, outputs):
        if run.state.step == step:
            for thread in threading.enumerate():
                if thread.name.startswith("checkpoint"):
                    thread.join(60)
            fill(folder, leave)

    return at("on_batch_end", wait_and_fill, phase=Phase.METRIC)


def make(folder, *others, logger=JSONLLogger, background=False):
    """A Trainer that logs and saves in `folder`."""
    minitorch.seed(0)
    saver = Checkpoint(folder, every=Every(steps=2), keep=1, background=background)
    return trainer(*others, logger(folder), saver, optimizer=Adam(), log_every=Every(steps=1))


def lines(folder):
    """The rows of a metrics.jsonl."""
    return [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]


@pytest.mark.parametrize("background", [False, True])
def test_full_while_a_checkpoint_is_written(small_disk, tmp_path, background):
    """The error tells how many bytes are needed and free; the older checkpoint is whole; the run can go on."""
    folder = small_disk / "run"
    with pytest.raises(CheckpointError) as info:
        make(folder, filling(small_disk, 4, leave=4096), background=background).fit(loader(), steps=12)
    message = str(info.value)
    assert f"{folder}/checkpoints/step-00000004.safetensors could not be written: [Errno 28] No space left" in message
    assert " bytes are needed; " in message
    assert message.endswith(f" bytes are free in {folder}/checkpoints; no file was left behind")
    (left,) = (folder / "checkpoints").iterdir()
    assert left.name == "step-00000002.safetensors"
    serialize.verify(left)
    assert [row["step"] for row in lines(folder)][:4] == [1, 2, 3, 4]
    (small_disk / "filler").unlink()
    goes_on = make(folder, background=background)
    goes_on.fit(loader(), steps=12, resume="auto")
    whole = make(tmp_path / "whole")
    whole.fit(loader(), steps=12)
    assert weights(goes_on) == weights(whole)
    assert (folder / "metrics.jsonl").read_bytes() == (tmp_path / "whole" / "metrics.jsonl").read_bytes()


@pytest.mark.parametrize("logger", [JSONLLogger, CSVLogger, tensorboard])
def test_full_while_a_log_is_written(small_disk, tmp_path, logger):
    """The error names the file and the remedy; what was logged before is whole; resumed, the files are the same."""
    folder = small_disk / "run"

    def start(where, *others):
        return make(where, *others, at("on_batch_end", many, phase=Phase.METRIC), logger=logger)

    def many(run, outputs):  # so that a step takes more than what is left of the block that the file has
        outputs.metrics.update({f"m{i}": run.state.step / (i + 3) for i in range(90)})

    with pytest.raises(CheckpointError) as info:
        start(folder, filling(small_disk, 5)).fit(loader(), steps=20)
    message = str(info.value)
    assert message.startswith(f"{logger.__name__}: {folder}/")
    assert (
        "could not be written: No space left on device; 0 bytes are free there; what was written before is" in message
    )
    assert message.endswith("make room, or look after the disk, and resume the run from its last checkpoint")
    for path in folder.glob("*.jsonl"):
        assert all(json.loads(line) for line in path.read_text().splitlines())
    (small_disk / "filler").unlink()
    goes_on = start(folder)
    goes_on.fit(loader(), steps=20, resume="auto")
    whole = start(tmp_path / "whole")
    whole.fit(loader(), steps=20)
    assert weights(goes_on) == weights(whole)
    for path in [*(tmp_path / "whole").glob("*.jsonl"), *(tmp_path / "whole").glob("*.csv")]:
        assert (folder / path.name).read_bytes() == path.read_bytes()


def test_full_before_the_first_step(small_disk):
    """A run that cannot even begin its files says so, and begins when it can."""
    fill(small_disk)
    with pytest.raises(CheckpointError, match="No space left on device"):
        make(small_disk / "run", logger=CSVLogger).fit(batches(), epochs=1)
    (small_disk / "filler").unlink()
    assert make(small_disk / "run", logger=CSVLogger).fit(batches(), epochs=1).state.step == 4


@pytest.mark.skipif(os.name == "nt", reason="limits of POSIX")
def test_a_limit_on_file_sizes(tmp_path):
    """Where a file may grow no further in the middle of a line, the half line is taken back."""
    resource = pytest.importorskip("resource")
    before = resource.getrlimit(resource.RLIMIT_FSIZE)

    def limit(run, outputs):
        if run.state.step == 3:
            size = (tmp_path / "metrics.jsonl").stat().st_size
            resource.setrlimit(resource.RLIMIT_FSIZE, (size + 5, before[1]))

    run = trainer(at("on_batch_end", limit, phase=Phase.METRIC), JSONLLogger(tmp_path), log_every=Every(steps=1))
    try:
        with pytest.raises(
            CheckpointError, match=r"^JSONLLogger: .*metrics\.jsonl could not be written: File too large"
        ):
            run.fit(batches(), epochs=2)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert [row["step"] for row in lines(tmp_path)] == [1, 2]
