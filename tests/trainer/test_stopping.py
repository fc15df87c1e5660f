"""How a run ends before its time: a request, a signal, an error; and what is cleaned up then."""

import os
import signal
import subprocess
import sys
import textwrap
import threading

import pytest
from small_runs import Everything, at, batches, trainer, weights

from minitorch import Callback, DataLoader, Dataset, Trainer
from minitorch.trainer import Phase
from minitorch.trainer.callbacks import Checkpoint, EarlyStopping
from minitorch.trainer.signals import ANSWER
from minitorch.trainer.triggers import Budget


def at_step(step, action, hook="on_batch_end", **kwargs):
    """A callback that calls `action(trainer)` at one step."""
    return at(hook, lambda trainer, *given: action(trainer) if trainer.state.step == step else None, **kwargs)


def send(*numbers):
    """An action that sends signals to this process."""
    return lambda trainer: [os.kill(os.getpid(), number) for number in numbers]


# Requests ------------------------------------------------------------------------------------------------------------


def test_a_requested_stop_comes_after_the_step_and_its_checkpoint(tmp_path):
    """`request_stop` ends the run at the safe point of the step under way, with everything of it done."""
    notes = Everything()
    notes.phase = Phase.CHECKPOINT
    run = trainer(at_step(2, lambda trainer: trainer.request_stop("enough")), notes, Checkpoint(tmp_path))
    result = run.fit(batches(), epochs=3)
    assert (result.status, result.reason, result.state.step) == ("stopped", "enough", 2)
    assert result.checkpoint == tmp_path / "checkpoints" / "step-00000002.safetensors"
    assert result.checkpoint.exists()
    assert notes.hooks[-3:] == ["on_batch_end", "on_checkpoint", "on_fit_end"]


def test_the_first_reason_counts():
    """A second request changes nothing."""

    def twice(trainer):
        trainer.request_stop("first")
        trainer.request_stop("second")

    assert trainer(at_step(1, twice)).fit(batches(), epochs=1).reason == "first"


def test_a_stop_requested_in_the_last_step_is_stopped_all_the_same():
    """The request came before the run was complete."""
    result = trainer(at_step(4, lambda trainer: trainer.request_stop("late"))).fit(batches(4), epochs=1)
    assert (result.status, result.state.epoch) == ("stopped", 1)


def test_a_stopped_run_goes_on_with_the_next_fit():
    """The request is of one `fit`."""
    run = trainer(at_step(2, lambda trainer: trainer.request_stop("pause")))
    run.fit(batches(4), epochs=1)
    result = run.fit(batches(4), epochs=1)
    assert (result.status, result.state.step) == ("completed", 4)


@pytest.mark.parametrize("phase", [Phase.CONTROL, Phase.CHECKPOINT])
@pytest.mark.parametrize("step", [2, 4])
def test_an_end_asked_for_while_checkpoints_are_made_gets_one(tmp_path, phase, step):
    """Whoever asks for the end at the safe point itself, before or after Checkpoint looked, loses no step."""
    asks = at_step(step, lambda trainer: trainer.request_stop("now"), "on_checkpoint", phase=phase)
    result = trainer(Checkpoint(tmp_path), asks).fit(batches(4), epochs=9)
    assert result.status == "stopped"
    assert result.checkpoint.stem == f"step-{result.state.step:08d}"


def test_early_stopping_ends_a_run_after_its_patience():
    """Three epochs in a row that are not better than the best, and the run ends with the reason."""
    worse = iter([3.0, 2.0, 2.5, 2.0, 2.1, 9.9])
    run = trainer(
        EarlyStopping("score", patience=3),
        at("on_epoch_end", lambda t, m: m.update(score=next(worse)), phase=Phase.DATA),
    )
    result = run.fit(batches(1), epochs=9)
    assert (result.status, result.state.epoch) == ("stopped", 5)
    assert result.reason == "score has not been better than 2 for 3 epoch(s) (EarlyStopping)"


@pytest.mark.parametrize(
    ("settings", "scores", "epochs"),
    [
        ({"mode": "max", "patience": 1}, [1.0, 2.0, 2.0], 3),
        ({"mode": "min", "patience": 1}, [2.0, 1.0, 1.0], 3),
        ({"patience": 1, "min_delta": 0.5}, [2.0, 1.4, 1.0], 3),
        ({"patience": 2}, [1.0, 2.0, 0.5, 2.0, 2.0], 5),
    ],
)
def test_what_early_stopping_counts_as_better(settings, scores, epochs):
    """Smaller or larger as `mode` says, by more than `min_delta`; one better epoch starts the patience anew."""
    numbers = iter([*scores, *[scores[-1]] * 9])
    run = trainer(
        EarlyStopping("score", **settings),
        at("on_epoch_end", lambda t, m: m.update(score=next(numbers)), phase=Phase.DATA),
    )
    assert run.fit(batches(1), epochs=9).state.epoch == epochs


