"""ConsoleLogger, JSONLLogger, EpochTimer and ProgressBar: what a user sees and finds of a run."""

import gc
import json
import os
import pty
import re
import subprocess
import sys
import termios
import textwrap

import pytest
from small_runs import at, batches, loader, trainer

import minitorch.functions as F
from minitorch import Every
from minitorch.errors import CheckpointError, ConfigError
from minitorch.trainer import Phase
from minitorch.trainer.callbacks import Checkpoint, ConsoleLogger, EpochTimer, JSONLLogger

# The console ---------------------------------------------------------------------------------------------------------


def test_a_row_for_each_epoch(capsys):
    """A header, a row for each epoch with metrics and seconds, and how the run ended."""
    run = trainer(EpochTimer(), ConsoleLogger(), metrics={"accuracy": F.accuracy})
    result = run.fit(batches(), batches(1), epochs=2)
    header, *rows, end = capsys.readouterr().out.splitlines()
    assert header == "epoch      loss  accuracy  val_loss  val_accuracy   seconds"
    for i, (row, metrics) in enumerate(zip(rows, result.history, strict=True)):
        epoch, *numbers, seconds = row.split()
        assert (int(epoch), len(row)) == (i + 1, len(header))
        assert numbers == [f"{value:.4f}" for value in metrics.values()]
        assert float(seconds) >= 0
    assert re.fullmatch(r"completed: 2 epochs done \(step 8, \d+\.\d s, callbacks \d+\.\d%\)", end)


def test_a_new_header_where_columns_change(capsys):
    """An epoch with validation after one without gets its own header."""
    trainer(ConsoleLogger(), validate_every=Every(epochs=2)).fit(batches(), batches(1), epochs=3)
    lines = capsys.readouterr().out.splitlines()
    headers = [line for line in lines if line.startswith("epoch")]
    assert [line.split() for line in headers] == [["epoch", "loss"], ["epoch", "loss", "val_loss"], ["epoch", "loss"]]


def test_small_numbers_keep_their_digits(capsys):
    """What four places would show nothing of is written with its power of ten; large numbers have one place."""

    def add(trainer, metrics):
        metrics |= {"lr": 2.5e-5, "zero": 0.0, "less": -1e-9, "samples/s": 44059.2736}

    trainer(at("on_epoch_end", add), ConsoleLogger()).fit(batches(), epochs=1)
    assert capsys.readouterr().out.splitlines()[1].split()[2:] == ["2.5e-05", "0.0000", "-1.0e-09", "44059.3"]


def test_the_end_names_the_checkpoint_and_a_resumed_run_says_where_it_goes_on(capsys, tmp_path):
    """The last line tells where the state is, the first of a resumed run where it begins."""
    trainer(ConsoleLogger(), Checkpoint(tmp_path)).fit(batches(4), steps=6)
    path = tmp_path / "checkpoints" / "step-00000006.safetensors"
    assert capsys.readouterr().out.splitlines()[-1] == f"checkpoint: {path}"
    trainer(ConsoleLogger(), Checkpoint(tmp_path)).fit(batches(4), epochs=2, resume="auto")
    assert capsys.readouterr().out.splitlines()[0] == f"resumed after epoch 1, batch 2 from {path}"


def test_a_stopped_run_says_why(capsys):
    """The metrics so far and the reason for the end are printed, where no epoch was finished."""
    trainer(ConsoleLogger(), at("on_batch_end", lambda t, outputs: t.request_stop("enough is enough"))).fit(
        batches(), epochs=1
    )
    metrics, end = capsys.readouterr().out.splitlines()
    assert metrics.startswith("loss ")
    assert end.startswith("stopped: enough is enough (step 1, ")


# Seconds -------------------------------------------------------------------------------------------------------------


def test_the_seconds_of_an_epoch_include_its_validation(monkeypatch):
    """The timer runs from the first batch of an epoch to the end of its validation."""
    now = [0.0]
    monkeypatch.setattr("minitorch.trainer.callbacks.epoch_timer.time.perf_counter", lambda: now[0])

    def wait(seconds):
        return lambda *given: now.__setitem__(0, now[0] + seconds)

    run = trainer(EpochTimer(), at("on_batch_end", wait(1.0)), at("on_validation_start", wait(10.0)))
    seen = []
    run.callbacks.append(at("on_epoch_end", lambda trainer, metrics: seen.append(trainer.timings["seconds"])))
    run.fit(batches(3), batches(1), epochs=2)
    assert seen == [13.0, 13.0]
    assert "seconds" not in run.history[0]  # measured times are no metrics: no two runs have the same


# metrics.jsonl -------------------------------------------------------------------------------------------------------


def rows(folder):
    """The lines of the file."""
    return [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]


def test_a_line_for_each_log_interval_and_each_epoch(tmp_path):
    """Intervals have their step, epochs what `on_epoch_end` gets; no line has a time in it."""
    result = trainer(JSONLLogger(tmp_path), log_every=Every(steps=3)).fit(batches(4), batches(1), epochs=2)
    lines = rows(tmp_path)
    assert [(line.get("event"), line["step"], line["epoch"]) for line in lines] == [
        (None, 3, 0),
        ("epoch", 4, 1),
        (None, 6, 1),
        ("epoch", 8, 2),
    ]
    assert [set(line) for line in lines[:2]] == [
        {"step", "epoch", "loss"},
        {"event", "step", "epoch", "loss", "val_loss"},
    ]
    epochs = [line for line in lines if "event" in line]
    assert [{k: line[k] for k in ("loss", "val_loss")} for line in epochs] == result.history


