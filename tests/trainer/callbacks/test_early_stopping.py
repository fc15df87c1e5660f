"""EarlyStopping: when it stops, the best weights, metrics that are no numbers, and errors."""

import math

import numpy as np
import pytest
import small_runs

import minitorch
from minitorch.errors import ConfigError, StateError
from minitorch.trainer.callbacks import EarlyStopping


def fit(values, epochs=None, **settings):
    """A run whose metric `given` is the next of `values` in each epoch; returns it, its result and its weights."""
    given, weights = iter(values), []

    def metric(trainer, metrics):
        metrics["given"] = next(given)
        weights.append(small_runs.weights(trainer))

    minitorch.seed(0)
    early = EarlyStopping("given", **settings)
    run = small_runs.trainer(small_runs.at("on_epoch_end", metric, phase=0), early)
    result = run.fit(small_runs.batches(2), epochs=epochs or len(values))
    return run, result, weights


@pytest.mark.parametrize(
    ("values", "settings", "epoch"),
    [
        ([3, 2, 1, 1, 1], {"patience": 2}, 5),
        ([3, 2, 2, 1, 1, 1], {"patience": 2}, 6),
        ([3, 2.9, 2.8, 2.7], {"patience": 2, "min_delta": 0.5}, 3),
        ([1, 2, 3, 3, 2], {"patience": 2, "mode": "max"}, 5),
        ([1, 9, 9, 5, 6], {"patience": 1, "start": 3}, 5),
    ],
)
def test_it_stops_when_patience_is_over(values, settings, epoch):
    """In the epoch that is one too many without anything better."""
    _, result, _ = fit([*values, 0, 0, 0], **settings)
    assert (result.status, result.state.epoch) == ("stopped", epoch)
    assert "given has not been better than" in result.reason


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_a_metric_that_is_no_number_ends_the_run(value):
    """At once, with the value in the reason; unless that is not wanted."""
    _, result, _ = fit([3, 2, value, 1], patience=2)
    assert (result.status, result.state.epoch) == ("stopped", 3)
    assert result.reason == f"given is {value} in epoch 3 (EarlyStopping)"
    _, result, _ = fit([3, 2, math.nan, 1], patience=2, check_finite=False)
    assert result.status == "completed"


def test_nan_is_never_better():
    """A run that begins with NaN takes the first number as its best."""
    run, _, _ = fit([math.nan, 5, math.nan, 4], patience=9, check_finite=False)
    assert (run.callbacks[1].progress.best, run.callbacks[1].progress.waited) == (4, 0)


@pytest.mark.parametrize("patience", [1, 9])
def test_the_best_weights_are_restored(patience):
    """Whether the run was stopped or completed, the model ends with the bytes that its best epoch had."""
    run, result, weights = fit([3, 1, 2, 1.5], patience=patience, restore_best=True)
    assert result.status == ("stopped" if patience == 1 else "completed")
    assert small_runs.weights(run) == weights[1]
    run, _, weights = fit([3, 1, 2, 1.5], patience=patience)
    assert small_runs.weights(run) == weights[-1]


def test_the_best_weights_are_in_the_state():
    """Another one that is given the state restores them, on the device of its model."""
    run, _, weights = fit([3, 1, 2], patience=9, restore_best=True)
    state = run.callbacks[1].state_dict()
    other = EarlyStopping("given", patience=9, restore_best=True)
    other.load_state_dict(state)
    state["weights"]["l0.W"][...] = 0
    fresh = small_runs.trainer()
    fresh.fit(small_runs.batches(2), epochs=1)
    other.on_fit_end(fresh, None)
    assert small_runs.weights(fresh) == weights[1]


def test_states_with_and_without_weights_do_not_fit():
    """A run with `restore_best` is not resumed from one without."""
    with pytest.raises(StateError, match=r"EarlyStopping: missing \(1\): weights"):
        EarlyStopping(restore_best=True).load_state_dict(EarlyStopping().state_dict())
    with pytest.raises(StateError, match=r"EarlyStopping: unexpected \(1\): weights"):
        EarlyStopping().load_state_dict(EarlyStopping(restore_best=True).state_dict())


def test_a_metric_that_is_not_there_is_an_error():
    """The message has a similar name, and those that there are."""
    run = small_runs.trainer(EarlyStopping("val_los"))
    wanted = (
        r"EarlyStopping: no metric is named 'val_los'; did you mean 'val_loss'\? there is loss, val_loss \(those of "
        r"validation need a validation loader\)"
    )
    with pytest.raises(ConfigError, match=wanted):
        run.fit(small_runs.batches(), small_runs.batches(1), epochs=1)
    with pytest.raises(ConfigError, match=r"no metric is named 'xyz'; there is loss \("):
        small_runs.trainer(EarlyStopping("xyz")).fit(small_runs.batches(), epochs=1)


def test_restored_weights_keep_the_arrays():
    """The Parameters hold the arrays that they held before."""
    held = []
    early = EarlyStopping("loss", restore_best=True)
    note = small_runs.at("on_checkpoint", lambda trainer: held.append([p.data for p in trainer.model.params()]))
    run = small_runs.trainer(early, note)
    run.fit(small_runs.batches(), epochs=2)
    assert all(param.data is array for param, array in zip(run.model.params(), held[-1], strict=True))
    assert not any(np.shares_memory(a, b) for a in held[-1] for b in early.state_dict()["weights"].values())
