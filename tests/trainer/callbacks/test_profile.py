"""Profile: a trace with every part and hook of the steps that were asked for, at no cost for the others."""

import json
from types import SimpleNamespace

import pytest
import small_runs

import fake_cupy
from minitorch.errors import ConfigError
from minitorch.trainer.callbacks import DevicePlacement, EpochTimer, Profile

PARTS = ["wait for the batch", "forward", "backward", "optimizer"]


def events(folder):
    """The events of the trace by step, each in the order in which they began, outer before inner."""
    trace = json.loads((folder / "trace.json").read_text())
    assert set(trace) == {"traceEvents", "displayTimeUnit"}
    named, spans = trace["traceEvents"][:2], trace["traceEvents"][2:]
    assert [(event["ph"], event["name"], event["args"]["name"]) for event in named] == [
        ("M", "process_name", "minitorch"),
        ("M", "thread_name", "training"),
    ]
    by_step = {}
    for event in sorted(spans, key=lambda event: (event["ts"], -event["dur"])):
        assert (event["ph"], event["dur"] >= 0) == ("X", True)
        by_step.setdefault(event["args"]["step"], []).append(event)
    return by_step


def names(found, category):
    """The names of the events of a category, in order."""
    return [event["name"] for event in found if event["cat"] == category]


def test_each_step_has_its_parts_and_hooks(tmp_path):
    """Every part of a step and every hook of a step is there once, in order."""
    everything = small_runs.Everything()
    small_runs.trainer(everything, Profile(tmp_path, range(2, 4))).fit(small_runs.batches(), epochs=1)
    found = events(tmp_path)
    assert list(found) == [2, 3]
    for step, of_step in found.items():
        assert names(of_step, "step") == [f"step {step}", *PARTS]
        hooks = ["on_batch_start", "on_after_backward", "on_after_update", "on_batch_end", "on_checkpoint"]
        assert names(of_step, "callback") == [*[f"Everything.{hook}" for hook in hooks], "Profile.on_checkpoint"]


def test_events_nest(tmp_path):
    """Two events of a trace are apart, or one is inside the other: else no viewer can stack them."""
    run = small_runs.trainer(small_runs.Everything(), Profile(tmp_path, range(1, 9)))
    run.fit(small_runs.batches(), small_runs.batches(2), epochs=2)
    all_events = [event for of_step in events(tmp_path).values() for event in of_step]
    open_until = []
    for event in all_events:
        begin, end = event["ts"], event["ts"] + event["dur"]
        while open_until and open_until[-1] <= begin + 1e-3:
            open_until.pop()
        assert not open_until or end <= open_until[-1] + 1e-3
        open_until.append(end)


def test_parts_take_the_time_they_take(tmp_path, monkeypatch):
    """The clocks are where they should be: a slow forward is in `forward`, a slow loader in the wait."""
    slow, now = {"where": None}, iter(range(10**9))

    def dawdle(place):
        if slow["where"] == place:
            for _ in range(1000):
                next(now)

    clock = SimpleNamespace(perf_counter=lambda: next(now))
    monkeypatch.setattr("minitorch.trainer.callbacks.profile.time", clock)

    class Slow(small_runs.Trainer):
        def training_step(self, batch):
            dawdle("forward")
            return self.model(batch[0]).mean()

        def optimizer_step(self):
            dawdle("optimizer")
            super().optimizer_step()

        def on_after_backward(self):
            dawdle("Slow.on_after_backward")

    class Batches(list):
        def __iter__(self):
            for batch in super().__iter__():
                dawdle("wait for the batch")
                yield batch

    for place in ("wait for the batch", "forward", "optimizer", "Slow.on_after_backward"):
        slow["where"] = place
        run = small_runs.trainer(Profile(tmp_path, range(2, 6), overwrite=True), cls=Slow)
        run.fit(Batches(small_runs.batches(7)), epochs=1)
        for of_step in events(tmp_path).values():
            assert max(of_step[1:], key=lambda event: event["dur"])["name"] == place


