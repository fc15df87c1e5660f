"""The rules of the Trainer, one test for each by its number in the design; the other files go into detail."""

import os
import signal

import numpy as np
import pytest
from small_runs import Everything, at, batches, loader, samples, trainer, weights

import fake_cupy
import minitorch
import minitorch.functions as F
import minitorch.layers as L
from minitorch import Callback, DataLoader, Every, Trainer
from minitorch.config import Config
from minitorch.datasets import ArrayDataset
from minitorch.errors import ConfigError, StateError
from minitorch.models import MLP, Sequential
from minitorch.optimizers import SGD, Adam
from minitorch.trainer import Phase
from minitorch.trainer.callback import HOOKS
from minitorch.trainer.callbacks import (
    Checkpoint,
    ConsoleLogger,
    DevicePlacement,
    EarlyStopping,
    EpochTimer,
    JSONLLogger,
    ProgressBar,
    default_callbacks,
)


def test_rule_1_one_safe_point():
    """When `on_checkpoint` runs, counters, validation, epoch hooks and loggers of the step are finished."""
    seen = []

    def look(trainer):
        state = trainer.state
        logged = [hook for hook in notes.hooks if hook in ("on_batch_end", "on_validation_end", "on_epoch_end")]
        seen.append((state.step, state.batch, state.epoch, len(trainer.history), len(logged)))

    notes = Everything()
    notes.phase = Phase.LOG
    trainer(at("on_checkpoint", look, phase=Phase.DEVICE), notes).fit(batches(2), batches(1), epochs=2)
    assert seen == [(1, 1, 0, 0, 1), (2, 0, 1, 1, 4), (3, 1, 1, 1, 5), (4, 0, 2, 2, 8)]


def test_rule_2_one_definition_of_each_counter():
    """Epochs finished, batches of the epoch under way, updates, samples: what callbacks read is what the loop did."""
    updates, used = [], []

    class Counting(Trainer):
        def optimizer_step(self):
            super().optimizer_step()
            updates.append(1)

        def on_batch_end(self, outputs):
            used.append(outputs.size)
            state = self.state
            assert (state.step, state.samples) == (len(updates), sum(used))
            assert (state.epoch, state.batch) == divmod(state.step, 4)

    trainer(cls=Counting, loss=F.softmax_cross_entropy).fit(loader(n=18), epochs=2)
    assert (len(updates), sum(used)) == (8, 36)


def test_rule_3_triggers_are_values_with_units():
    """A trigger names its unit; a bare number is refused with the remedy."""
    assert Every(steps=100).due(minitorch.trainer.TrainState(step=200))
    with pytest.raises(ConfigError, match=r"a bare number says no unit: use Every\(steps=\.\.\.\)"):
        Checkpoint("runs", every=100)


def test_rule_4_order_is_by_phase_and_explain_prints_it():
    """DEVICE < DATA < METRIC < CONTROL < LOG < CHECKPOINT, then as given; unused hooks cost nothing."""
    given = [
        Checkpoint("runs"),
        ConsoleLogger(),
        EarlyStopping("loss"),
        EpochTimer(),
        DevicePlacement("cpu"),
        ProgressBar(),
    ]
    run = trainer(*given)
    printed = [line.split()[1].split("(")[0] for line in run.explain().split(":\n")[1].splitlines()[:-1]]
    by_phase = [
        "DevicePlacement",
        "EpochTimer",
        "Trainer",
        "EarlyStopping",
        "ConsoleLogger",
        "ProgressBar",
        "Checkpoint",
    ]
    assert printed == by_phase
    assert [phase.name for phase in Phase] == ["DEVICE", "DATA", "METRIC", "CONTROL", "LOG", "CHECKPOINT"]
    assert (
        "  on_epoch_end         EpochTimer > EarlyStopping > ConsoleLogger > ProgressBar > Checkpoint\n"
        in run.explain()
    )
    assert all(getattr(trainer().hooks, hook) == [] for hook in HOOKS)


def test_rule_5_state_is_restored_before_fit_start_and_strictly(tmp_path):
    """`on_fit_start` finds the counters of the resumed run; what does not fit is listed; the format has a version."""
    trainer(Checkpoint(tmp_path)).fit(batches(4), steps=3)
    found = []
    run = trainer(Checkpoint(tmp_path), at("on_fit_start", lambda trainer: found.append(trainer.state.step)))
    run.fit(batches(4), steps=4, resume="auto")
    assert found == [3]
    assert run.state_dict()["format_version"] == 1
    with pytest.raises(StateError, match=r"callbacks with state: missing \(1\): EarlyStopping"):
        trainer(Checkpoint(tmp_path), EarlyStopping("loss")).fit(batches(4), steps=5, resume="auto")


