"""Names that users of Lightning and Keras bring with them: each is answered with what stands for it here."""

import inspect

import pytest
from small_runs import at, batches, trainer

import minitorch
import minitorch.functions as F
from minitorch import Callback, Trainer
from minitorch.errors import ConfigError, HookError
from minitorch.trainer import callbacks, foreign_names
from minitorch.trainer.callback import HOOKS


@pytest.mark.parametrize("name", foreign_names.SET)
def test_attributes_that_change_nothing_cannot_be_set_or_read(name):
    """The error of both says what to use; `hasattr` says that there is none."""
    run = trainer()
    remedy = foreign_names.SET[name]
    with pytest.raises(ConfigError) as info:
        setattr(run, name, True)
    assert str(info.value) == f"Trainer: to set {name} does nothing; {remedy}"
    with pytest.raises(AttributeError) as info:
        getattr(run, name)
    assert str(info.value) == f"'Trainer' object has no attribute '{name}'; {remedy}"
    assert not hasattr(run, name)


def test_the_way_of_lightning_to_stop_is_an_error_in_the_hook():
    """`trainer.should_stop = True` does not train on in silence."""
    stop = at("on_batch_end", lambda run, outputs: setattr(run, "should_stop", True))
    with pytest.raises(ConfigError, match=r"^Trainer: to set should_stop does nothing; call request_stop\(reason\)$"):
        trainer(stop).fit(batches(), epochs=1)


def test_a_subclass_may_have_attributes_of_its_own():
    """Any name but those; and one of those that the class defines itself is the class's."""

    class Mine(Trainer):
        max_epochs = 3

        def training_step(self, batch):
            self.shoud_stop = True
            return self.model(batch[0]).mean()

    run = trainer(cls=Mine)
    run.max_epochs = 4
    run.fit(batches(), epochs=1)
    assert (run.max_epochs, run.shoud_stop) == (4, True)


@pytest.mark.parametrize("name", sorted(set(foreign_names.READ) - set(foreign_names.SET)))
def test_what_is_not_there_to_be_read_or_called(name):
    """The usual AttributeError, with the remedy."""
    with pytest.raises(AttributeError) as info:
        getattr(trainer(), name)
    assert str(info.value) == f"'Trainer' object has no attribute '{name}'; {foreign_names.READ[name]}"


@pytest.mark.parametrize("name", foreign_names.METHODS)
def test_methods_that_would_never_run_are_refused_at_the_definition(name):
    """A subclass that overrides a step by its name elsewhere does not train with the default one."""
    with pytest.raises(HookError) as info:
        type("Mine", (Trainer,), {name: lambda self: None})
    assert str(info.value) == f"Mine.{name} would never run; {foreign_names.METHODS[name]}"


@pytest.mark.parametrize("name", foreign_names.HOOKS_ELSEWHERE)
@pytest.mark.parametrize("base", [Trainer, Callback])
def test_hooks_elsewhere_are_answered_with_what_there_is_here(base, name):
    """Also those that no hook here resembles, or that resemble one which is another thing."""
    with pytest.raises(HookError) as info:
        type("Mine", (base,), {name: lambda self, trainer: None})
    remedy = foreign_names.HOOKS_ELSEWHERE[name]
    assert str(info.value).startswith(f"Mine.{name} is no hook of {base.__name__}; {remedy}. The hooks: on_fit_start, ")


@pytest.mark.parametrize("name", foreign_names.WITH_STAGE)
def test_methods_with_a_stage_are_those_of_lightning(name):
    """They would never run here; a method of this name without a stage is the user's own."""
    with pytest.raises(HookError, match=rf"^Mine\.{name} would never run; write on_fit_"):
        type("Mine", (Callback,), {name: lambda self, trainer, pl_module, stage: None})
    assert type("Mine", (Callback,), {name: lambda self: None})


@pytest.mark.parametrize("name", foreign_names.FIT_ARGUMENTS)
def test_arguments_of_fit_elsewhere(name):
    """What to give, and where, is said before anything runs."""
    with pytest.raises(TypeError) as info:
        trainer().fit(batches(), **{name: 1})
    assert str(info.value).startswith(f"Trainer.fit takes no argument {name!r}; {foreign_names.FIT_ARGUMENTS[name]}; ")


def test_outputs_are_no_dict():
    """`outputs["loss"]`, as in Lightning."""
    stop = at("on_batch_end", lambda run, outputs: outputs["loss"])
    with pytest.raises(TypeError) as info:
        trainer(stop).fit(batches(), epochs=1)
    assert str(info.value) == ("outputs['loss']: StepOutputs has attributes, no keys: outputs.loss, .size and .metrics")


