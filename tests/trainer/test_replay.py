"""`trainer.replay`: a step of a run is rebuilt bit for bit from a checkpoint before it, and nothing else is touched."""

import numpy as np
import pytest
from small_runs import at, batches, loader, trainer, weights

import minitorch
import minitorch.functions as F
import minitorch.layers as L
from minitorch import Every, Trainer
from minitorch.errors import CheckpointError, ConfigError
from minitorch.models import Sequential
from minitorch.optimizers import SGD, Adam
from minitorch.optimizers.schedules import Exponential
from minitorch.trainer import Phase
from minitorch.trainer.callbacks import (
    Checkpoint,
    DevicePlacement,
    GradientAccumulation,
    GradientClipping,
    JSONLLogger,
    LRSchedule,
)


def make(folder, *more, device="cpu", every=3):
    """A Trainer with dropout, moments, clipping, a schedule, logs and all checkpoints kept."""
    return trainer(
        DevicePlacement(device),
        LRSchedule(Exponential(0.9)),
        GradientClipping(norm=0.5),
        *more,
        JSONLLogger(folder),
        Checkpoint(folder, every=Every(steps=every), keep=None),
        model=Sequential(L.Linear(8), F.relu, L.Dropout(0.5), L.Linear(3)),
        optimizer=Adam(),
        log_every=Every(steps=2),
    )


def noted(steps):
    """A callback that notes in `steps`, by number, what went into each step and came out."""

    def look(run):
        params = dict(run.model.named_params())
        before = {path: minitorch.as_numpy(param.data).copy() for path, param in params.items()}
        gradients = {path: minitorch.as_numpy(param.grad.data).copy() for path, param in params.items()}
        steps[run.state.step + 1] = [before, gradients]

    def result(run, outputs):
        if run.state.waiting == 0:
            after = {k: minitorch.as_numpy(v).copy() for k, v in run.model.state_dict().items()}
            steps[run.state.step] += [after, float(outputs.loss)]

    return [at("on_after_backward", look, phase=Phase.LOG), at("on_batch_end", result)]


def assert_same(replayed, noted_step):
    """The replay has the bits that were noted."""
    for found, expected in zip((replayed.before, replayed.gradients, replayed.after), noted_step[:3], strict=True):
        assert list(found) == list(expected)
        for path, array in found.items():
            assert minitorch.as_numpy(array).tobytes() == expected[path].tobytes(), path
    assert replayed.losses[-1] == noted_step[3]


@pytest.mark.parametrize("step", [4, 5, 6, 7, 11])
def test_a_step_is_rebuilt_bit_for_bit_in_a_new_process(tmp_path, device, step):
    """Batch, loss, gradients, and weights before and after are those of the run, in the middle of an epoch too."""
    place, steps = "cpu" if device.name == "cpu" else "cuda", {}
    minitorch.seed(0)
    make(tmp_path, *noted(steps), device=place).fit(loader(n=23, seed=4), epochs=3)
    minitorch.seed(5)
    replayed = make(tmp_path, device=place).replay(step, loader(n=23, seed=4))
    assert_same(replayed, steps[step])
    assert replayed.loss == replayed.losses[0]
    assert replayed.checkpoint.stem == f"step-{(step - 1) // 3 * 3:08d}"
    epoch, batch = divmod(step - 1, 5)
    x, t = list(loader(n=23, seed=4).iterate(epoch))[batch]
    assert (device.get(replayed.batch[0]) == x).all()
    assert (device.get(replayed.batch[1]) == t).all()


def test_a_step_of_several_batches(tmp_path):
    """With accumulation a replay has each batch; the checkpoint may lie between two batches of the step."""
    steps = {}
    minitorch.seed(0)
    stop = at("on_batch_end", lambda run, _: run.state.samples == 35 and run.request_stop("in the middle of an update"))
    run = make(tmp_path, GradientAccumulation(2), *noted(steps), stop, every=100)
    run.fit(loader(n=20, seed=4), epochs=3)
    assert (run.state.step, run.state.waiting) == (3, 1)
    make(tmp_path, GradientAccumulation(2), *noted(steps), every=100).fit(loader(n=20, seed=4), epochs=3, resume="auto")
    replayed = make(tmp_path, GradientAccumulation(2)).replay(5, loader(n=20, seed=4))
    assert_same(replayed, steps[5])
    assert (len(replayed.batches), replayed.sizes) == (2, [5, 5])
    assert replayed.loss == pytest.approx(sum(replayed.losses) / 2)


