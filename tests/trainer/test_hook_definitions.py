"""What is refused as a hook, a step or a callback: when its class is defined, or when it is attached."""

import pytest
from small_runs import Everything, batches, trainer

from minitorch import Callback, Trainer
from minitorch.errors import ConfigError, HookError
from minitorch.trainer.callback import HOOKS
from minitorch.trainer.callbacks import (
    EpochTimer,
)


def test_a_hook_that_is_none_fails_at_the_definition_of_the_class_and_names_the_nearest():
    """`on_epoch_begin` is refused as soon as the class is defined, and `on_epoch_start` is proposed."""
    with pytest.raises(
        HookError, match=r"^Timer\.on_epoch_begin is no hook of Callback; did you mean on_epoch_start\?"
    ):

        class Timer(Callback):
            def on_epoch_begin(self, trainer):
                pass


def test_a_hook_far_from_all_is_refused_with_the_list_of_hooks():
    """Where no hook is near, the message lists them all."""
    with pytest.raises(
        HookError, match=r"^C\.on_gpu is no hook of Callback; rename it .*: on_fit_start, on_epoch_start"
    ):

        class C(Callback):
            on_gpu = True


def test_a_trainer_with_an_unknown_hook_fails_at_its_definition():
    """Subclasses of Trainer are checked as callbacks are."""
    with pytest.raises(HookError, match=r"^Mine\.on_batch_ends is no hook of Trainer; did you mean on_batch_end\?"):

        class Mine(Trainer):
            def on_batch_ends(self, outputs):
                pass


def test_a_hook_or_step_with_other_arguments_fails_at_the_definition_of_the_class():
    """Arguments that a call would not fit are named, beside those of the call, of hooks and of steps."""
    with pytest.raises(
        HookError,
        match=r"^C\.on_epoch_end takes \(self, trainer\); it is called with \(self, trainer, metrics\): "
        r"write def on_epoch_end\(self, trainer, metrics\)$",
    ):

        class C(Callback):
            def on_epoch_end(self, trainer):
                pass

    with pytest.raises(
        HookError,
        match=r"^T\.training_step takes \(self, batch, batch_idx\); it is called with \(self, batch\): write def tr",
    ):

        class T(Trainer):
            def training_step(self, batch, batch_idx):
                pass

    with pytest.raises(
        HookError, match=r"^Own\.on_fit_start takes \(self, trainer\); it is called with \(self\): write def"
    ):

        class Own(Trainer):
            def on_fit_start(self, trainer):
                pass


def test_a_hook_may_take_more_arguments_with_defaults_and_a_step_of_another_name_anything():
    """Only what cannot be called is refused."""

    class C(Callback):
        def on_epoch_end(self, trainer, metrics, shown=3):
            pass

        def on_fit_end(self, *given):
            pass

    class T(Trainer):
        def warm_up_step(self, a, b, c):
            pass

    callback = C()
    assert trainer(callback, cls=T).callbacks == [callback]


@pytest.mark.parametrize(
    ("hook", "theirs", "ours"),
    [
        ("on_epoch_end", "self, epoch, logs=None", "self, trainer, metrics"),
        ("on_batch_start", "self, batch, logs=None", "self, trainer, batch"),
        ("on_batch_end", "self, outputs, trainer", "self, trainer, outputs"),
        ("on_validation_end", "self, trainer, pl_module", "self, trainer, metrics"),
        ("on_exception", "self, trainer, pl_module, error", "self, trainer, error"),
        ("on_fit_start", "self, logs=None", "self, trainer"),
    ],
)
def test_the_signatures_of_other_frameworks_are_refused_at_the_definition(hook, theirs, ours):
    """Keras's and Lightning's arguments could be called, and would then be something else than they are named."""
    body = {}
    exec(f"def {hook}({theirs}): pass", body)
    with pytest.raises(HookError) as info:
        type("C", (Callback,), {hook: body[hook]})
    given = theirs.replace("=None", "")
    assert str(info.value) == f"C.{hook} takes ({given}); it is called with ({ours}): write def {hook}({ours})"


def test_metrics_may_be_named_logs():
    """Keras's word for the same thing."""

    class C(Callback):
        def on_epoch_end(self, trainer, logs):
            self.seen = logs["loss"]

    callback = C()
    trainer(callback).fit(batches(1), epochs=1)
    assert callback.seen > 0