def test_a_metric_that_is_not_there_is_told_with_those_that_are():
    """`metrics["val_acc"]` of a hook, and `history[0]["val_acc"]`."""
    run = trainer(metrics={"accuracy": F.accuracy})
    run.fit(batches(), epochs=1)
    with pytest.raises(KeyError) as info:
        run.history[0]["acuracy"]
    assert info.value.args == ("no metric is named 'acuracy'; did you mean 'accuracy'? there is loss, accuracy",)
    assert "acuracy" not in run.history[0]
    assert run.history[0].get("acuracy") is None


def test_no_name_of_ours_is_foreign():
    """What is public of a Trainer, its arguments and its steps stand in no table, and what the remedies name exists."""
    ours = {*vars(trainer()), *dir(trainer())}
    assert not ours & {*foreign_names.READ, *foreign_names.METHODS}
    for method, foreign in ((Trainer.__init__, foreign_names.ARGUMENTS), (Trainer.fit, foreign_names.FIT_ARGUMENTS)):
        assert not set(inspect.signature(method).parameters) & set(foreign)
    assert not set(HOOKS) & set(foreign_names.HOOKS_ELSEWHERE)
    text = " ".join([*foreign_names.READ.values(), *foreign_names.METHODS.values(), *foreign_names.ARGUMENTS.values()])
    named = [word for word in callbacks.__all__ if word in text]
    assert len(named) >= 10
    assert all(hasattr(Trainer, name) for name in ("request_stop", "evaluate", "predict", "read", "log"))


@pytest.mark.parametrize("name", foreign_names.LOG_ARGUMENTS)
def test_arguments_of_log_elsewhere(name):
    """`self.log("x", v, prog_bar=True)`: what to do instead, and what it takes."""

    class Mine(Trainer):
        def training_step(self, batch):
            self.log("x", 1.0, **{name: True})

    with pytest.raises(TypeError) as info:
        trainer(cls=Mine).fit(batches(), epochs=1)
    remedy = foreign_names.LOG_ARGUMENTS[name]
    assert str(info.value) == f"Trainer.log takes no argument {name!r}; {remedy}; it takes name, value"


# The prefix of validation --------------------------------------------------------------------------------------------


def logging(name, returned):
    """A Trainer whose `validation_step` logs its loss by a name, and returns a value."""

    class Mine(Trainer):
        def training_step(self, batch):
            return F.softmax_cross_entropy(self.model(batch[0]), batch[1])

        def validation_step(self, batch):
            loss = super().validation_step(batch)
            self.log("val_accuracy", F.accuracy(self.model(batch[0]), batch[1]))
            if name:
                self.log(name, loss)
            return {"loss": loss, "other": loss * 0 + 99.0}.get(returned)

    minitorch.seed(0)
    return trainer(cls=Mine)


@pytest.mark.parametrize("returned", ["loss", "other", None])
@pytest.mark.parametrize("name", ["loss", "val_loss"])
def test_a_prefix_that_is_there_is_not_put_twice(name, returned):
    """A validation that logs `val_loss`, as in Lightning, and one that returns the loss, give the same metrics.

    Where both are done, what is logged counts.
    """
    expected = logging(None, "loss").fit(batches(), batches(2, 3, seed=1), epochs=2).history
    found = logging(name, returned).fit(batches(), batches(2, 3, seed=1), epochs=2).history
    assert [set(metrics) for metrics in found] == [{"loss", "val_loss", "val_accuracy"}] * 2
    assert found == expected


def test_names_of_several_loaders_come_before_the_own():
    """`val_loss`, logged for the loader `noisy`, is `val_noisy_loss`; `evaluate` itself puts no prefix."""
    run = logging("val_loss", None)
    result = run.fit(batches(), {"clean": batches(1), "noisy": batches(1)}, epochs=1)
    assert {"val_clean_loss", "val_noisy_loss"} <= set(result.metrics)
    assert set(run.evaluate(batches(1))) == {"loss", "accuracy"}


def test_in_training_a_prefix_is_a_part_of_the_name():
    """Only validation puts one, so only there it may be there already."""

    class Mine(Trainer):
        def training_step(self, batch):
            self.log("val_like", 1.0)
            return F.softmax_cross_entropy(self.model(batch[0]), batch[1])

    assert set(trainer(cls=Mine).fit(batches(1), epochs=1).metrics) == {"loss", "val_like"}
