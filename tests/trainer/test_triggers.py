"""`Every` and the end of a run: values with a unit, and what they mean."""

import math

import pytest
from small_runs import at, batches, trainer

from minitorch import Every
from minitorch.errors import ConfigError
from minitorch.trainer import TrainState
from minitorch.trainer.callbacks import Checkpoint


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({}, r"^Every: got nothing; give exactly one of steps=, epochs=, seconds=$"),
        ({"steps": 1, "epochs": 2}, r"^Every: got {'steps': 1, 'epochs': 2}; give exactly one of"),
        ({"steps": 0}, r"^Every: steps is 0; it must be a positive int$"),
        ({"steps": -1}, r"^Every: steps is -1; it must be a positive int$"),
        ({"steps": 2.0}, r"^Every: steps is 2\.0; it must be a positive int$"),
        ({"steps": True}, r"^Every: steps is True; it must be a positive int$"),
        ({"epochs": "1"}, r"^Every: epochs is '1'; it must be a positive int$"),
        ({"seconds": math.nan}, r"^Every: seconds is nan; it must be a positive float$"),
    ],
)
def test_a_trigger_is_one_positive_number_with_its_unit(settings, message):
    """Nothing, two units, zero, a fraction of a step, and what is no number are refused."""
    with pytest.raises(ConfigError, match=message):
        Every(**settings)


def test_a_trigger_takes_no_bare_number():
    """`Every(100)` does not say what it counts; the remedy does."""
    with pytest.raises(
        ConfigError,
        match=r"^Every: got 100, and no unit; use Every\(steps=\.\.\.\), Every\(epochs=\.\.\.\) or Every\(sec",
    ):
        Every(100)


@pytest.mark.parametrize(
    ("make", "name"),
    [
        (lambda: trainer(log_every=50), "Trainer: log_every"),
        (lambda: trainer(validate_every=50), "Trainer: validate_every"),
        (lambda: Checkpoint("runs", every=50), "Checkpoint: every"),
    ],
)
def test_a_bare_number_for_a_trigger_gets_the_remedy(make, name):
    """Where a trigger is wanted, a number is refused: its type would have to tell its unit."""
    remedy = r"use Every\(steps=\.\.\.\), Every\(epochs=\.\.\.\) or Every\(seconds=\.\.\.\)$"
    with pytest.raises(ConfigError, match=rf"^{name} is 50; a bare number says no unit: {remedy}"):
        make()


def test_when_triggers_are_due():
    """Steps count updates, epochs their ends, seconds the time since the last time."""
    assert [step for step in range(1, 8) if Every(steps=3).due(TrainState(step=step))] == [3, 6]
    ends = [TrainState(epoch=e, batch=b) for e in range(1, 5) for b in (0, 1)]
    assert [(s.epoch, s.batch) for s in ends if Every(epochs=2).due(s)] == [(2, 0), (4, 0)]
    late = TrainState(elapsed=10.0)
    assert Every(seconds=4).due(late, 6.0)
    assert not Every(seconds=4).due(late, 6.5)


@pytest.fixture
def ticking(monkeypatch):
    """A clock that goes on by one second a step."""
    now = [1000.0]
    monkeypatch.setattr("minitorch.trainer.loop.time.perf_counter", lambda: now[0])

    def tick(trainer, batch):
        now[0] += 1
        return batch

    return at("on_batch_start", tick)


def test_seconds_count_from_the_last_time_for_log_validation_and_checkpoint(ticking, tmp_path):
    """`Every(seconds=3)` fires every third step of a second each, not at each step after the third."""
    logged, validated = [], []
    run = trainer(
        ticking,
        Checkpoint(tmp_path, every=Every(seconds=3), keep=99),
        at("on_batch_end", lambda trainer, outputs: outputs.metrics is None or logged.append(trainer.state.step)),
        at("on_validation_end", lambda trainer, metrics: validated.append(trainer.state.step)),
        log_every=Every(seconds=3),
        validate_every=Every(seconds=3),
    )
    result = run.fit(batches(20), batches(1), steps=11)
    assert logged == validated == [3, 6, 9]
    saved = [int(file.stem[5:]) for file in run.callbacks[1].files()]
    assert saved == [3, 6, 9, 11]  # and at the end
    assert result.state.elapsed == 11


def test_after_a_resume_seconds_count_from_the_resumed_step(ticking, tmp_path):
    """A resumed run does not fire at once because the run as a whole is old."""
    trainer(ticking, Checkpoint(tmp_path)).fit(batches(20), steps=5)
    logged = []
    run = trainer(
        ticking,
        at("on_batch_end", lambda trainer, outputs: outputs.metrics is None or logged.append(trainer.state.step)),
        Checkpoint(tmp_path, every=Every(seconds=4)),
        log_every=Every(seconds=4),
    )
    result = run.fit(batches(20), steps=12, resume="auto")
    assert logged == [9]
    assert [int(file.stem[5:]) for file in run.callbacks[2].files()] == [5, 9, 12]
    assert result.state.elapsed == 12


def test_seconds_end_a_run(ticking):
    """`fit(seconds=4)` ends after four steps of a second each, in the middle of an epoch."""
    result = trainer(ticking).fit(batches(20), seconds=4)
    assert (result.status, result.reason, result.state.step) == ("completed", "4 seconds done", 4)


@pytest.mark.parametrize(
    ("end", "message"),
    [
        ({}, r"^fit: no end is given; give epochs=, steps= or seconds=$"),
        ({"epochs": -1}, r"^fit: epochs is -1; it must be a positive int$"),
        ({"epochs": 0}, r"^fit: epochs is 0; it must be a positive int$"),
        ({"epochs": 2.5}, r"^fit: epochs is 2\.5; it must be a positive int$"),
        ({"steps": "5"}, r"^fit: steps is '5'; it must be a positive int$"),
        ({"seconds": 0}, r"^fit: seconds is 0; it must be a positive float$"),
    ],
)
def test_the_end_of_a_run_is_given_and_positive(end, message):
    """A run without end, or with one that makes no sense, does not begin."""
    with pytest.raises(ConfigError, match=message):
        trainer().fit(batches(), **end)


def test_whichever_end_comes_first_ends_the_run():
    """Of several ends the first one counts, and the result names it."""
    result = trainer().fit(batches(4), epochs=2, steps=5)
    assert (result.reason, result.state.step) == ("5 steps done", 5)
    result = trainer().fit(batches(4), epochs=1, steps=5)
    assert (result.reason, result.state.step) == ("1 epoch done", 4)