def test_rule_6_optimizer_state_is_keyed_by_parameter_path():
    """The moments of Adam go by the names of the Parameters."""
    run = trainer(optimizer=Adam())
    run.fit(batches(), epochs=1)
    assert list(run.state_dict()["optimizer"]["state"]) == ["l0.W", "l0.b", "l1.W", "l1.b"]


def test_rule_7_every_on_exception_runs_and_the_first_error_is_raised():
    """Clean-up always runs, the original error comes out, and a StopIteration of user code ends no epoch."""
    notes = Everything()
    with pytest.raises(ZeroDivisionError):
        trainer(at("on_exception", lambda *given: {}[0]), at("on_batch_end", lambda *given: 1 / 0), notes).fit(
            batches(), epochs=1
        )
    assert notes.hooks[-1] == "on_exception"
    with pytest.raises(RuntimeError, match="raised StopIteration"):
        trainer(at("on_batch_end", lambda *given: next(iter(())))).fit(batches(), epochs=1)


def test_rule_8_stopping():
    """A run says whether it is completed, stopped, interrupted or terminated."""
    endings = {
        "completed": lambda trainer: None,
        "stopped": lambda trainer: trainer.request_stop("enough"),
        "interrupted": lambda trainer: os.kill(os.getpid(), signal.SIGINT),
        "terminated": lambda trainer: os.kill(os.getpid(), signal.SIGTERM),
    }
    for status, end in endings.items():
        run = trainer(at("on_batch_end", lambda trainer, outputs, end=end: end(trainer)))
        result = run.fit(batches(3), epochs=1)
        assert (result.status, result.state.step) == (status, 3 if status == "completed" else 1)


class Classifier(Trainer):
    """What the first example trains with, on a device or not."""

    def training_step(self, batch):
        x, t = batch
        y = self.model(x)
        self.log("accuracy", F.accuracy(y, t))
        return F.softmax_cross_entropy(y, t)


def traffic_of(steps, **settings):
    """What crossed between host and device, and the reads counted, in a run of so many steps with the defaults."""
    with fake_cupy.installed():
        run = Classifier(MLP((4, 3)), SGD(0.1), callbacks=default_callbacks(), **settings)
        with fake_cupy.counting() as traffic:
            run.fit(loader(n=1000), steps=steps)
        return np.array([traffic.to_device, traffic.to_host, traffic.synchronisations, run.means.host_reads])


def test_rule_9_log_never_converts(capsys):
    """On a device, 50 more steps send nothing there, and cost one read back: that of the log interval."""
    more = traffic_of(steps=150) - traffic_of(steps=100)
    assert more.tolist() == [0, 1, 1, 1]
    more = traffic_of(steps=150, log_every=Every(steps=10)) - traffic_of(steps=100, log_every=Every(steps=10))
    assert more.tolist() == [0, 5, 5, 5]


def test_rule_9_read_is_counted():
    """A callback that reads at each step is seen in the count of reads."""
    with fake_cupy.installed():
        read = at("on_batch_end", lambda trainer, outputs: trainer.read("loss"))
        run = trainer(DevicePlacement("cuda"), read, log_every=Every(steps=1000))
        run.fit(batches(10), steps=7)
        assert run.means.host_reads == 7
        read_by_evaluate = run.means.host_reads
        run.evaluate(batches(3))
        assert run.means.host_reads == read_by_evaluate + 1


def test_rule_10_loggers_append_and_truncate(tmp_path):
    """What was logged after the checkpoint that is resumed is cut off, and written again: no line twice, none lost."""

    def run(*more):
        callbacks = JSONLLogger(tmp_path / "a"), Checkpoint(tmp_path / "a", every=Every(steps=3))
        return trainer(*more, *callbacks, log_every=Every(steps=1))

    minitorch.seed(0)
    with pytest.raises(ZeroDivisionError):
        run(at("on_checkpoint", lambda trainer: trainer.state.step < 5 or 1 / 0)).fit(loader(), epochs=2)
    path = tmp_path / "a" / "metrics.jsonl"
    assert path.read_text().count("\n") == 6  # five steps and an epoch, of which the checkpoint knows three
    run().fit(loader(), epochs=2, resume="auto")
    minitorch.seed(0)
    trainer(JSONLLogger(tmp_path / "b"), log_every=Every(steps=1)).fit(loader(), epochs=2)
    assert path.read_bytes() == (tmp_path / "b" / "metrics.jsonl").read_bytes()