def test_a_line_can_be_read_at_once(tmp_path):
    """Whoever watches the file sees each line when it is written, not when the run ends."""
    seen = []
    look = at("on_batch_end", lambda trainer, outputs: seen.append(len(rows(tmp_path))), phase=Phase.CHECKPOINT)
    trainer(JSONLLogger(tmp_path), look, log_every=Every(steps=1)).fit(batches(3), epochs=1)
    assert seen == [1, 2, 3]


def test_the_file_of_an_earlier_run_is_not_overwritten(tmp_path):
    """A second run in the folder is refused, and `overwrite=True` begins the file anew."""
    trainer(JSONLLogger(tmp_path)).fit(batches(), epochs=2)
    remedy = 'pass resume="auto" to fit to go on with it, choose another folder, or pass overwrite=True$'
    message = rf"^JSONLLogger: {tmp_path} has files of an earlier run: metrics\.jsonl; {remedy}"
    with pytest.raises(ConfigError, match=message):
        trainer(JSONLLogger(tmp_path)).fit(batches(), epochs=1)
    assert len(rows(tmp_path)) == 2
    trainer(JSONLLogger(tmp_path, overwrite=True)).fit(batches(), epochs=1)
    assert len(rows(tmp_path)) == 1


def test_a_second_fit_of_one_trainer_appends(tmp_path):
    """The run goes on, and so does its file."""
    run = trainer(JSONLLogger(tmp_path))
    run.fit(batches(), epochs=1)
    run.fit(batches(), epochs=3)
    assert [line["epoch"] for line in rows(tmp_path)] == [1, 2, 3]


def test_a_logger_used_again_in_a_new_run_begins_anew(tmp_path):
    """What a logger object wrote for one Trainer is not counted for the next."""
    logger = JSONLLogger(tmp_path, overwrite=True)
    for _ in range(2):
        trainer(logger).fit(batches(), epochs=2)
    assert [line["epoch"] for line in rows(tmp_path)] == [1, 2]


def test_a_resumed_run_whose_file_was_lost_says_so(tmp_path):
    """Where lines that the checkpoint counts on are gone, the run does not go on as if nothing was missing."""

    def run():
        return trainer(JSONLLogger(tmp_path), Checkpoint(tmp_path))

    run().fit(loader(), epochs=1)
    (tmp_path / "metrics.jsonl").unlink()
    with pytest.raises(
        CheckpointError, match=r"metrics\.jsonl has 0 bytes, and the resumed run had written \d+; put the"
    ):
        run().fit(loader(), epochs=2, resume="auto")


def test_a_line_cut_in_the_middle_is_written_again(tmp_path):
    """What a killed process left of a line goes when the run is resumed."""

    def run():
        return trainer(JSONLLogger(tmp_path), Checkpoint(tmp_path))

    run().fit(loader(), epochs=1)
    with (tmp_path / "metrics.jsonl").open("a") as file:
        file.write('{"step": 5, "epo')
    run().fit(loader(), epochs=2, resume="auto")
    assert [line["epoch"] for line in rows(tmp_path)] == [1, 2]


def test_the_file_is_closed_after_an_error(tmp_path):
    """An error in a run leaves no file open, and all lines so far in it."""
    run = trainer(JSONLLogger(tmp_path), at("on_epoch_start", lambda t: t.state.epoch < 2 or 1 / 0))
    with pytest.raises(ZeroDivisionError):
        run.fit(batches(), epochs=3)
    del run
    gc.collect()  # a file left open would warn, and warnings are errors
    assert [line["epoch"] for line in rows(tmp_path)] == [1, 2]


# The progress bar ----------------------------------------------------------------------------------------------------

PROGRAM = """
    import sys, time
    from minitorch import Every
    from minitorch.trainer.callbacks import ConsoleLogger, ProgressBar
    from small_runs import at, batches, trainer

    run = trainer(ProgressBar(), ConsoleLogger(), log_every=Every(steps=5))
    start = time.perf_counter()
    run.fit(batches(400), epochs=2)
    print("took", time.perf_counter() - start)
"""


def child(**streams):
    """The program, in a process of its own."""
    path = os.pathsep.join([os.path.dirname(__file__), *filter(None, [os.environ.get("PYTHONPATH")])])
    return subprocess.Popen(
        [sys.executable, "-W", "error", "-c", textwrap.dedent(PROGRAM)],
        env={**os.environ, "PYTHONPATH": path},
        **streams,
    )


def test_a_bar_on_a_terminal():
    """On a pseudo-terminal each epoch has a bar that counts batches, redrawn ten times a second at most."""
    ours, theirs = pty.openpty()
    termios.tcsetwinsize(ours, (24, 100))
    process = child(stdout=subprocess.PIPE, stderr=theirs, text=True)
    os.close(theirs)
    drawn = b""
    while True:
        try:
            part = os.read(ours, 65536)
        except OSError:  # the other end is closed
            break
        if not part:
            break
        drawn += part
    os.close(ours)
    out, _ = process.communicate(timeout=60)
    assert process.returncode == 0, drawn.decode()
    text = drawn.decode()
    assert "epoch 1:" in text
    assert "epoch 2:" in text
    assert "/400 [" in text
    seconds = float(out.split("took")[1])
    redraws = len(re.findall(r"\repoch \d:", text))
    assert 2 <= redraws <= 10 * seconds + 6  # and one at each end of each epoch
    assert text.endswith("\r")  # nothing is left of it
    assert [line.split()[0] for line in out.splitlines()] == ["epoch", "1", "2", "completed:", "took"]


def test_no_bar_in_a_pipe():
    """Where nobody watches, the rows are all there is."""
    process = child(stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    out, err = process.communicate(timeout=60)
    assert (process.returncode, err) == (0, "")
    assert [line.split()[0] for line in out.splitlines()] == ["epoch", "1", "2", "completed:", "took"]
