"""The bill of the callbacks: calls, time, host reads and bytes of each hook that ran."""

import re
import time

import numpy as np
import pytest
from small_runs import Everything, at, batches, trainer

import fake_cupy
from minitorch import Every, as_numpy
from minitorch.trainer import Phase
from minitorch.trainer.callback import HOOKS
from minitorch.trainer.callbacks import ConsoleLogger, DevicePlacement, EpochTimer


def rows(run):
    """The rows of the bill of a Trainer by name."""
    return {row.name: row for row in run.bill.rows}


def test_every_hook_that_is_written_has_a_row():
    """Its calls are counted; hooks that nobody overrides have none."""
    run = trainer(Everything(), EpochTimer())
    run.fit(batches(4), batches(2), epochs=2)
    calls = {name: row.calls for name, row in rows(run).items()}
    counts = {"on_fit_start": 1, "on_fit_end": 1, "on_exception": 0}
    each_epoch = ("on_epoch_start", "on_epoch_end", "on_validation_start", "on_validation_end")
    expected = {f"Everything.{hook}": counts.get(hook, 2 if hook in each_epoch else 8) for hook in HOOKS}
    assert calls == expected | {"EpochTimer.on_epoch_start": 2, "EpochTimer.on_epoch_end": 2}
    assert trainer().bill.rows == []


def test_two_of_a_class_have_rows_of_their_own_and_so_has_the_trainer():
    """They are numbered as in a checkpoint; hooks that a Trainer writes itself are under its name."""

    class Mine(type(trainer())):
        def on_batch_end(self, outputs):
            pass

    run = trainer(EpochTimer(), EpochTimer(), cls=Mine, loss=trainer().loss)
    names = {"Mine.on_batch_end", "EpochTimer.on_epoch_end", "EpochTimer-2.on_epoch_end"}
    assert names <= set(rows(run))


@pytest.mark.usefixtures("clock")
def test_the_time_of_a_hook_is_on_its_row():
    """A hook that sleeps has at least that on its row, and the table begins with it."""
    run = trainer(at("on_batch_end", lambda *given: time.sleep(0.002)), EpochTimer())
    result = run.fit(batches(4), epochs=1)
    assert rows(run)["At.on_batch_end"].seconds >= 4 * 0.002
    assert result.bill is run.bill
    assert result.bill.sorted()[0].name == "At.on_batch_end"
    assert 0.008 <= result.bill.total() <= result.bill.seconds
    assert 0 < result.bill.share() < 1
    assert result.bill.seconds == result.bill.seconds  # the run is over


def test_the_table():
    """A headline and a line for each hook that was called."""
    run = trainer(EpochTimer())
    run.fit(batches(4), epochs=2)
    lines = str(run.bill).splitlines()
    assert re.fullmatch(r"callbacks: \d\.\d{3} s of \d\.\d{3} s \(\d+\.\d%\)", lines[0])
    assert sorted(line.split()[0] for line in lines[1:]) == ["EpochTimer.on_epoch_end", "EpochTimer.on_epoch_start"]
    assert all(re.fullmatch(r"\S+ +2 calls +\d+\.\d ms +\d+\.\d us/call", line) for line in lines[1:])


def test_the_table_is_short():
    """The ten hooks that took longest, and the sum of the rest; `rows` has all."""
    run = trainer(Everything(), EpochTimer())
    run.fit(batches(4), batches(2), epochs=1)
    lines = str(run.bill).splitlines()
    assert len(lines) == 12
    assert re.fullmatch(r"and 3 more, \d+\.\d ms", lines[-1])


def test_reads_and_bytes_are_on_the_row_of_the_hook_that_moved_them():
    """A callback that fetches the loss at each step, and the placement of batches, are told apart."""
    with fake_cupy.installed():
        read = at("on_batch_end", lambda run, outputs: as_numpy(outputs.loss))
        run = trainer(DevicePlacement("cuda"), read, EpochTimer(), log_every=Every(steps=1000))
        run.fit(batches(4), epochs=1)
        found = rows(run)
        size = sum(array.nbytes for array in batches(1)[0])
        placed, fetched = found["DevicePlacement.on_batch_start"], found["At.on_batch_end"]
        assert (fetched.calls, fetched.reads, fetched.bytes) == (4, 4, 4 * np.float32().nbytes)
        assert (placed.calls, placed.reads, placed.bytes) == (4, 0, 4 * size)
        assert found["EpochTimer.on_epoch_end"].bytes == 0
        assert "4 host reads" in str(run.bill)


def test_a_hook_that_raises_is_an_error_as_it_was():
    """Counting changes neither the error nor its way."""
    with pytest.raises(ZeroDivisionError):
        trainer(at("on_batch_end", lambda *given: 1 / 0)).fit(batches(), epochs=1)


def test_each_run_has_a_bill_of_its_own():
    """The next `fit` begins a new one; the one of the result stays."""
    run = trainer(EpochTimer())
    first = run.fit(batches(4), epochs=1).bill
    second = run.fit(batches(4), epochs=3).bill
    assert [bill.rows[0].calls for bill in (first, second)] == [1, 2]


def test_the_summary_of_the_run_tells_the_share(capsys):
    """The last line of the table of epochs says what the callbacks cost, and `explain` shows the bill after a run."""
    run = trainer(ConsoleLogger(), EpochTimer())
    assert "the newest run:" not in run.explain()
    run.fit(batches(4), epochs=1)
    assert re.search(r"^completed: .* s, callbacks \d+\.\d%\)$", capsys.readouterr().out, re.M)
    assert "the newest run:\n  callbacks: " in run.explain()
    assert re.search(r"^  ConsoleLogger\.on_epoch_end +1 calls ", run.explain(), re.M)


@pytest.mark.usefixtures("clock")
def test_the_summary_counts_what_others_do_at_the_end(capsys):
    """A callback that takes its time in `on_fit_end`, as a report does, is in the share of the last line."""
    slow = at("on_fit_end", lambda *given: time.sleep(0.3), phase=Phase.CHECKPOINT)
    trainer(ConsoleLogger(), slow).fit(batches(4), epochs=1)
    assert float(re.search(r"callbacks (\d+\.\d)%", capsys.readouterr().out)[1]) > 50