def test_nothing_of_the_run_is_touched(tmp_path):
    """Files are as they were, and so is the Trainer that replays: it trains on as if nothing had been."""
    ends = []
    for replays in (False, True):
        folder = tmp_path / str(replays)
        minitorch.seed(0)
        run = make(folder)
        data = loader(n=23, seed=4)
        run.fit(data, epochs=2)
        files = {path.name: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
        if replays:
            assert run.replay(5).step == 5
        assert {path.name: path.read_bytes() for path in folder.rglob("*") if path.is_file()} == files
        run.fit(data, epochs=4)
        ends.append((weights(run), run.history, (folder / "metrics.jsonl").read_bytes()))
    assert ends[0] == ends[1]


def test_a_step_that_diverged_can_be_looked_into(tmp_path):
    """The replay of a step whose loss is not finite comes back with it, where the run itself fails."""
    data = batches(6)
    data[4][0][0, 0] = np.nan

    def diverging():
        return trainer(Checkpoint(tmp_path, every=Every(steps=2), keep=None), log_every=Every(steps=1))

    with pytest.raises(minitorch.errors.NonFiniteError):
        diverging().fit(data, epochs=1)
    replayed = diverging().replay(5, data)
    assert np.isnan(replayed.loss)
    assert np.isnan(replayed.batch[0]).sum() == 1
    assert all(np.isfinite(array).all() for array in replayed.before.values())
    assert np.isnan(replayed.gradients["l0.W"]).any()


def test_validation_that_changes_the_training_is_done(tmp_path):
    """A callback that sets the learning rate by a validation metric finds it, if the loader is given."""

    def make():
        def slow_down(run, metrics):
            run.optimizer.lr *= metrics["val_loss"] / 2

        return trainer(
            at("on_validation_end", slow_down),
            Checkpoint(tmp_path, every=Every(steps=5), keep=None),
            optimizer=SGD(0.1),
            validate_every=Every(steps=1),
        )

    steps, run = {}, make()
    run.callbacks += noted(steps)
    run.fit(loader(), batches(1), steps=9)
    assert_same(make().replay(8, loader(), batches(1)), steps[8])
    assert run.optimizer.lr != 0.1


def test_the_steps_that_a_subclass_writes_are_its_own(tmp_path):
    """`training_step` and `optimizer_step` of a subclass are replayed."""

    class Mine(Trainer):
        def training_step(self, batch):
            return F.softmax_cross_entropy(self.model(batch[0]), batch[1]) * 2

        def optimizer_step(self):
            super().optimizer_step()
            super().optimizer_step()

    steps = {}
    run = trainer(*noted(steps), Checkpoint(tmp_path, every=Every(steps=3)), cls=Mine)
    run.fit(loader(), epochs=2)
    assert_same(run.replay(8), steps[8])


@pytest.mark.parametrize("step", [0, -3, 1.5, True])
def test_a_step_is_a_positive_int(step):
    """Steps are counted from 1."""
    with pytest.raises(ConfigError, match=r"replay: step is .*; it must be a positive int"):
        trainer().replay(step, batches())


def test_errors_say_what_is_missing(tmp_path):
    """No loader, no Checkpoint callback, no checkpoint early enough, none that is valid, and a run that ends before."""
    with pytest.raises(ConfigError, match=r"replay: there is no loader; give train_loader"):
        make(tmp_path).replay(5)
    with pytest.raises(ConfigError, match=r"replay: the Trainer has no Checkpoint callback"):
        trainer().replay(5, batches())
    make(tmp_path).fit(loader(n=23), steps=6)
    with pytest.raises(
        ConfigError, match=r"no checkpoint from before step 2; there are those after steps: 3, 6\. Keep"
    ):
        make(tmp_path).replay(2, loader(n=23))
    stops = make(tmp_path)
    stops.callbacks.insert(0, at("on_batch_start", lambda run, batch: run.request_stop("enough") or batch))
    with pytest.raises(ConfigError, match=r"replay: the run ended before step 9, because \('stopped', 'enough'\)"):
        stops.replay(9, loader(n=23))
    for path in (tmp_path / "checkpoints").iterdir():
        path.write_bytes(path.read_bytes()[:-9])
    with pytest.raises(CheckpointError, match=r"replay: no checkpoint before step 5 is valid; the newest: "):
        make(tmp_path).replay(5, loader(n=23))
