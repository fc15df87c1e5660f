"""EMA and SWA: what they average, when it is in use, in checkpoints, and without memory or waits of their own."""

import tracemalloc
from contextlib import nullcontext

import numpy as np
import pytest
import resumed_runs
import small_runs

import fake_cupy
import minitorch
import minitorch.functions as F
import minitorch.layers as L
from minitorch import Every
from minitorch.cpu import update
from minitorch.errors import ConfigError, StateError
from minitorch.models import Sequential
from minitorch.trainer import snapshot
from minitorch.trainer.callbacks import EMA, SWA, Checkpoint, DevicePlacement, EarlyStopping, GradientAccumulation


def copied(model):
    """A copy of all weights."""
    return {path: array.copy() for path, array in model.weights().items()}


def weights_after_updates(epochs=2, **settings):
    """The weights after each update of a run without averages."""
    minitorch.seed(0)
    seen = []
    note = small_runs.at("on_batch_end", lambda trainer, _: seen.append(copied(trainer.model)))
    small_runs.trainer(note, **settings).fit(small_runs.batches(), epochs=epochs)
    return seen


def fit(*callbacks, epochs=2, validation=None, **settings):
    """A run of four steps an epoch, from the same weights each time."""
    minitorch.seed(0)
    run = small_runs.trainer(*callbacks, **settings)
    run.fit(small_runs.batches(), validation, epochs=epochs)
    return run


def assert_close(weights, wanted):
    """All arrays are equal but for rounding."""
    assert weights.keys() == wanted.keys()
    for path, array in wanted.items():
        np.testing.assert_allclose(weights[path], array, rtol=1e-5, atol=1e-6, err_msg=path)


# EMA ------------------------------------------------------------------------------------------------------------------


def test_ema_is_the_recurrence():
    """Begun with the weights after the first update, each further one moves it by a share of 1 - decay."""
    wanted, *others = weights_after_updates()
    for p in others:
        wanted = {path: 0.9 * wanted[path] + 0.1 * p[path] for path in wanted}
    ema = EMA(0.9, warm_up=False)
    fit(ema)
    assert ema.count == 7
    assert_close(ema.averages, wanted)


def test_ema_warms_up():
    """The share that stays is `(1 + n) / (10 + n)` until that is above the decay."""
    wanted, *others = weights_after_updates()
    for n, p in enumerate(others, 1):
        keep = min(0.3, (1 + n) / (10 + n))
        wanted = {path: keep * wanted[path] + (1 - keep) * p[path] for path in wanted}
    ema = EMA(0.3)
    fit(ema)
    assert_close(ema.averages, wanted)


def test_ema_changes_nothing_of_the_training():
    """Weights and training losses are those of a run without; only validation sees the averages."""
    run, plain = fit(EMA(0.5), validation=small_runs.batches(1)), fit(validation=small_runs.batches(1))
    assert small_runs.weights(run) == small_runs.weights(plain)
    assert [m["loss"] for m in run.history] == [m["loss"] for m in plain.history]
    assert run.history[0]["val_loss"] != plain.history[0]["val_loss"]
    unseen = fit(EMA(0.5, validate=False), validation=small_runs.batches(1))
    assert unseen.history == plain.history


def test_validation_is_done_with_the_averages():
    """Its metrics are those of a model that has the averages, by whatever means."""
    ema = EMA(0.5)
    run = fit(ema, validation=small_runs.batches(1))
    with ema.averaged(run.model):
        assert run.evaluate(small_runs.batches(1))["loss"] == run.history[-1]["val_loss"]
    assert run.evaluate(small_runs.batches(1))["loss"] != run.history[-1]["val_loss"]


def test_the_averages_are_lent_without_copies():
    """Within `averaged` the Parameters hold the arrays of the averages, after it their own again, also on an error."""
    ema = EMA(0.5)
    run = fit(ema)
    own = {path: param.data for path, param in run.model.named_params()}
    averages = dict(ema.averages)

    def use():
        with ema.averaged(run.model):
            assert all(param.data is averages[path] for path, param in run.model.named_params())
            1 / 0

    with pytest.raises(ZeroDivisionError):
        use()
    assert all(param.data is own[path] for path, param in run.model.named_params())
    assert all(ema.averages[path] is averages[path] for path in averages)


def test_a_failed_validation_gives_the_weights_back():
    """After an error in validation the model has the weights of the training."""
    ema = EMA(0.5)
    fail = small_runs.at("on_validation_end", lambda trainer, metrics: 1 / 0, phase=0)
    minitorch.seed(0)
    run = small_runs.trainer(ema, fail)
    with pytest.raises(ZeroDivisionError):
        run.fit(small_runs.batches(), small_runs.batches(1), epochs=1)
    assert_close(run.model.weights(), weights_after_updates(epochs=1)[-1])