def test_early_stopping_begins_anew_in_a_new_run():
    """A callback used for a second Trainer knows nothing of the first."""
    early = EarlyStopping("score", patience=2)
    for score in (1.0, 2.0):
        result = trainer(early, at("on_epoch_end", lambda t, m, s=score: m.update(score=s), phase=Phase.DATA)).fit(
            batches(1), epochs=9
        )
        assert (result.state.epoch, early.progress.best) == (3, score)


def test_early_stopping_goes_on_waiting_after_a_resume(tmp_path):
    """The epochs waited before a stop count after it."""
    ends = []
    for stops in ([3, 9], [9]):
        for epochs in stops:
            run = trainer(
                EarlyStopping("score", patience=4),
                at("on_epoch_end", lambda trainer, metrics: metrics.update(score=1.0), phase=Phase.DATA),
                Checkpoint(tmp_path / str(len(stops))),
            )
            result = run.fit(batches(1), epochs=epochs, resume="auto")
        ends.append((result.state.epoch, result.reason))
    assert ends[0] == ends[1] == (5, "score has not been better than 1 for 4 epoch(s) (EarlyStopping)")


def test_a_run_that_was_stopped_early_is_not_trained_on_when_it_is_resumed(tmp_path):
    """The same line once more, as after any interruption, ends as the first did; more patience goes on."""

    def run(patience=2):
        score = at("on_epoch_end", lambda trainer, metrics: metrics.update(score=1.0), phase=Phase.DATA)
        resumed = trainer(EarlyStopping("score", patience=patience, restore_best=True), score, Checkpoint(tmp_path))
        return resumed.fit(batches(1), epochs=9, resume="auto"), weights(resumed)

    (first, best), (second, again) = run(), run()
    assert (first.state.epoch, first.status) == (second.state.epoch, second.status) == (3, "stopped")
    assert first.reason == second.reason == "score has not been better than 1 for 2 epoch(s) (EarlyStopping)"
    assert best == again
    assert run(patience=4)[0].state.epoch == 5


# Signals -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("number", "status", "reason"),
    [(signal.SIGINT, "interrupted", "received SIGINT"), (signal.SIGTERM, "terminated", "received SIGTERM")],
)
def test_the_first_signal_ends_the_run_at_the_next_safe_point(tmp_path, number, status, reason):
    """The step under way is finished and saved, the result says what happened, and nothing is raised."""
    before = signal.getsignal(number)
    result = trainer(at_step(2, send(number)), Checkpoint(tmp_path)).fit(batches(), epochs=3)
    assert (result.status, result.reason, result.state.step) == (status, reason, 2)
    assert result.checkpoint.exists()
    assert signal.getsignal(number) is before


def test_a_second_sigint_raises_and_is_cleaned_up():
    """Who presses Ctrl-C twice gets the prompt back now; hooks for exceptions run, and handlers are put back."""
    before = signal.getsignal(signal.SIGINT)
    notes = Everything()
    with pytest.raises(KeyboardInterrupt) as info:
        trainer(at_step(2, send(signal.SIGINT, signal.SIGINT)), notes).fit(batches(), epochs=3)
    assert info.value.__notes__ == [
        "the run was ended at once, after 2 steps; the last checkpoint to resume from: there is none"
    ]
    assert notes.hooks[-1] == "on_exception"
    assert "on_fit_end" not in notes.hooks
    assert signal.getsignal(signal.SIGINT) is before