def test_validation_and_the_end_of_an_epoch_are_parts_of_their_step(tmp_path):
    """They count for the step after which they come, with the hooks inside."""
    small_runs.trainer(EpochTimer(), Profile(tmp_path, range(4, 6))).fit(
        small_runs.batches(), small_runs.batches(2), epochs=2
    )
    found = events(tmp_path)
    assert names(found[4], "step") == ["step 4", *PARTS, "validation", "forward", "forward"]
    assert "EpochTimer.on_epoch_end" in names(found[4], "callback")
    assert names(found[5], "callback")[0] == "EpochTimer.on_epoch_start"


def test_other_steps_cost_nothing(tmp_path):
    """Before and after the steps to measure, the Trainer is as it was without the callback."""
    seen = []
    note = small_runs.at("on_batch_end", lambda trainer, _: seen.append((trainer.hooks, set(vars(trainer)))))
    run = small_runs.trainer(Profile(tmp_path, range(4, 6)), note)
    own = set(vars(run))
    run.fit(small_runs.batches(8), epochs=1)
    plain = [vars_of == own and hooks is run.hooks for hooks, vars_of in seen]
    assert plain == [True, True, False, False, False, True, True, True]


def test_a_step_replaced_on_the_object_stays_replaced(tmp_path):
    """A training_step given to one Trainer alone is measured, and is there afterwards."""
    run = small_runs.trainer(Profile(tmp_path, range(1, 3)))
    run.training_step = own = lambda batch: run.model(batch[0]).mean()
    run.fit(small_runs.batches(), epochs=1)
    assert run.training_step is own
    assert names(events(tmp_path)[1], "step")[2] == "forward"


def test_a_run_that_ends_early_writes_what_there_is(tmp_path):
    """The steps that were done are in the trace."""
    small_runs.trainer(Profile(tmp_path, range(3, 100))).fit(small_runs.batches(), epochs=1)
    assert list(events(tmp_path)) == [3, 4]


def test_a_run_that_fails_shows_the_step_in_which(tmp_path):
    """The step that failed is in the trace as far as it went."""
    fail = small_runs.at("on_after_backward", lambda trainer: 1 / (trainer.state.step - 2))
    run = small_runs.trainer(Profile(tmp_path, range(2, 100)), fail)
    with pytest.raises(ZeroDivisionError):
        run.fit(small_runs.batches(), epochs=1)
    found = events(tmp_path)
    assert list(found) == [2, 3]
    assert names(found[3], "step") == ["step 3", *PARTS[:3]]
    assert "training_step" not in vars(run)


def test_a_resumed_run_goes_on_in_the_middle_of_the_steps(tmp_path):
    """Steps before the resumed one are not waited for."""
    run = small_runs.trainer(Profile(tmp_path, range(1, 100)))
    run.fit(small_runs.batches(), steps=2)
    run.fit(small_runs.batches(), steps=3)
    assert list(events(tmp_path)) == [3]


def test_it_waits_for_the_gpu_only_when_asked(tmp_path):
    """Without `synchronize` a measured run waits no more often than another; with it, at every look at the clock."""
    waits = []
    with fake_cupy.installed():
        for given in (
            [],
            [Profile(tmp_path / "a", range(1, 5))],
            [Profile(tmp_path / "b", range(1, 5), synchronize=True)],
        ):
            run = small_runs.trainer(DevicePlacement("cuda"), *given)
            with fake_cupy.counting() as traffic:
                run.fit(small_runs.batches(), epochs=1)
            waits.append(traffic.synchronisations)
    assert waits[0] == waits[1]
    assert waits[2] >= waits[1] + 4 * 2 * len(PARTS)


@pytest.mark.parametrize("steps", [5, (2, 3), range(3), range(3, 3), range(2, 9, 2)])
def test_steps_must_be_a_range_of_steps(steps):
    """A number, a pair, step 0, nothing, or every other step is refused with an example."""
    with pytest.raises(
        ConfigError, match=r"^Profile: steps is .*; give the steps to measure, counted from 1: range\(10"
    ):
        Profile("runs", steps)