def test_at_the_end_the_model_may_have_the_averages():
    """On request its weights are the averages, in the arrays that it had before."""
    held = []
    note = small_runs.at("on_checkpoint", lambda trainer: held.append([p.data for p in trainer.model.params()]))
    ema = EMA(0.5, at_end=True)
    run = fit(ema, note)
    assert_close(run.model.weights(), ema.averages)
    assert all(param.data is array for param, array in zip(run.model.params(), held[-1], strict=True))


@pytest.mark.parametrize("make", [lambda: EMA(0.9), lambda: SWA(1, Every(steps=2))], ids=["EMA", "SWA"])
def test_averages_of_a_resumed_run(make, tmp_path):
    """They are, to the bit, those of a run that went through."""
    made = [make() for _ in range(3)]
    resumed_runs.fit(tmp_path / "whole", lambda: [made[0]])
    resumed_runs.fit(tmp_path / "broken", lambda: [made[1]], break_at=8)
    resumed_runs.fit(tmp_path / "broken", lambda: [made[2]])
    assert made[2].count == made[0].count
    for path, average in made[0].averages.items():
        np.testing.assert_array_equal(made[2].averages[path], average, strict=True)


def test_averages_take_no_memory_but_their_own():
    """An update of the averages allocates nothing of the size of a Parameter."""
    minitorch.set_num_threads(1)  # another thread may get its block late
    weight = L.Linear(1, in_size=6 * update.BLOCK)
    model = Sequential(weight)
    x = np.ones((1, 6 * update.BLOCK), np.float32)
    ema, peaks = EMA(0.9), []

    def measure(trainer):
        for _ in range(2):  # the first time, the thread gets its scratch memory
            tracemalloc.start()
            ema.on_after_update(trainer)
            peaks.append(tracemalloc.get_traced_memory()[1])
            tracemalloc.stop()

    run = small_runs.trainer(ema, small_runs.at("on_fit_end", lambda trainer, _: measure(trainer)), model=model,
                             loss=lambda y, t: y.sum())  # fmt: skip
    run.fit([(x, x)], epochs=1)
    assert peaks[-1] < weight.W.data.nbytes / 4


@pytest.mark.parametrize("make", [lambda: EMA(0.9), lambda: SWA(1, Every(steps=1))], ids=["EMA", "SWA"])
def test_averages_are_on_the_device_of_the_model(make):
    """There one launch updates all, without a transfer once its table is made; restored ones are brought there."""
    with fake_cupy.installed() as cupy:
        callback, launches = make(), []
        hook = "on_after_update" if isinstance(callback, EMA) else "on_batch_end"
        take = getattr(callback, hook)

        def average(trainer, *given):
            before = len(fake_cupy.machine.work)
            with fake_cupy.no_transfers() if callback.count > 1 else nullcontext():
                take(trainer, *given)
            launches.append(fake_cupy.machine.work[before:])

        setattr(callback, hook, average)
        fit(DevicePlacement("cuda"), callback, epochs=3)
        assert launches[-1] == ["set_numbers", "average_update"]
        assert all(isinstance(array, cupy.ndarray) for array in callback.averages.values())
        other, run = make(), fit(DevicePlacement("cuda"), epochs=1)
        other.load_state_dict({"count": 1, "averages": {p: cupy.asnumpy(a) for p, a in callback.averages.items()}})
        other.on_fit_start(run)
        assert all(isinstance(array, cupy.ndarray) for array in other.averages.values())


def test_early_stopping_keeps_the_weights_that_were_validated():
    """With averages validated, the best weights are averages; without, those of the training."""
    for ema in (EMA(0.5), EMA(0.5, validate=False)):
        best = EarlyStopping("val_loss", patience=50, restore_best=True)
        run = fit(ema, best, validation=small_runs.batches(1), epochs=3)
        assert run.evaluate(small_runs.batches(1))["loss"] == min(m["val_loss"] for m in run.history)


# SWA ------------------------------------------------------------------------------------------------------------------


def test_swa_is_the_mean_of_the_weights_collected():
    """From the end of epoch `start` on, the weights at the end of each; the model has their mean at the end."""
    collected = weights_after_updates(epochs=4)[7::4]
    assert len(collected) == 3
    swa = SWA(2)
    run = fit(swa, epochs=4)
    assert swa.count == 2
    assert_close(run.model.weights(), {path: np.mean([p[path] for p in collected], axis=0) for path in collected[0]})


def test_swa_may_collect_every_few_steps():
    """With `every`, in between too, once `start` epochs are done."""
    collected = weights_after_updates(epochs=2)[3::2]
    run = fit(SWA(1, every=Every(steps=2)), epochs=2)
    assert_close(run.model.weights(), {path: np.mean([p[path] for p in collected], axis=0) for path in collected[0]})


def test_a_run_that_ends_before_the_start_keeps_its_weights():
    """There is nothing to average."""
    assert_close(fit(SWA(9)).model.weights(), weights_after_updates()[-1])