def test_rule_11_device_placement_moves_everything():
    """Weights, gradients, moments and batches are on the device that was named, all of them."""
    with fake_cupy.installed() as cupy:
        seen = []
        run = trainer(
            DevicePlacement("cuda"),
            at("on_batch_start", lambda trainer, batch: seen.extend(batch) or batch),
            optimizer=Adam(),
        )
        run.fit(batches(), epochs=1)
        params = list(run.model.params())
        moments = [entry[name] for entry in run.optimizer.state.values() for name in "mv"]
        everything = [*seen, *[p.data for p in params], *[p.grad.data for p in params], *moments]
        assert len(everything) == 8 + 4 + 4 + 8
        assert all(isinstance(a, cupy.ndarray) for a in everything)


def test_rule_12_validation_draws_no_training_random_number():
    """With dropout and with validation, even one that draws itself, the weights are the same, bit for bit."""

    class Noisy(Trainer):
        def validation_step(self, batch):
            assert not Config.train
            assert not Config.enable_backprop
            with minitorch.using_config("train", True):  # Monte Carlo dropout
                return super().validation_step(batch)

    results = []
    for validation in (None, batches(2, seed=9)):
        minitorch.seed(0)
        run = trainer(
            cls=Noisy,
            model=Sequential(L.Linear(8), L.Dropout(0.5), L.Linear(3)),
            loss=F.softmax_cross_entropy,
            validate_every=Every(steps=1),
        )
        run.fit(loader(), validation, epochs=2)
        results.append((weights(run), minitorch.random.get_state()))
    assert results[0] == results[1]


def test_rule_13_averages_are_weighted_by_samples():
    """The mean accuracy over batches of 5, 5 and 1 is that over 11 samples."""
    x, t = samples(11)
    data = DataLoader(ArrayDataset(x, t), 5, shuffle=False)
    run = trainer(metrics={"accuracy": F.accuracy})
    y = run.predict(data)
    assert run.evaluate(data)["accuracy"] == pytest.approx((y.argmax(axis=1) == t).mean(), rel=1e-6)


def test_rule_14_no_callbacks_is_a_bare_loop(capsys, tmp_path, monkeypatch):
    """`callbacks=[]` prints nothing, writes nothing, and trains as a loop written by hand does, bit for bit."""
    monkeypatch.chdir(tmp_path)
    run = trainer()
    run.fit(loader(), epochs=2)
    minitorch.seed(0)
    model = MLP((4, 3))
    optimizer = SGD(0.1).setup(model)
    by_hand = loader()
    for _ in range(2):
        for x, t in by_hand:
            loss = F.softmax_cross_entropy(model(x), t)
            model.cleargrads()
            loss.backward()
            optimizer.update()
    assert weights(run) == {path: array.tobytes() for path, array in model.state_dict().items()}
    assert capsys.readouterr() == ("", "")
    assert list(tmp_path.iterdir()) == []


def test_rule_15_a_progress_bar_only_where_somebody_watches(capsys):
    """Into a file or a pipe no bar is drawn (on a terminal one is: test_loggers.py)."""
    trainer(ProgressBar()).fit(batches(), epochs=1)
    assert capsys.readouterr() == ("", "")


def test_rule_16_a_step_is_device_work_only():
    """From the placed batch to the end of the update nothing crosses between host and device, and nothing waits."""
    guards = []

    class Guard(Callback):
        """Refuses transfers from the placed batch until the first callback after the update."""

        phase = Phase.DATA

        def on_batch_start(self, trainer, batch):
            if trainer.state.step > 0:  # the first step makes the weights, on the host, and Adam's moments
                guards.append(fake_cupy.no_transfers())
                guards[-1].__enter__()
            return batch

        def on_batch_end(self, trainer, outputs):
            if trainer.state.step > 1:
                guards[-1].__exit__(None, None, None)

    with fake_cupy.installed():
        run = Classifier(
            Sequential(L.Linear(8), F.relu, L.Linear(3)),
            Adam(),
            callbacks=[DevicePlacement("cuda"), Guard()],
            log_every=Every(steps=1000),
        )
        run.fit(batches(6), steps=5)
        assert len(guards) == 4
