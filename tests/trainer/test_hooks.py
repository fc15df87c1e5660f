"""Hooks: who is called, in which order and when, and what a callback may do in them."""

import inspect
import json
import re

import numpy as np
import pytest
from small_runs import Everything, at, batches, trainer

import minitorch
from minitorch import Callback, Every, Trainer, Variable
from minitorch.errors import ConfigError, DTypeError, StateError
from minitorch.trainer import Phase
from minitorch.trainer.callback import HOOKS
from minitorch.trainer.callbacks import (
    Checkpoint,
    ConsoleLogger,
    DevicePlacement,
    EarlyStopping,
    EpochTimer,
    GradientAccumulation,
    JSONLLogger,
    ThroughputMonitor,
)

# Order ---------------------------------------------------------------------------------------------------------------

STEP = ["on_batch_start", "on_after_backward", "on_after_update", "on_batch_end"]


def test_hooks_run_in_their_order():
    """All hooks of a run of two epochs of two batches, with validation, come in this order."""
    notes = Everything()
    trainer(notes).fit(batches(2), batches(1), epochs=2)
    end = ["on_validation_start", "on_validation_end", "on_epoch_end", "on_checkpoint"]
    epoch = ["on_epoch_start", *STEP, "on_checkpoint", *STEP, *end]
    assert notes.hooks == ["on_fit_start", *epoch, *epoch, "on_fit_end"]


def test_callbacks_run_by_phase_then_as_given():
    """Whatever the order in the list, phases come first; the Trainer's own hooks are the first of CONTROL."""
    heard = []

    class Mine(Trainer):
        def training_step(self, batch):
            return self.model(batch[0]).mean()

        def on_epoch_start(self):
            heard.append(("the trainer", "on_epoch_start"))

    by_phase = [type(phase.name, (Everything,), {"phase": phase}) for phase in Phase]
    given = [cls(f"{cls.phase.name} {i}", heard) for i in range(2) for cls in reversed(by_phase)]
    trainer(*given, cls=Mine).fit(batches(1), epochs=1)
    order = [name for name, hook in heard if hook == "on_epoch_start"]
    expected = [f"{phase.name} {i}" for phase in Phase for i in range(2)]
    expected.insert(expected.index("CONTROL 0"), "the trainer")
    assert order == expected


def test_explain_prints_the_order_that_really_runs():
    """What `explain` says of each hook is what a run then does."""
    heard = []
    classes = [type(f"In{phase.name.title()}", (Everything,), {"phase": phase}) for phase in Phase]
    run = trainer(*[cls(cls.__name__, heard) for cls in reversed(classes)])
    said = {}
    lines = run.explain().split("hooks and steps, in the order of a run:\n")[1].splitlines()
    for line in [line for line in lines if line.split()[0] in HOOKS]:
        hook, who = line.split(maxsplit=1)
        said[hook] = who.split(" > ")
    run.fit(batches(1), batches(1), epochs=1)
    real = {hook: [name for name, h in heard if h == hook] for hook in dict.fromkeys(h for _, h in heard)}
    assert set(said) == set(real) | {"on_exception"}
    assert {hook: who for hook, who in said.items() if hook != "on_exception"} == real


def test_a_callback_may_come_first_or_last_in_a_hook():
    """`first_in` and `last_in` count before phases; `explain` says so."""
    heard = []

    class First(Everything):
        phase = Phase.CHECKPOINT
        first_in = ("on_epoch_end",)

    class Last(Everything):
        phase = Phase.DEVICE
        last_in = ("on_epoch_end",)

    run = trainer(Last("last", heard), Everything("middle", heard), First("first", heard))
    run.fit(batches(1), epochs=1)
    for hook, order in (("on_epoch_end", ["first", "middle", "last"]), ("on_epoch_start", ["last", "middle", "first"])):
        assert [name for name, h in heard if h == hook] == order
        assert f"  {hook:<20} {' > '.join({'middle': 'Everything'}.get(n, n.title()) for n in order)}" in run.explain()


def test_explain_shows_settings_and_phases():
    """The callbacks are printed with their settings, by phase."""
    run = trainer(EarlyStopping("loss", patience=7), EpochTimer(), DevicePlacement("cpu"))
    lines = run.explain().splitlines()
    assert lines[0] == "Trainer trains MLP((4, 3)) with SGD"
    assert [line.split()[0] for line in lines[2:6]] == ["DEVICE", "METRIC", "CONTROL", "CONTROL"]
    assert "EarlyStopping(monitor='loss', patience=7" in lines[5]


