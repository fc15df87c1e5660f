"""Gradient accumulation: one update for several batches is that of one large batch, and a run resumes in its middle."""

import numpy as np
import pytest
from small_runs import OTHER_SEED, at, batches, trainer, weights

import minitorch
import minitorch.functions as F
import minitorch.layers as L
from minitorch import DataLoader, Every, Trainer
from minitorch.datasets import ArrayDataset
from minitorch.errors import ConfigError, StateError
from minitorch.models import Sequential
from minitorch.optimizers import Adam, MomentumSGD
from minitorch.trainer.callbacks import Checkpoint, GradientAccumulation, JSONLLogger

rng = np.random.default_rng(0)
X, T = rng.standard_normal((23, 6)), rng.standard_normal((23, 2))


def network():
    """Two layers in float64, whose weights are always the same."""
    minitorch.seed(3)
    return Sequential(L.Linear(5, in_size=6, dtype=np.float64), F.tanh, L.Linear(2, in_size=5, dtype=np.float64))


def double_run(*callbacks, cls=Trainer, **settings):
    """A Trainer of it by mean squared error."""
    settings.setdefault("loss", F.mean_squared_error)
    return trainer(*callbacks, cls=cls, model=network(), optimizer=MomentumSGD(0.1), **settings)


def parts(*sizes):
    """The first samples in batches of these sizes."""
    ends = np.cumsum(sizes)
    return [(X[end - size : end], T[end - size : end]) for size, end in zip(sizes, ends, strict=True)]


def assert_same_weights(run, other):
    """The weights of both differ by 1e-12 at most."""
    for (path, mine), theirs in zip(run.model.state_dict().items(), other.model.state_dict().values(), strict=True):
        assert mine.dtype == np.float64
        np.testing.assert_allclose(mine, theirs, rtol=0, atol=1e-12, err_msg=path)


# The gradient ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("small", "large"),
    [
        ([5, 5, 5, 5], [10, 10]),
        ([5, 5, 5], [10, 5]),  # an epoch whose last update has one batch
        ([5, 5, 5, 3], [10, 8]),  # a short last batch
        ([5, 5, 3], [10, 3]),
        ([2, 7, 1, 1, 4], [9, 2, 4]),  # any sizes
        ([7], [7]),
    ],
)
def test_an_update_is_that_of_one_large_batch(small, large):
    """Weights after three epochs of two batches an update are those of batches twice as large, to 1e-12."""
    run, at_once = double_run(GradientAccumulation(2)), double_run()
    run.fit(parts(*small), epochs=3)
    at_once.fit(parts(*large), epochs=3)
    assert run.state.step == at_once.state.step == 3 * len(large)
    assert run.state.samples == at_once.state.samples
    assert_same_weights(run, at_once)


def test_more_batches_than_an_epoch_has():
    """An update ends with its epoch at the latest."""
    run, at_once = double_run(GradientAccumulation(100)), double_run()
    run.fit(parts(5, 5, 5, 3), epochs=2)
    at_once.fit(parts(18), epochs=2)
    assert run.state.step == 2
    assert_same_weights(run, at_once)


def test_one_batch_an_update_changes_no_bit():
    """`GradientAccumulation(1)` is a run without it."""
    run, plain = double_run(GradientAccumulation(1)), double_run()
    for each in (run, plain):
        each.fit(parts(5, 5, 3), epochs=2)
    assert weights(run) == weights(plain)


# The loop -------------------------------------------------------------------------------------------------------------


def test_counters_of_batches_and_updates():
    """`batch` counts batches, `step` updates, `waiting` the batches between them."""
    seen = []

    def look(run, outputs):
        state = run.state
        seen.append((state.epoch, state.batch, state.step, state.waiting, state.samples))

    trainer(GradientAccumulation(3), at("on_batch_end", look)).fit(batches(4), epochs=2)
    assert seen == [
        (0, 1, 0, 1, 5), (0, 2, 0, 2, 10), (0, 3, 1, 0, 15), (1, 0, 2, 0, 20),
        (1, 1, 2, 1, 25), (1, 2, 2, 2, 30), (1, 3, 3, 0, 35), (2, 0, 4, 0, 40),
    ]  # fmt: skip


