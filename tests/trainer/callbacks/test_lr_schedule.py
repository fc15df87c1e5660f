"""LRSchedule and ReduceLROnPlateau: the learning rate of each update, its groups, resume, and errors."""

import json

import pytest
import resumed_runs
import small_runs

import minitorch.functions as F
from minitorch import Every, Trainer
from minitorch.errors import ConfigError
from minitorch.models import MLP
from minitorch.optimizers import SGD, Adam, Optimizer
from minitorch.optimizers.schedules import Cosine, Exponential, Step, WarmUp
from minitorch.trainer.callbacks import JSONLLogger, LRSchedule, ReduceLROnPlateau


def rates(*callbacks, optimizer=None, epochs=2, **settings):
    """The learning rate of each update of a run of four batches an epoch, and the run."""
    seen = []
    note = small_runs.at("on_after_backward", lambda trainer: seen.append(trainer.optimizer.lr))
    run = small_runs.trainer(*callbacks, note, optimizer=optimizer, **settings)
    run.fit(small_runs.batches(), epochs=epochs)
    return seen, run


def test_every_update_has_its_learning_rate():
    """The learning rate of update n is that of the beginning times the share for n."""
    seen, _ = rates(LRSchedule(Cosine(8)), optimizer=SGD(0.5))
    assert seen == [0.5 * Cosine(8)(n) for n in range(8)]


def test_a_schedule_may_count_epochs_or_hundreds():
    """With `every`, the number that the schedule gets is that of epochs, or of so many steps, done."""
    assert rates(LRSchedule(Step(1, 0.5), every=Every(epochs=1)), optimizer=SGD(1.0), epochs=3)[0] == (
        [1.0] * 4 + [0.5] * 4 + [0.25] * 4
    )
    assert rates(LRSchedule(lambda n: 1 / (1 + n), every=Every(steps=3)), optimizer=SGD(1.0))[0] == (
        [1.0] * 3 + [1 / 2] * 3 + [1 / 3] * 2
    )


def test_groups_keep_their_share():
    """A group with a learning rate of its own moves in proportion."""
    model = MLP((4, 3))
    optimizer = SGD(1.0).setup(model, groups={"l1.*": {"lr": 0.1}})
    steps = []

    def note(trainer):
        steps.append({path: optimizer.options_of(param)["lr"] for path, param in model.named_params()})

    run = small_runs.trainer(
        LRSchedule(Step(2, 0.5)), small_runs.at("on_checkpoint", note), model=model, optimizer=optimizer
    )
    run.fit(small_runs.batches(), epochs=1)
    assert [(at["l0.W"], at["l1.W"]) for at in steps] == [(1.0, 0.1), (1.0, 0.1), (0.5, 0.05), (0.5, 0.05)]


def test_the_learning_rate_is_among_the_metrics(tmp_path):
    """Rows of log intervals and epochs have the learning rate of their last update."""
    _, run = rates(
        LRSchedule(Step(1, 0.5)), JSONLLogger(tmp_path), optimizer=SGD(1.0), epochs=1, log_every=Every(steps=2)
    )
    rows = [json.loads(line) for line in (tmp_path / "metrics.jsonl").read_text().splitlines()]
    assert [row["lr"] for row in rows] == [0.5, 0.125, 0.125]
    assert run.history[0]["lr"] == 0.125


def test_a_resumed_run_keeps_the_base(tmp_path):
    """The optimizer of a checkpoint has the learning rate of its time; the base is that of the first update."""

    def fit(folder, **how):
        return resumed_runs.fit(folder, lambda: [LRSchedule(Exponential(0.5))], **how)

    whole = fit(tmp_path / "whole")
    fit(tmp_path / "broken", break_at=8)
    resumed = fit(tmp_path / "broken")
    assert resumed.optimizer.lr == whole.optimizer.lr == 0.1 * 0.5**11
    assert [m["lr"] for m in resumed.history] == [0.1 * 0.5**n for n in (3, 7, 11)]