def test_explain_without_an_optimizer_says_so():
    """A Trainer for evaluation alone can be explained."""
    assert Trainer(trainer().model, callbacks=[]).explain().startswith("Trainer trains MLP((4, 3)) with no optimizer\n")


# Cost ----------------------------------------------------------------------------------------------------------------


def test_a_hook_that_nobody_overrides_is_an_empty_list():
    """Only the hooks that a class writes are called."""
    run = trainer(at("on_epoch_end", lambda trainer, metrics: None))
    assert {name for name in HOOKS if getattr(run.hooks, name)} == {"on_epoch_end"}
    bare = trainer()
    assert [name for name in HOOKS if getattr(bare.hooks, name)] == []
    assert list(bare.hooks.batch_start.values()) == [[], [], []]


def test_what_acts_at_log_intervals_is_called_only_there():
    """`at_log_interval` spares a callback, and the run, the batches between; others and the Trainer hear of each."""
    heard = []
    seldom = at("on_batch_end", lambda run, outputs: heard.append(("seldom", run.state.step, outputs.metrics is None)))
    type(seldom).at_log_interval = True
    often = at("on_batch_end", lambda run, outputs: heard.append(("often", run.state.step, outputs.metrics is None)))
    run = trainer(seldom, often, log_every=Every(steps=2))
    result = run.fit(batches(3), epochs=1)
    assert heard == [("often", 1, True), ("seldom", 2, False), ("often", 2, False), ("often", 3, True)]
    assert [row.calls for row in result.bill.rows] == [1, 3]


def test_a_hook_of_a_subclass_is_called_for_each_batch(tmp_path):
    """Whoever derives from what acts at log intervals need not know of it, and may call its hook at any batch."""
    heard = []

    class Loud(JSONLLogger):
        def on_batch_end(self, trainer, outputs):
            heard.append(trainer.state.step)
            super().on_batch_end(trainer, outputs)

    class Named(JSONLLogger):
        pass

    loud = Loud(tmp_path / "loud")
    trainer(loud, Named(tmp_path / "named"), log_every=Every(steps=2)).fit(batches(3), epochs=1)
    assert heard == [1, 2, 3]
    assert (Loud.at_log_interval, Named.at_log_interval) == (False, True)
    lines = [(tmp_path / name / "metrics.jsonl").read_text().splitlines() for name in ("loud", "named")]
    assert lines[0] == lines[1]
    assert [json.loads(line)["step"] for line in lines[0]] == [2, 3]


def test_an_inherited_hook_is_called():
    """A hook written in a base class counts, also through a mixin."""
    heard = []

    class Base(Callback):
        def on_fit_start(self, trainer):
            heard.append(type(self).__name__)

    class Derived(EpochTimer, Base):
        pass

    trainer(Derived()).fit(batches(), epochs=1)
    assert heard == ["Derived"]


# What they may do ----------------------------------------------------------------------------------------------------


def test_on_batch_start_changes_the_batch():
    """The step gets what `on_batch_start` returns, and counts the samples of that."""
    halved = at("on_batch_start", lambda trainer, batch: tuple(a[:2] for a in batch))
    result = trainer(halved).fit(batches(4, size=5), epochs=1)
    assert result.state.samples == 8


def test_on_batch_start_that_returns_nothing_is_an_error():
    """A forgotten `return batch` is named."""

    class Forgetful(Callback):
        def on_batch_start(self, trainer, batch):
            pass

    with pytest.raises(ConfigError, match=r"Forgetful\.on_batch_start returned None; it must return the batch$"):
        trainer(Forgetful()).fit(batches(), epochs=1)


def test_on_batch_start_is_called_for_the_stages_that_a_callback_names():
    """By default for training batches alone; for others where `stages` says so."""

    class ForAll(Everything):
        stages = ("train", "validate", "predict")

    stages = []
    default = at("on_batch_start", lambda trainer, batch: stages.append(("default", trainer.stage)) or batch)
    everywhere = ForAll(on_batch_start=lambda trainer, batch: stages.append(("all", trainer.stage)))
    run = trainer(default, everywhere)
    run.fit(batches(1), batches(1), epochs=1)
    run.predict(batches(1))
    assert stages == [("default", "train"), ("all", "train"), ("all", "validate"), ("all", "predict")]
    assert run.stage == "idle"


