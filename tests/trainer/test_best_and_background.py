"""`Checkpoint`: the best steps are kept besides the newest, and files may be written while training goes on."""

import threading

import numpy as np
import pytest
from small_runs import at, batches, loader, trainer

import fake_cupy
import minitorch
from minitorch import Every, serialize
from minitorch.errors import CheckpointError, ConfigError, StateError
from minitorch.optimizers import Adam
from minitorch.trainer import Phase
from minitorch.trainer.callbacks import Checkpoint, DevicePlacement, JSONLLogger


def steps(folder):
    """The steps whose checkpoints are in the folder of a run."""
    return sorted(int(path.stem[5:]) for path in (folder / "checkpoints").glob("step-*.safetensors"))


def measured(*values, hook="on_epoch_end"):
    """A callback that adds a metric with these values, one after the other."""
    left = iter(values)
    return at(hook, lambda trainer, metrics: metrics.__setitem__("score", next(left)), phase=Phase.METRIC)


# The best ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("mode", "keep_best", "best"),
    [("max", 1, [4]), ("max", 2, [4, 3]), ("min", 2, [1, 5]), ("min", 3, [1, 5, 2])],
)
def test_the_best_are_kept_besides_the_newest(tmp_path, mode, keep_best, best):
    """Of epochs with the values 1 5 7 9 1, as the mode says; of equal ones the earlier is the better."""
    saver = Checkpoint(tmp_path, keep=1, monitor="score", mode=mode, keep_best=keep_best)
    trainer(measured(1, 5, 7, 9, 1), saver).fit(batches(3), epochs=5)
    assert [int(path.stem[5:]) // 3 for path in saver.best_files()] == best
    assert steps(tmp_path) == sorted({3 * epoch for epoch in (*best, 5)})


def test_a_best_step_is_saved_when_no_other_trigger_says_so(tmp_path):
    """A validation in the middle of an epoch, better than those before, is saved at its own step."""
    saver = Checkpoint(tmp_path, every=Every(epochs=9), monitor="score")
    run = trainer(measured(3, 2, 4, 1, hook="on_validation_end"), saver, validate_every=Every(steps=2))
    run.fit(batches(4), batches(1), epochs=2)
    assert saver.best_files() == [tmp_path / "checkpoints" / "step-00000008.safetensors"]
    assert steps(tmp_path) == [2, 4, 8]


def test_nan_is_never_the_best(tmp_path):
    """A metric that is no number leaves the best as it was."""
    saver = Checkpoint(tmp_path, monitor="score")
    trainer(measured(float("nan"), 2.0, float("nan")), saver).fit(batches(2), epochs=3)
    assert [path.name for path in saver.best_files()] == ["step-00000004.safetensors"]


def test_a_resumed_run_knows_the_best(tmp_path):
    """The best of before stay, and only a better one takes their place."""

    def run(*values):
        saver = Checkpoint(tmp_path, keep=1, monitor="score")
        return saver, trainer(measured(*values), saver)

    run(5, 1, 3)[1].fit(loader(), epochs=3)
    saver, resumed = run(2, 0.5)
    resumed.fit(loader(), epochs=4, resume="auto")
    assert [path.name for path in saver.best_files()] == ["step-00000008.safetensors"]
    resumed.fit(loader(), epochs=5)
    assert [path.name for path in saver.best_files()] == ["step-00000020.safetensors"]
    assert steps(tmp_path) == [20]


def test_all_are_kept(tmp_path):
    """`keep=None` deletes nothing."""
    trainer(Checkpoint(tmp_path, every=Every(steps=1), keep=None)).fit(batches(3), epochs=2)
    assert steps(tmp_path) == [1, 2, 3, 4, 5, 6]


@pytest.mark.parametrize(
    ("name", "validation", "hint"),
    [
        ("los", None, r"did you mean 'loss'\? "),
        ("val_los", batches(1), r"did you mean 'val_loss'\? "),
    ],
)
def test_a_metric_that_is_not_there_is_an_error(tmp_path, name, validation, hint):
    """A misspelt name is told, with a similar one."""
    with pytest.raises(
        ConfigError,
        match=rf"^Checkpoint: no metric is named '{name}'; {hint}there is loss.* \(those of validation need a",
    ):
        trainer(Checkpoint(tmp_path, monitor=name)).fit(batches(), validation, epochs=2)


def test_a_run_with_monitor_does_not_go_on_without(tmp_path):
    """The error names the setting, and one line is all there is: no chain of errors of our own."""
    trainer(Checkpoint(tmp_path, monitor="loss")).fit(batches(), epochs=1)
    with pytest.raises(
        StateError,
        match=r"step-00000004\.safetensors: callback Checkpoint: the state is of a run with Checkpoint\(moni.*\), "
        "and monitor is None; make it as it was, or go on with the program that made the run$",
    ) as caught:
        trainer(Checkpoint(tmp_path)).fit(batches(), epochs=2, resume="auto")
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__


def test_a_metric_of_a_rare_validation_is_waited_for(tmp_path):
    """An epoch without validation is no reason to complain."""
    saver = Checkpoint(tmp_path, monitor="val_loss")
    trainer(saver, validate_every=Every(epochs=2)).fit(batches(), batches(1), epochs=3)
    assert [path.name for path in saver.best_files()] == ["step-00000008.safetensors"]


def test_settings_are_checked(tmp_path):
    """What cannot be meant is refused."""
    with pytest.raises(ConfigError, match=r"^Checkpoint: mode is 'lowest'; it must be 'min' or 'max'$"):
        Checkpoint(tmp_path, mode="lowest")
    with pytest.raises(ConfigError, match=r"^Checkpoint: keep is 0; it must be an int of at least 1$"):
        Checkpoint(tmp_path, keep=0)
    with pytest.raises(ConfigError, match=r"^Checkpoint: keep_best is 0; it must be an int of at least 1$"):
        Checkpoint(tmp_path, keep_best=0)
    with pytest.raises(StateError, match=r"with Checkpoint\(monitor=\.\.\.\), and monitor is None"):
        Checkpoint(tmp_path).load_state_dict({"best": []})


# In the background ---------------------------------------------------------------------------------------------------


def content(folder):
    """The bytes of all checkpoints by name, without the seconds of their run."""
    found = {}
    for path in sorted((folder / "checkpoints").iterdir()):
        loaded = serialize.load(path)
        loaded.meta["checkpoint"]["state"].pop("elapsed")
        found[path.name] = {name: array.tobytes() for name, array in loaded.arrays.items()}, loaded.meta
    return found


@pytest.mark.parametrize("device", ["cpu", "cuda"])
def test_files_are_the_same_in_the_background(tmp_path, device):
    """Bit for bit, on a device too, though the arrays are changed while the file is written."""
    for background in (False, True):
        folder = tmp_path / str(background)
        with fake_cupy.installed():
            minitorch.seed(0)
            saver = Checkpoint(folder, every=Every(steps=1), keep=None, background=background)
            run = trainer(DevicePlacement(device), JSONLLogger(folder), saver, optimizer=Adam())
            result = run.fit(loader(), epochs=2)
        assert result.checkpoint == run.checkpoint == folder / "checkpoints" / "step-00000008.safetensors"
    assert len(content(tmp_path / "True")) == 8
    assert content(tmp_path / "True") == content(tmp_path / "False")


@pytest.fixture
def slow_save(monkeypatch):
    """Makes each save wait until the event is set, and lists the threads that save."""
    save, go, threads = serialize.save, threading.Event(), []

    def wait_and_save(path, *given):
        threads.append(threading.current_thread())
        assert go.wait(60)
        save(path, *given)

    monkeypatch.setattr(serialize, "save", wait_and_save)
    return go, threads


def test_training_goes_on_while_a_file_is_written(tmp_path, slow_save):
    """What is written is the state of the safe point at which it was saved; older ones stay until it is there."""
    go, threads = slow_save
    seen = []

    def look(run, outputs):
        seen.append((run.state.step, run.checkpoint))
        if run.state.step == 4:
            go.set()

    saver = Checkpoint(tmp_path, every=Every(steps=2), keep=1, background=True)
    run = trainer(at("on_batch_end", look), saver)
    result = run.fit(batches(3), steps=5)  # the save at step 4 waits for that of step 2
    assert seen[:4] == [(1, None), (2, None), (3, None), (4, None)]
    assert threading.main_thread() not in threads
    assert result.checkpoint == tmp_path / "checkpoints" / "step-00000005.safetensors"
    assert serialize.load(result.checkpoint).meta["checkpoint"]["state"]["step"] == 5
    assert steps(tmp_path) == [5]
    assert not any(thread.is_alive() for thread in threads)


def test_a_failed_write_raises_at_the_next_safe_point(tmp_path, monkeypatch):
    """Not at the end, and not never; the files before it are intact, and the run can be resumed."""
    save = serialize.save

    def fail_at_four(path, *given):
        if path.stem == "step-00000004":
            raise CheckpointError("the disk is full")
        save(path, *given)

    monkeypatch.setattr(serialize, "save", fail_at_four)

    def run(*others):
        return trainer(*others, Checkpoint(tmp_path, every=Every(steps=2), keep=1, background=True))

    done = []
    wait = at("on_batch_end", lambda run, _: done.append(run.state.step) or settle(run))
    with pytest.raises(CheckpointError, match=r"^the disk is full$"):
        run(wait).fit(loader(), steps=20)
    assert done[-1] == 5
    assert steps(tmp_path) == [2]
    monkeypatch.undo()
    assert run().fit(loader(), steps=6, resume="auto").state.step == 6


def settle(run):
    """Wait until no thread is saving, without taking its result."""
    for thread in threading.enumerate():
        if thread.name.startswith("checkpoint"):
            thread.join(60)


def test_a_failed_last_write_raises(tmp_path, monkeypatch):
    """The end of the run waits for its checkpoint, and fails with it."""

    def fail(path, *given):
        raise CheckpointError("the disk is full")

    monkeypatch.setattr(serialize, "save", fail)
    with pytest.raises(CheckpointError, match=r"^the disk is full$"):
        trainer(Checkpoint(tmp_path, background=True)).fit(batches(), epochs=1)


def test_an_exception_waits_for_the_file(tmp_path, slow_save):
    """A run that fails leaves the file that was under way whole."""
    go, _ = slow_save

    def fail(run, outputs):
        if run.state.step == 3:
            go.set()
            raise ZeroDivisionError

    run = trainer(at("on_batch_end", fail), Checkpoint(tmp_path, every=Every(steps=2), background=True))
    with pytest.raises(ZeroDivisionError):
        run.fit(batches(), epochs=1)
    assert run.checkpoint == tmp_path / "checkpoints" / "step-00000002.safetensors"
    serialize.verify(run.checkpoint)


def test_state_of_callbacks_is_copied(tmp_path, slow_save):
    """Lists and arrays that a callback goes on changing are saved as they were."""
    go, _ = slow_save
    notes = at("on_batch_end", lambda run, _: None)
    state = {"seen": [], "last": np.zeros(1)}
    type(notes).state_dict = lambda self: state
    type(notes).load_state_dict = lambda self, given: None

    def change(run, outputs):
        state["seen"].append(run.state.step)
        state["last"][:] = run.state.step
        if run.state.step == 4:
            go.set()

    saver = Checkpoint(tmp_path, every=Every(steps=3), keep=None, background=True)
    trainer(notes, at("on_batch_end", change), saver).fit(batches(5), epochs=1)
    loaded = serialize.load(tmp_path / "checkpoints" / "step-00000003.safetensors")
    assert loaded.meta["checkpoint"]["callbacks"]["At"]["seen"] == [1, 2, 3]
    assert loaded.arrays["callbacks/At/last"].tolist() == [3.0]