def test_a_run_that_failed_at_its_first_step_leaves_the_learning_rate():
    """The next attempt has the same base."""
    optimizer = SGD(1.0)
    fail = small_runs.at("on_after_backward", lambda trainer: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        rates(LRSchedule(WarmUp(4, 0.25)), fail, optimizer=optimizer)
    assert optimizer.lr == 1.0


def test_several_optimizers_move_together():
    """Each has a base and a metric of its own."""
    optimizers = {"l0": SGD(1.0), "l1": SGD(0.1)}

    class Both(Trainer):
        def optimizer_step(self):
            for optimizer in self.optimizers.values():
                optimizer.update()

        def training_step(self, batch):
            return F.softmax_cross_entropy(self.model(batch[0]), batch[1])

    run = small_runs.trainer(LRSchedule(Step(2, 0.5)), cls=Both, optimizer=optimizers)
    run.fit(small_runs.batches(), epochs=1)
    assert {name: value for name, value in run.history[0].items() if name != "loss"} == {"lr_l0": 0.5, "lr_l1": 0.05}


def test_one_callback_serves_a_second_run():
    """A new run has a base of its own."""
    schedule = LRSchedule(WarmUp(4, 0.25))
    rates(schedule, optimizer=SGD(1.0))
    assert rates(schedule, optimizer=SGD(2.0))[0][0] == 0.5


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: LRSchedule(0.1), r"LRSchedule: schedule is 0\.1; give one of optimizers\.schedules, such as Cosine"),
        (lambda: LRSchedule(Cosine), r"LRSchedule: schedule is <class .*Cosine'>; give one"),
        (lambda: LRSchedule(Cosine(3), every=3), r"LRSchedule: every is 3; a bare number says no unit"),
        (lambda: LRSchedule(Cosine(3), every=Every(seconds=3)), r"and no two runs would be the same; give"),
        (lambda: ReduceLROnPlateau(factor=1.5), r"ReduceLROnPlateau: factor is 1\.5; it must be a number between 0"),
        (lambda: ReduceLROnPlateau(patience=0), r"ReduceLROnPlateau: patience is 0; it must be an int of at least 1"),
        (lambda: ReduceLROnPlateau(mode="low"), r"ReduceLROnPlateau: mode is 'low'; it must be 'min' or 'max'"),
    ],
)  # fmt: skip
def test_settings_that_are_not_allowed(make, message):
    """The error names the callback, the setting, its value and the remedy."""
    with pytest.raises(ConfigError, match=message):
        make()


def test_two_that_set_the_learning_rate_are_an_error():
    """Neither would know what the other did."""
    with pytest.raises(ConfigError, match=r"LRSchedule: ReduceLROnPlateau sets the learning rate too; keep one of"):
        rates(LRSchedule(Cosine(3)), ReduceLROnPlateau("loss"))


def test_an_optimizer_without_learning_rate_is_an_error():
    """There is nothing to set."""

    class Own(Optimizer):
        def update_one(self, param):
            param.data -= 0.1 * param.grad.data

    with pytest.raises(ConfigError, match=r"LRSchedule: Own has no hyperparameter lr to set; use another optimizer"):
        rates(LRSchedule(Cosine(3)), optimizer=Own())


# ReduceLROnPlateau ----------------------------------------------------------------------------------------------------


def reduced(values, **settings):
    """The learning rate after each epoch whose metric is the next of `values`."""
    given, seen = iter(values), []

    def metric(trainer, metrics):
        metrics["given"] = next(given)

    run = small_runs.trainer(
        small_runs.at("on_epoch_end", metric, phase=0),
        ReduceLROnPlateau("given", **settings),
        small_runs.at("on_after_backward", lambda trainer: seen.append(trainer.optimizer.lr)),
        optimizer=SGD(1.0),
    )
    run.fit(small_runs.batches(1), epochs=len(values))
    return seen


def test_it_gives_the_numbers_of_pytorch():
    """The learning rates of ReduceLROnPlateau of PyTorch 2.13.0, which counts patience from 0, and is asked after.

    ReduceLROnPlateau(o, factor=0.5, patience=1, threshold=0.02, threshold_mode="abs", cooldown=1, min_lr=0.2)
    """
    values = [1.0, 0.9, 0.95, 0.9, 0.91, 0.89, 0.89, 0.89, 0.89, 0.89, 0.88]
    after = [1.0, 1.0, 1.0, 0.5, 0.5, 0.5, 0.25, 0.25, 0.25, 0.2, 0.2]
    seen = reduced(values, factor=0.5, patience=2, min_delta=0.02, cooldown=1, minimum=0.2)
    assert seen == [1.0, *after[:-1]]


def test_larger_may_be_better():
    """With mode "max" the metric is to grow."""
    assert reduced([0.1, 0.2, 0.3, 0.3, 0.4], patience=1, mode="max") == [1.0, 1.0, 1.0, 1.0, 0.1]


def test_a_metric_that_is_not_there_is_an_error():
    """The message lists those that are, and a similar one."""
    with pytest.raises(ConfigError, match=r"ReduceLROnPlateau: no metric is named 'los'; did you mean 'loss'\? there"):
        rates(ReduceLROnPlateau("los"), optimizer=Adam())