def test_a_hook_set_after_the_definition_is_checked_when_the_callback_is_attached():
    """Set on the class or on the callback: it runs, or is refused with the arguments that it is called with."""

    class C(Callback):
        pass

    heard, callback = [], C()
    callback.on_epoch_end = lambda trainer, metrics: heard.append(trainer.state.epoch)
    run = trainer(callback)
    run.fit(batches(1), epochs=2)
    assert heard == [1, 2]
    callback.on_epoch_end = lambda epoch, logs: None
    with pytest.raises(
        HookError, match=r"^C\.on_epoch_end takes \(epoch, logs\); it is called with \(trainer, metrics\): write"
    ):
        trainer(callback)
    C.on_fit_end = lambda self, trainer: None
    with pytest.raises(HookError, match=r"^C\.on_fit_end takes \(trainer\); it is called with \(trainer, result\)"):
        trainer(C())


def test_a_hook_set_on_a_trainer_is_refused():
    """It would be called with other arguments than that of a callback: a subclass or a Callback says which."""
    run = trainer()
    run.on_epoch_end = lambda metrics: None
    with pytest.raises(
        HookError, match=r"^on_epoch_end is set on the Trainer itself; define it in a subclass of Trainer, or in a Call"
    ):
        run.fit(batches(1), epochs=1)


def test_every_hook_is_documented():
    """Each hook of the table is a method of Callback with a docstring that says when it runs."""
    methods = {name for name in vars(Callback) if name.startswith("on_")}
    assert methods == set(HOOKS)
    assert all(getattr(Callback, name).__doc__.startswith("Run ") for name in HOOKS)


@pytest.mark.parametrize(
    ("callbacks", "message"),
    [
        ([EpochTimer], r"^Trainer: callback EpochTimer is a class; give an instance: EpochTimer\(\.\.\.\)$"),
        ([print], r"^Trainer: <built-in function print> is no Callback; give instances of subclasses of Callback$"),
        (EpochTimer(), r"^Trainer: callbacks is EpochTimer\(\); give a list: callbacks=\[EpochTimer\(\)\]$"),
    ],
)
def test_what_is_no_callback_is_refused(callbacks, message):
    """A class instead of an instance, a function, or a callback outside a list is refused with the remedy."""
    with pytest.raises(ConfigError, match=message):
        Trainer(trainer().model, callbacks=callbacks)


def test_a_class_appended_later_is_refused_when_the_run_begins():
    """`trainer.callbacks.append(EpochTimer)` is found out by `fit`."""
    run = trainer()
    run.callbacks.append(EpochTimer)
    with pytest.raises(ConfigError, match="EpochTimer is a class"):
        run.fit(batches(), epochs=1)


def test_a_callback_appended_later_runs():
    """The lists of hooks are made when the run begins."""
    run, notes = trainer(), Everything()
    run.callbacks.append(notes)
    run.fit(batches(), epochs=1)
    assert "on_fit_start" in notes.hooks


@pytest.mark.parametrize(
    ("body", "word"),
    [
        ("def on_epoch_end(self, trainer, metrics): yield", "yields"),
        ("async def on_epoch_end(self, trainer, metrics): pass", "is async"),
        ("async def on_epoch_end(self, trainer, metrics): yield", "yields"),
    ],
)
def test_a_hook_that_would_not_run_when_called_is_refused(body, word):
    """A forgotten `yield` or `async` makes a function that does nothing until somebody iterates or awaits."""
    members = {}
    exec(body, members)
    with pytest.raises(
        HookError, match=rf"^C\.on_epoch_end {word}, so a call would not run it; write a plain function$"
    ):
        type("C", (Callback,), {"on_epoch_end": members["on_epoch_end"]})


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("validaton_step", "validation_step"),
        ("optimiser_step", "optimizer_step"),
        ("traning_step", "training_step"),
        ("predict_stp", "predict_step"),
    ],
)
def test_a_misspelt_step_is_refused_when_the_class_is_defined(name, meant):
    """It would never run: the message names the step that was meant."""
    with pytest.raises(HookError, match=rf"^Mine\.{name} is no step of Trainer; did you mean {meant}\?$"):
        type("Mine", (Trainer,), {name: lambda self, batch: None})


@pytest.mark.parametrize(
    "name",
    ["generator_step", "train_step_of_gan", "prediction_step", "_training_step", "pretraining_step", "sampling_step"],
)
def test_steps_of_ones_own_are_no_misspelt_ones(name):
    """A subclass has methods and settings of its own, also beside the steps."""
    type("Mine", (Trainer,), {name: lambda self, batch: None, "training_steps": 3})