@pytest.mark.parametrize("second", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_after_sigterm_does_not_raise(second):
    """SIGTERM and then another: the first decides, and the run still ends at its safe point."""
    result = trainer(at_step(1, send(signal.SIGTERM, second))).fit(batches(), epochs=1)
    assert (result.status, result.state.step) == ("terminated", 1)


def test_a_signal_is_not_lost_while_the_end_is_computed(monkeypatch):
    """A signal that comes while the loop asks whether its epochs are done ends the run all the same."""
    reached = Budget.reached

    def interrupted(budget, state):
        if state.step == 2:
            os.kill(os.getpid(), signal.SIGINT)
        return reached(budget, state)

    monkeypatch.setattr(Budget, "reached", interrupted)
    result = trainer().fit(batches(), epochs=3)
    assert (result.status, result.state.step) == ("interrupted", 2)


def test_a_signal_while_checkpoints_are_made_loses_no_step(tmp_path):
    """Right after Checkpoint has decided not to save, a signal comes: what has been trained is saved all the same."""
    late = at_step(2, send(signal.SIGINT), "on_checkpoint", phase=Phase.CHECKPOINT)
    result = trainer(Checkpoint(tmp_path), late).fit(batches(), epochs=3)
    assert result.status == "interrupted"
    assert result.checkpoint.stem == f"step-{result.state.step:08d}"


def test_a_signal_before_the_first_step_ends_the_run():
    """A signal while callbacks start up is not lost."""
    result = trainer(at("on_fit_start", send(signal.SIGINT))).fit(batches(), epochs=1)
    assert (result.status, result.state.step) == ("interrupted", 0)


def test_handlers_are_installed_only_while_fit_runs():
    """During `fit` the handlers are minitorch's, afterwards those from before: also after an error."""
    mine = signal.signal(signal.SIGTERM, lambda number, frame: None)
    try:
        custom = signal.getsignal(signal.SIGTERM)
        inside = []
        look = at("on_fit_start", lambda trainer: inside.append(signal.getsignal(signal.SIGTERM)))
        trainer(look).fit(batches(), epochs=1)
        assert inside[0] is not custom
        assert signal.getsignal(signal.SIGTERM) is custom
        with pytest.raises(ZeroDivisionError):
            trainer(at("on_fit_start", lambda trainer: 1 / 0)).fit(batches(), epochs=1)
        assert signal.getsignal(signal.SIGTERM) is custom
    finally:
        signal.signal(signal.SIGTERM, mine)


def test_no_handlers_outside_the_main_thread():
    """`fit` works in another thread, and leaves the process's handlers alone."""
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    inside, results = [], []
    look = at("on_batch_end", lambda trainer, outputs: inside.append({n: signal.getsignal(n) for n in before}))
    thread = threading.Thread(target=lambda: results.append(trainer(look).fit(batches(1), epochs=1)))
    thread.start()
    thread.join()
    assert results[0].status == "completed"
    assert inside == [before]


PROGRAM = """
    import sys, time
    import minitorch.functions as F
    from minitorch import Callback, Every
    from small_runs import batches, trainer
    from minitorch.trainer.callbacks import Checkpoint

    class Slow(Callback):
        def on_batch_end(self, trainer, outputs):
            if trainer.state.step >= 3:
                print("waiting", flush=True)
                while trainer.ending is None or "two" in sys.argv:
                    time.sleep(0.01)
                    if trainer.ending is not None:
                        print("asked", flush=True)

        def on_exception(self, trainer, error):
            print("failed with", type(error).__name__, flush=True)

    result = trainer(Slow(), Checkpoint(sys.argv[1], every=Every(steps=2))).fit(batches(), epochs=1000)
    print(result.status, result.checkpoint.exists(), flush=True)
"""


@pytest.fixture
def child(tmp_path):
    """Starts a program that trains without end, and returns its process once it is in its third step."""
    started = []

    def start(mode, stderr=subprocess.PIPE):
        path = os.pathsep.join([os.path.dirname(__file__), *filter(None, [os.environ.get("PYTHONPATH")])])
        process = subprocess.Popen(
            [sys.executable, "-c", textwrap.dedent(PROGRAM), tmp_path, mode],
            stdout=subprocess.PIPE,
            stderr=stderr,
            text=True,
            env={**os.environ, "PYTHONPATH": path},
        )
        started.append(process)
        assert process.stdout.readline() == "waiting\n", process.stderr.read()
        return process

    yield start
    for process in started:
        process.kill()
        process.communicate()


@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, "interrupted"), (signal.SIGTERM, "terminated")])
def test_a_signal_from_outside_ends_a_process_in_order(child, number, status):
    """A real process that is sent a signal saves, says so, and exits with 0."""
    process = child("one")
    process.send_signal(number)
    out, err = process.communicate(timeout=60)
    assert (out.splitlines()[-1], err, process.returncode) == (f"{status} True", "", 0)