def test_gradients_are_offered_once_an_update_and_whole():
    """`on_after_backward` runs only when an update is due, and may change its gradients."""
    both = []
    for callbacks, sizes in (([GradientAccumulation(2)], (5, 5, 5)), ([], (10, 5))):
        norms = []

        def look(run, norms=norms):
            norms.append(float(np.sqrt(sum((p.grad.data**2).sum() for p in run.model.params()))))

        double_run(*callbacks, at("on_after_backward", look)).fit(parts(*sizes), epochs=1)
        both.append(norms)
    assert len(both[1]) == 2
    assert both[0] == pytest.approx(both[1], rel=1e-12)


def test_intervals_validation_and_ends_are_by_updates():
    """Every(steps=2) is due once in four batches of two an update, and `fit(steps=3)` ends after six batches."""
    logged, validated = [], []
    run = trainer(
        GradientAccumulation(2),
        at("on_batch_end", lambda run, outputs: outputs.metrics and logged.append((run.state.step, run.state.batch))),
        at("on_validation_end", lambda run, metrics: validated.append((run.state.step, run.state.batch))),
        log_every=Every(steps=2),
        validate_every=Every(steps=1),
    )
    result = run.fit(batches(8), batches(1), steps=3)
    assert (result.state.batch, result.reason) == (6, "3 steps done")
    assert logged == [(2, 4)]
    assert validated == [(1, 2), (2, 4), (3, 6)]


def test_each_batch_of_an_update_draws_numbers_of_its_own():
    """No two batches have one dropout mask, and what is drawn between them changes none."""
    masks = []

    class Masks(Trainer):
        def training_step(self, batch):
            masks.append(F.dropout(np.ones(64, np.float32)).data.tobytes())
            return F.softmax_cross_entropy(self.model(batch[0]), batch[1])

    trainer(GradientAccumulation(2), cls=Masks).fit(batches(4), epochs=2)
    first, masks = masks, []
    between = at("on_batch_end", lambda *given: minitorch.random.bits("other", 8))
    minitorch.seed(0)
    trainer(GradientAccumulation(2), between, cls=Masks).fit(batches(4), epochs=2)
    assert len(set(masks)) == 8
    assert masks[2:] == first[2:]  # the first update goes on with what was drawn before it


def test_the_mean_loss_is_that_over_samples():
    """Accumulation changes the updates, not what is logged."""
    frozen = {"model": network(), "optimizer": MomentumSGD(0.0), "loss": F.mean_squared_error}
    run = trainer(GradientAccumulation(2), **frozen)
    result = run.fit(parts(5, 5, 3), epochs=1)
    expected = ((run.predict([X[:13]]) - T[:13]) ** 2).sum() / 13
    assert result.metrics["loss"] == pytest.approx(expected, rel=1e-12)


def test_it_is_over_when_the_run_is():
    """A later fit of the same Trainer without the callback updates with each batch, also after a failure."""
    run = trainer(GradientAccumulation(4))
    run.fit(batches(4), epochs=1)
    assert run.accumulation.batches == 1
    failing = trainer(GradientAccumulation(4), at("on_batch_end", lambda *given: 1 / 0))
    with pytest.raises(ZeroDivisionError):
        failing.fit(batches(4), epochs=1)
    assert failing.accumulation.batches == 1


@pytest.mark.parametrize("wrong", [0, -1, 2.0, True, "4"])
def test_the_number_of_batches_is_checked(wrong):
    """It is a positive int."""
    with pytest.raises(ConfigError, match=r"GradientAccumulation: batches is .*; it must be an int of at least 1"):
        GradientAccumulation(wrong)


