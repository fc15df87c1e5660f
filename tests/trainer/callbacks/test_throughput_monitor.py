"""ThroughputMonitor: samples per second, and the budget of a step."""

import time

import pytest
import small_runs

import fake_cupy
import minitorch.functions as F
from minitorch import Callback, Trainer
from minitorch.trainer import Phase
from minitorch.trainer.callbacks import DevicePlacement, GradientAccumulation, StepBudget, ThroughputMonitor

pytestmark = pytest.mark.usefixtures("clock")
SLEEP = 0.003


class Slow(Trainer):
    """Sleeps in the parts of a step that are named."""

    slow = ()

    def training_step(self, batch):
        if "forward" in self.slow:
            time.sleep(SLEEP)
        return F.softmax_cross_entropy(self.model(batch[0]), batch[1])

    def optimizer_step(self):
        if "update" in self.slow:
            time.sleep(SLEEP)
        super().optimizer_step()


class SlowLoader:
    """Sleeps before each batch."""

    def __iter__(self):
        for batch in small_runs.batches(5):
            time.sleep(SLEEP)
            yield batch


def budget_of(*callbacks, slow=(), data=None, validation=None, **settings):
    """The budget of a run of two epochs."""
    monitor = ThroughputMonitor()
    run = small_runs.trainer(monitor, *callbacks, cls=Slow, **settings)
    run.slow = slow
    run.fit(data or small_runs.batches(5), validation, epochs=2)
    return monitor.budget


@pytest.mark.parametrize("part", ["data", "forward", "update", "callbacks", "other"])
def test_the_part_that_sleeps_is_the_one_that_is_found(part):
    """Ten sleeps of 3 ms are in the budget of that part, which is the largest; all samples are counted."""
    nap = small_runs.at("on_batch_end", lambda *given: time.sleep(SLEEP))
    budget = budget_of(
        *([nap] if part == "callbacks" else []),
        slow=(part,),
        data=SlowLoader() if part == "data" else None,
        validation=SlowLoader() if part == "other" else None,
    )
    assert getattr(budget, part) >= 10 * SLEEP
    assert max(budget.shares(), key=budget.shares().get) == part
    assert budget.samples == 2 * 25


@pytest.mark.parametrize("hook", ["on_after_backward", "on_after_update"])
def test_hooks_inside_a_step_are_no_part_of_its_backward(hook):
    """They are counted once, as callbacks."""
    budget = budget_of(small_runs.at(hook, lambda *given: time.sleep(SLEEP)))
    assert budget.callbacks >= 10 * SLEEP
    assert budget.backward < 5 * SLEEP


def test_what_measures_is_on_no_bill():
    """The hooks that the monitor adds to look at the clock are not counted, and a step calls no other hook of it."""
    run = small_runs.trainer(ThroughputMonitor())
    result = run.fit(small_runs.batches(5), epochs=2)
    assert {row.hook for row in result.bill.sorted()} == {
        "on_fit_start",
        "on_epoch_start",
        "on_epoch_end",
        "on_fit_end",
    }


def test_the_shares_are_those_of_the_whole():
    """They add up to 1, none is negative, and the seconds are those of the run."""
    began = time.perf_counter()
    budget = budget_of(GradientAccumulation(2), validation=small_runs.batches(2))
    passed = time.perf_counter() - began
    assert sum(budget.shares().values()) == pytest.approx(1)
    assert min(budget.shares().values()) >= 0
    assert budget.backward > 0
    assert budget.seconds() <= passed


def test_the_forward_of_validation_is_none_of_training():
    """A `validation_step` that does the training step does not count as forward."""
    budget = budget_of(slow=("forward",), validation=small_runs.batches(20))
    assert budget.other > budget.forward >= 10 * SLEEP


def test_moving_batches_is_told_from_callbacks():
    """What DevicePlacement takes in `on_batch_start` is the way from the host to the device."""
    with fake_cupy.installed():
        budget = budget_of(DevicePlacement("cuda"))
        assert budget.device > 0
    assert budget_of().device == 0


def test_a_step_of_another_stepper_is_in_one_piece():
    """Where `training_step` is not called, nothing is said of forward and backward."""

    class Whole(Callback):
        phase = Phase.DEVICE

        def on_fit_start(self, run):
            loss = Slow.training_step(run, small_runs.batches(1)[0])
            self.usual, run.stepper = run.stepper, lambda run, batch: loss

        def on_fit_end(self, run, result):
            run.stepper = self.usual

    budget = budget_of(Whole())
    assert (budget.forward, budget.backward, budget.update) == (0, 0, 0)
    assert budget.replay > 0


def test_the_rate_is_a_timing_of_the_epoch():
    """`samples/s` stands with the other timings, and the budget is a short table."""
    monitor = ThroughputMonitor()
    run = small_runs.trainer(monitor)
    run.fit(small_runs.batches(4), epochs=1)
    assert 0 < run.timings["samples/s"] < 1e7
    lines = str(monitor.budget).splitlines()
    assert lines[0].split()[1:4] == ["samples/s,", "20", "samples"]
    assert {"forward", "backward", "optimizer"} <= {line.rsplit(maxsplit=1)[0] for line in lines[1:]}
    assert str(StepBudget()) == "no samples/s, 0 samples in 0.000 s"


def test_a_trainer_is_as_it_was_afterwards():
    """No clock is left, also after a failure; the same Trainer can be measured again."""
    run = small_runs.trainer(ThroughputMonitor(), small_runs.at("on_batch_end", lambda *given: 1 / 0))
    own, stepper = set(vars(run)), run.stepper
    for _ in range(2):
        with pytest.raises(ZeroDivisionError):
            run.fit(small_runs.batches(), epochs=1)
        assert (set(vars(run)), run.stepper) == (own, stepper)