def test_a_second_ctrl_c_from_outside_ends_a_process_at_once(child, tmp_path):
    """In the middle of a long step, the second SIGINT raises KeyboardInterrupt there, which tells what is left."""
    process = child("two")
    process.send_signal(signal.SIGINT)
    assert process.stdout.readline() == "asked\n"
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert out.splitlines()[-1] == "failed with KeyboardInterrupt"
    last = f"the last checkpoint to resume from: {tmp_path / 'checkpoints' / 'step-00000002.safetensors'}\n"
    assert err.endswith(f"KeyboardInterrupt\nthe run was ended at once, after 3 steps; {last}")
    assert process.returncode == -signal.SIGINT


def test_at_a_terminal_the_first_ctrl_c_is_answered(child):
    """The step under way may take long: what will happen is said at once, before it happens."""
    pty = pytest.importorskip("pty")
    terminal, theirs = pty.openpty()
    try:
        process = child("two", stderr=theirs)
        process.send_signal(signal.SIGINT)
        assert process.stdout.readline() == "asked\n"
        said = os.read(terminal, 1000).decode()
        assert said.split("\r\n") == ["", ANSWER.decode().strip(), ""]
    finally:
        os.close(terminal)
        os.close(theirs)


# Errors --------------------------------------------------------------------------------------------------------------


def test_every_on_exception_runs_and_the_first_error_is_raised():
    """Errors while handling an error become notes of it, whatever they are, and each callback gets its turn."""
    handled = []

    class Fails(Callback):
        def on_exception(self, trainer, error):
            raise KeyboardInterrupt("in between")

    last = at("on_exception", lambda trainer, error: handled.append(error))
    with pytest.raises(ZeroDivisionError) as caught:
        trainer(Fails(), at_step(2, lambda trainer: 1 / 0), last).fit(batches(), epochs=1)
    assert handled == [caught.value]
    (note,) = caught.value.__notes__
    assert note.startswith("while handling it, ")
    assert note.endswith("Fails.on_exception raised KeyboardInterrupt('in between')")


@pytest.mark.parametrize("hook", ["on_fit_start", "on_epoch_start", "on_batch_start", "on_checkpoint", "on_fit_end"])
def test_an_error_in_any_hook_is_cleaned_up_after(hook):
    """Wherever an error comes from, `on_exception` runs once and `fit` can be called again."""
    notes, fail = Everything(), at(hook, lambda *given: 1 / 0)
    run = trainer(notes, fail)
    with pytest.raises(ZeroDivisionError):
        run.fit(batches(), epochs=1)
    assert notes.hooks.count("on_exception") == 1
    assert run.stage == "idle"
    run.callbacks.remove(fail)
    assert run.fit(batches(), epochs=2).status == "completed"


def test_an_error_in_validation_leaves_no_stage_or_flag_behind():
    """After an error in `validation_step` the Trainer trains as before, with gradients."""

    class Broken(Trainer):
        broken = True

        def validation_step(self, batch):
            if self.broken:
                raise ZeroDivisionError
            return super().validation_step(batch)

    run = trainer(cls=Broken, loss=trainer().loss)
    with pytest.raises(ZeroDivisionError):
        run.fit(batches(), batches(1), epochs=1)
    assert run.stage == "idle"
    run.broken = False
    assert run.fit(batches(), batches(1), epochs=2).state.epoch == 2


@pytest.mark.parametrize("where", ["training_step", "validation_step", "on_batch_start", "on_epoch_end"])
def test_stop_iteration_from_user_code_does_not_end_an_epoch(where):
    """A forgotten `next()` somewhere is an error, not a shorter epoch."""

    def stop(*given):
        next(iter(()))

    if where.startswith("on_"):
        run = trainer(at(where, stop))
    else:
        run = trainer(cls=type("Mine", (Trainer,), {where: stop}), loss=trainer().loss)
    with pytest.raises(RuntimeError, match=r"^fit: a step or a callback raised StopIteration, which ends nothing"):
        run.fit(batches(), batches(1), epochs=1)


def test_stop_iteration_from_a_data_set_does_not_end_an_epoch():
    """A sample that cannot be read is an error, not the end of the data."""

    class Short(Dataset):
        def __len__(self):
            return 20

        def __getitem__(self, index):
            return next(iter(())), 0

    with pytest.raises(RuntimeError, match="StopIteration"):
        trainer().fit(DataLoader(Short(), 5), epochs=1)


def test_the_loaders_own_end_ends_an_epoch():
    """A loader of unknown length ends its epoch by StopIteration, as iterators do."""

    class Unknown:
        def __iter__(self):
            self.left = iter(batches(3))
            return self

        def __next__(self):
            return next(self.left)

    assert trainer().fit(Unknown(), epochs=2).state.step == 6