def test_running_averages_are_computed_anew():
    """They are the means over all batches of what batch norm sees with the averaged weights, by samples."""
    x, t = small_runs.samples(18)
    batches = [(x[:5], t[:5]), (x[5:10], t[5:10]), (x[10:], t[10:])]
    model = Sequential(L.Linear(4), norm := L.BatchNorm(), F.relu, L.Dropout(0.5), L.Linear(3))
    run = small_runs.trainer(SWA(1), model=model)
    state = []
    note = small_runs.at("on_checkpoint", lambda trainer: state.append(minitorch.random.get_state()))
    run.callbacks.append(note)
    run.fit(batches, epochs=2)
    inputs = [(x[i:j] @ model.l0.W.data + model.l0.b.data) for i, j in ((0, 5), (5, 10), (10, 18))]
    shares = np.array([5, 5, 8]) / 18
    mean = sum(share * a.mean(axis=0) for share, a in zip(shares, inputs, strict=True))
    var = sum(share * a.var(axis=0, ddof=1) for share, a in zip(shares, inputs, strict=True))
    np.testing.assert_allclose(norm.avg_mean.data, mean, rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(norm.avg_var.data, var, rtol=1e-4, atol=1e-6)
    assert norm.decay == 0.9
    assert minitorch.random.get_state() == state[-1]


def test_only_updates_count():
    """Batches that wait for their update are passed over."""
    for callback in (EMA(0.5), SWA(1, every=Every(steps=1))):
        fit(GradientAccumulation(batches=2), callback, epochs=2)
        assert callback.count == {"EMA": 3, "SWA": 2}[type(callback).__name__]


# Settings -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: EMA(1.0), r"EMA: decay is 1\.0; it must be at least 0 and less than 1"),
        (lambda: EMA("high"), r"EMA: decay is 'high'; it must be at least 0"),
        (lambda: SWA(0), r"SWA: start is 0; it must be an int of at least 1"),
        (lambda: SWA(1, every=1), r"SWA: every is 1; a bare number says no unit"),
        (lambda: SWA(1, every=Every(seconds=1)), r"SWA: every is Every\(.*\), and no two runs would be the same"),
    ],
)  # fmt: skip
def test_settings_that_are_not_allowed(make, message):
    """The error names the callback, the setting, its value and the rule."""
    with pytest.raises(ConfigError, match=message):
        make()


def test_a_state_without_averages_is_an_error():
    """A state of another callback is refused."""
    with pytest.raises(StateError, match=r"EMA: missing \(1\): averages"):
        EMA().load_state_dict({"count": 1})


# A second run --------------------------------------------------------------------------------------------------------


def normalised():
    """A network with running averages."""
    return Sequential(L.Linear(4), L.BatchNorm(), L.Linear(3))


LEFT = {"EMA": lambda: EMA(0.5, at_end=True), "SWA": lambda: SWA(1)}


@pytest.mark.parametrize("name", LEFT)
def test_a_second_fit_goes_on_from_the_weights_of_the_training(name):
    """Two runs one after the other are one longer run, though the model had the averages in between."""
    run = fit(LEFT[name](), epochs=2, model=normalised())
    between = small_runs.weights(run)
    run.fit(small_runs.batches(), epochs=2)  # nothing is left to train: the model has the averages again
    assert small_runs.weights(run) == between
    run.fit(small_runs.batches(), epochs=4)
    longer = fit(LEFT[name](), epochs=4, model=normalised())
    assert small_runs.weights(run) == small_runs.weights(longer)
    assert run.history == longer.history
    assert between != small_runs.weights(longer)


@pytest.mark.parametrize("name", LEFT)
def test_a_state_saved_between_two_runs_goes_on_too(tmp_path, name):
    """The file has both the averages, in the model, and the weights that the training goes on from."""
    run = fit(LEFT[name](), epochs=2, model=normalised())
    snapshot.save(run, tmp_path / "state.safetensors")
    other = small_runs.trainer(LEFT[name](), model=normalised())
    other.fit(small_runs.batches(), epochs=4, resume=tmp_path / "state.safetensors")
    longer = fit(LEFT[name](), epochs=4, model=normalised())
    assert small_runs.weights(other) == small_runs.weights(longer)


@pytest.mark.parametrize("name", LEFT)
def test_weights_that_somebody_has_given_the_model_meanwhile_stay(name):
    """The training goes on from what the user has put there."""
    run = fit(LEFT[name](), epochs=2)
    given = {path: np.full_like(array, 0.25) for path, array in run.model.weights().items()}
    for path, param in run.model.named_params():
        param.assign(given[path])
    seen = []
    run.callbacks.append(small_runs.at("on_epoch_start", lambda trainer: seen.append(copied(trainer.model))))
    run.fit(small_runs.batches(), epochs=3)
    assert_close(seen[0], given)


def test_a_resumed_run_takes_its_weights_from_the_file(tmp_path):
    """What an earlier run of the process has kept is forgotten."""
    saver = Checkpoint(tmp_path)
    run = fit(EMA(0.5, at_end=True), saver, epochs=2)
    run.fit(small_runs.batches(), epochs=4, resume="auto")
    assert small_runs.weights(run) == small_runs.weights(fit(EMA(0.5, at_end=True), epochs=4))