def test_on_after_backward_may_change_gradients():
    """Gradients set to zero there leave the weights as they were."""

    def clear(trainer):
        for param in trainer.model.params():
            param.grad.data[...] = 0

    run = trainer(at("on_after_backward", clear))
    run.model(batches()[0][0])  # the weights are there from now on
    before = {path: array.copy() for path, array in run.model.state_dict().items()}
    run.fit(batches(), epochs=1)
    assert all((array == before[path]).all() for path, array in run.model.state_dict().items())


def test_on_after_update_may_change_weights():
    """It runs once an update, before the counters move, on the weights that the optimizer left."""
    seen = []

    def halve(run):
        seen.append((run.state.step, run.state.samples))
        for param in run.model.params():
            param.data *= 0.5

    minitorch.seed(0)
    plain = trainer(GradientAccumulation(2))
    plain.fit(batches(2), epochs=1)
    minitorch.seed(0)
    run = trainer(GradientAccumulation(2), at("on_after_update", halve))
    run.fit(batches(2), epochs=1)
    assert seen == [(0, 5)]
    for path, array in run.model.state_dict().items():
        assert (array == 0.5 * plain.model.state_dict()[path]).all()


def test_a_trainers_own_hooks_need_no_argument_trainer():
    """A subclass of Trainer overrides hooks as methods of its own."""
    heard = []

    class Mine(Trainer):
        def training_step(self, batch):
            return self.model(batch[0]).mean()

        def on_batch_start(self, batch):
            heard.append("on_batch_start")
            return batch

        def on_batch_end(self, outputs):
            heard.append(("on_batch_end", outputs.size))

        def on_epoch_end(self, metrics):
            heard.append(("on_epoch_end", list(metrics)))

    trainer(cls=Mine).fit(batches(1), epochs=1)
    assert heard == ["on_batch_start", ("on_batch_end", 5), ("on_epoch_end", ["loss"])]


def test_what_on_epoch_end_adds_to_its_metrics_reaches_later_callbacks_and_the_history():
    """A number of the whole epoch is added to `metrics`; loggers, which come later, write it."""
    seen = []
    result = trainer(
        at("on_epoch_end", lambda trainer, metrics: seen.append(dict(metrics)), phase=Phase.LOG),
        at("on_epoch_end", lambda trainer, metrics: metrics.update(rate=0.5)),
    ).fit(batches(), epochs=1)
    assert seen[0]["rate"] == result.history[0]["rate"] == result.metrics["rate"] == 0.5


ADDED = [
    (np.float32(0.5), 0.5),
    (np.int64(3), 3.0),
    (np.full((1, 1), 0.25, np.float32), 0.25),
    (Variable(np.array(0.75)), 0.75),
    (2, 2),
    (np.eye(3), r"metrics: 'x' is ndarray of shape \(3, 3\); add one number, such as its mean\(\)"),
    (Variable(np.ones(2)), r"metrics: 'x' is Variable of shape \(2,\); add one number, such as its mean\(\)"),
    ("good", "metrics: 'x' is 'good'; add one number"),
    (None, "metrics: 'x' is None; add one number"),
]
WAYS = {
    "item": lambda metrics, value: metrics.__setitem__("x", value),
    "update": lambda metrics, value: metrics.update({"x": value}),
    "keyword": lambda metrics, value: metrics.update(x=value),
    "default": lambda metrics, value: metrics.setdefault("x", value),
    "or": lambda metrics, value: metrics.__ior__({"x": value}),
}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize(("value", "wanted"), ADDED)
def test_what_is_added_to_metrics_is_a_number_or_refused_there(tmp_path, way, value, wanted):
    """At the line that adds it, not later in a logger or a checkpoint; in each hook that is given metrics."""
    for hook in ("on_epoch_end", "on_validation_end", "on_batch_end"):
        add = at(hook, lambda run, given: WAYS[way](getattr(given, "metrics", given), value))
        files = [kind(tmp_path / hook) for kind in (JSONLLogger, Checkpoint)]
        run = trainer(add, ConsoleLogger(), *files, log_every=Every(steps=1))
        if isinstance(wanted, str):
            with pytest.raises(DTypeError, match=f"^{wanted}$"):
                run.fit(batches(1), batches(1), epochs=1)
        else:
            history = run.fit(batches(1), batches(1), epochs=1).history
            assert hook == "on_batch_end" or (history[0]["x"], type(history[0]["x"])) == (wanted, type(wanted))
            assert json.loads((tmp_path / hook / "metrics.jsonl").read_text().splitlines()[-1])["event"] == "epoch"
    with pytest.raises(DTypeError, match=r"^metrics: the name 3 is no string; name what is added by one$"):
        trainer(at("on_epoch_end", lambda run, metrics: metrics.update({3: 1.0}))).fit(batches(1), epochs=1)