@pytest.mark.parametrize("hook", ["on_batch_start", "on_after_backward", "on_batch_end"])
def test_after_a_failure_no_batch_counts_twice(hook):
    """A Trainer that failed in the middle of an update begins a new one: its gradient is that of its own batches."""
    fails, seen = [True], []

    def fail(run, *given):
        if run.state.samples >= 5 and fails:
            fails.clear()
            raise ZeroDivisionError
        return given[0] if given else None

    def look(run):
        seen.append((run.accumulation.samples, run.model.l0.W.grad.data.copy()))

    run = trainer(
        GradientAccumulation(2),
        at(hook, fail),
        at("on_after_backward", look),
        model=network(),
        optimizer=MomentumSGD(0.0),
        loss=F.mean_squared_error,
    )
    with pytest.raises(ZeroDivisionError):
        run.fit(parts(5, 5, 5), epochs=1)
    run.fit(parts(5, 5, 5), epochs=1)
    samples, gradient = seen[-1]
    last = parts(5, 5, 5)[-(samples // 5) :]
    whole = trainer(model=network(), optimizer=MomentumSGD(0.0), loss=F.mean_squared_error)
    whole.callbacks.append(at("on_after_backward", look))
    whole.fit([tuple(map(np.concatenate, zip(*last, strict=True)))], epochs=1)
    np.testing.assert_allclose(gradient, seen[-1][1], rtol=0, atol=1e-12)


# The scale of the loss ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("scale", [1024.0, np.array(1024.0)])
def test_the_loss_scale_multiplies_the_gradients(scale):
    """With `trainer.loss_scale` divided out again, a run is what it was; a power of two changes no bit."""

    def divide(run):
        for param in run.model.params():
            param.grad.data /= 1024.0

    run, plain = (
        double_run(GradientAccumulation(2), at("on_after_backward", divide)),
        double_run(GradientAccumulation(2)),
    )
    run.loss_scale = scale
    for each in (run, plain):
        each.fit(parts(5, 5, 3), epochs=2)
    assert weights(run) == weights(plain)
    assert run.history == plain.history


# Resume ---------------------------------------------------------------------------------------------------------------


def end_of(folder, device, stops):
    """What a run leaves that stops after each of these batches, and is resumed by a Trainer that knows nothing."""
    place = minitorch.trainer.callbacks.DevicePlacement("cpu" if device.name == "cpu" else "cuda")
    minitorch.seed(0)
    for stop in [*stops, None]:
        stopping = at(
            "on_batch_end", lambda run, outputs, n=stop: run.state.samples == 5 * (n or 0) and run.request_stop("test")
        )
        run = trainer(
            place,
            GradientAccumulation(3),
            stopping,
            JSONLLogger(folder),
            Checkpoint(folder, every=Every(steps=100)),
            model=Sequential(L.Linear(8), F.relu, L.Dropout(0.5), L.Linear(3)),
            optimizer=Adam(),
            log_every=Every(steps=1),
        )
        data = DataLoader(ArrayDataset(X[:20].astype(np.float32), np.arange(20) % 3), 5)
        result = run.fit(data, epochs=3, resume="auto")
        minitorch.seed(99)  # the next process knows nothing of this one
    arrays = {path: device.get(array).tobytes() for path, array in run.model.state_dict().items()}
    return arrays, result.history, result.state.step, (folder / "metrics.jsonl").read_bytes()


@pytest.fixture
def at_once(tmp_path, device):
    """The end of a run that was never stopped."""
    return end_of(tmp_path / "at once", device, [])


@OTHER_SEED
@pytest.mark.parametrize("stop", range(1, 12))
def test_a_run_stopped_after_any_batch_ends_where_one_at_once_does(tmp_path, device, at_once, stop):
    """Also between the batches of an update: the gradients that wait, and the draws that come, are the same."""
    assert end_of(tmp_path / "stopped", device, [stop]) == at_once


@OTHER_SEED
def test_a_run_stopped_after_every_batch_ends_where_one_at_once_does(tmp_path, device, at_once):
    """Even if each batch is done by another Trainer."""
    assert end_of(tmp_path / "stopped", device, range(1, 12)) == at_once


def test_a_checkpoint_holds_gradients_only_while_batches_wait():
    """Between updates there is nothing to save."""
    kept = []

    def look(run):
        kept.append(list(run.state_dict()["accumulation"].get("gradients", {})))

    double_run(GradientAccumulation(2), at("on_checkpoint", look)).fit(parts(5, 5, 5), epochs=1)
    assert kept == [["l0.W", "l0.b", "l2.W", "l2.b"], [], []]


def test_gradients_of_another_model_are_refused():
    """Waiting gradients of a Parameter that the model has not are named."""
    run = double_run(GradientAccumulation(2), at("on_batch_end", lambda run, _: run.request_stop("test")))
    run.fit(parts(5, 5), epochs=1)
    state = run.state_dict()["accumulation"]
    state["gradients"]["8.W"] = state["gradients"].pop("l0.W")
    with pytest.raises(StateError, match=r"gradients of Parameters that the model has not: 8\.W"):
        run.accumulation.load_state_dict(run.model, state)
