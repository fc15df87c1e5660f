"""What every callback that comes along must do, checked on all of them, alone and together."""

import attrs
import pytest
from small_runs import batches, trainer, weights

import minitorch
from minitorch import Callback, Every
from minitorch.trainer.callback import HOOKS, Phase, overrides
from minitorch.trainer.callbacks import (
    Checkpoint,
    ConsoleLogger,
    DevicePlacement,
    EarlyStopping,
    EpochTimer,
    JSONLLogger,
    ProgressBar,
)

MAKE = {
    Checkpoint: lambda folder: Checkpoint(folder, every=Every(steps=3)),
    ConsoleLogger: lambda folder: ConsoleLogger(),
    DevicePlacement: lambda folder: DevicePlacement("cpu"),
    EarlyStopping: lambda folder: EarlyStopping("loss", patience=50),
    EpochTimer: lambda folder: EpochTimer(),
    JSONLLogger: lambda folder: JSONLLogger(folder),
    ProgressBar: lambda folder: ProgressBar(),
}
each = pytest.mark.parametrize("cls", MAKE, ids=lambda cls: cls.__name__)


def history_and_weights(*given):
    """What a run with these callbacks ends with."""
    minitorch.seed(0)
    run = trainer(*given)
    run.fit(batches(), batches(1), epochs=3)
    return run.history, weights(run)


@each
def test_it_works_alone_and_changes_no_number(cls, tmp_path):
    """A run with it has the history and the weights of a run without."""
    assert history_and_weights(MAKE[cls](tmp_path)) == history_and_weights()


def test_all_work_together_in_any_order(tmp_path):
    """All of them, as listed and backwards, change no number either."""
    for i, order in enumerate((list(MAKE), list(MAKE)[::-1])):
        assert history_and_weights(*[MAKE[cls](tmp_path / str(i)) for cls in order]) == history_and_weights()


@each
def test_its_state_goes_round(cls, tmp_path):
    """What `state_dict` gives after a run, another one takes and gives back."""
    callback, other = MAKE[cls](tmp_path), MAKE[cls](tmp_path)
    trainer(callback).fit(batches(), epochs=2)
    state = callback.state_dict()
    other.load_state_dict(state)
    assert other.state_dict() == state


@each
def test_it_is_printed_with_its_settings(cls, tmp_path):
    """`explain` shows it, as its repr does: public settings with their values, and nothing private."""
    callback = MAKE[cls](tmp_path)
    line = next(line for line in trainer(callback).explain().splitlines() if cls.__name__ in line)
    assert line.split() == [callback.phase.name, *repr(callback).split()]
    settings = [field.name for field in attrs.fields(cls) if field.init]
    assert all(f"{name}=" in repr(callback) for name in settings)
    assert "_" not in repr(callback).replace("min_delta", "").replace(str(tmp_path), "")


@each
def test_it_knows_its_phase_and_writes_its_hooks_down(cls):
    """It has a phase of its own choice, and each hook and method of it says what it does."""
    assert isinstance(vars(cls)["phase"], Phase)
    written = [name for name in HOOKS if name in vars(cls)]
    assert written
    assert all(getattr(cls, name).__doc__ for name in [*written, "state_dict", "load_state_dict"])


@each
def test_it_can_be_used_for_a_second_run(cls, tmp_path):
    """One object serves two Trainers, one after the other, where it writes to no folder that must be new."""
    callback = MAKE[cls](tmp_path)
    if cls in (Checkpoint, JSONLLogger):
        callback.overwrite = True
    first = history_and_weights(callback)
    assert history_and_weights(callback) == first


@each
def test_it_cleans_up_after_an_error(cls, tmp_path):
    """A run that fails in the middle of an epoch leaves it fit for the next one."""

    class Fails(Callback):
        fails = True

        def on_batch_end(self, trainer, outputs):
            if self.fails and trainer.state.step == 6:
                raise ZeroDivisionError

    fails = Fails()
    run = trainer(MAKE[cls](tmp_path), fails)
    with pytest.raises(ZeroDivisionError):
        run.fit(batches(), epochs=3)
    fails.fails = False
    result = run.fit(batches(), epochs=3)
    assert (result.status, result.state.epoch) == ("completed", 3)


@each
def test_it_costs_no_hook_that_it_does_not_need(cls, tmp_path):
    """Hooks that it does not write are not called for it."""
    callback = MAKE[cls](tmp_path)
    run = trainer(callback)
    for name in HOOKS:
        assert bool(getattr(run.hooks, name)) == overrides(callback, name) == (name in vars(cls))