def test_outputs_have_metrics_at_the_log_interval_alone():
    """`outputs.metrics` holds the means of the interval at its last step, and is None otherwise."""
    seen = []
    notes = Everything(on_batch_end=lambda trainer, outputs: seen.append((float(outputs.loss), outputs.metrics)))
    trainer(notes, log_every=Every(steps=2)).fit(batches(4), epochs=1)
    losses = [loss for loss, _ in seen]
    assert [metrics for _, metrics in seen] == [
        None,
        {"loss": pytest.approx(sum(losses[:2]) / 2)},
        None,
        {"loss": pytest.approx(sum(losses[2:]) / 2)},
    ]


def test_a_callback_without_state_refuses_state():
    """The default `load_state_dict` takes the empty state alone."""
    EpochTimer().load_state_dict({})
    with pytest.raises(StateError, match=r"^EpochTimer keeps no state, but was given seconds$"):
        EpochTimer().load_state_dict({"seconds": 1})


def test_callbacks_take_no_positional_trainer_of_another_name():
    """All hooks of the callbacks that come along have the signature that Callback documents."""
    for cls in (ConsoleLogger, DevicePlacement, EarlyStopping, EpochTimer):
        for name in HOOKS:
            own, base = getattr(cls, name), getattr(Callback, name)
            assert list(inspect.signature(own).parameters) == list(inspect.signature(base).parameters), (cls, name)


# Another way to run a step --------------------------------------------------------------------------------------------


def test_a_callback_may_replace_the_stepper():
    """`trainer.stepper` runs each batch, as `on_batch_start` left it; what it returns is the loss that is logged."""
    ran = []

    class Other(Callback):
        def on_fit_start(self, trainer):
            self.before, trainer.stepper = trainer.stepper, self.step

        def on_fit_end(self, trainer, result):
            trainer.stepper = self.before

        def step(self, trainer, batch):
            ran.append(batch[0].shape)
            return self.before(trainer, batch)

    halved = at("on_batch_start", lambda trainer, batch: tuple(part[:2] for part in batch))
    run, usual = trainer(Other(), halved), trainer(halved)
    histories = []
    for each in (run, usual):
        minitorch.seed(0)
        histories.append(each.fit(batches(3), epochs=1).history)
    assert histories[0] == histories[1]
    assert ran == [(2, 6)] * 3
    assert run.stepper is usual.stepper


def test_explain_shows_the_steps_between_the_hooks():
    """Whose `training_step` and `optimizer_step` run, and where among the hooks."""

    class Mine(Trainer):
        def training_step(self, batch):
            return super().training_step(batch)

    lines = trainer(Everything(), cls=Mine).explain().splitlines()
    names = [line.split()[0] for line in lines if line.startswith("  ") and not line.startswith("   ")]
    start = names.index("on_batch_start")
    order = ["on_batch_start", "training_step", "backward", "on_after_backward", "optimizer_step", "on_after_update"]
    assert names[start : start + 7] == [*order, "on_batch_end"]
    assert any("training_step" in line and line.endswith("Mine.training_step") for line in lines)
    assert "  optimizer_step       Trainer.optimizer_step" in lines


def test_explain_tells_what_the_newest_run_did_otherwise():
    """Several batches an update, and a stepper that a callback put there, also when the run is over."""

    class Other(Callback):
        def on_fit_start(self, trainer):
            self.before, trainer.stepper = trainer.stepper, self.step

        def on_fit_end(self, trainer, result):
            trainer.stepper = self.before

        def step(self, trainer, batch):
            return self.before(trainer, batch)

    run = trainer(Other(), GradientAccumulation(2), ThroughputMonitor())
    assert "the newest run" not in run.explain()
    run.fit(batches(2), epochs=1)
    assert "one update for 2 batches\n" in run.explain()
    assert re.search(r"each batch is run by .*Other\.step\n", run.explain())
    usual = trainer(ThroughputMonitor())
    usual.fit(batches(2), epochs=1)
    assert "each batch is run by" not in usual.explain()
