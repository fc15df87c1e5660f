"""Freeze and Unfreeze: what is trained in which epoch, what the optimizer remembers, resume, and errors."""

import numpy as np
import pytest
import resumed_runs
import small_runs

import minitorch
import minitorch.functions as F
import minitorch.layers as L
from minitorch.errors import ConfigError
from minitorch.models import Sequential
from minitorch.optimizers import Adam
from minitorch.trainer.callbacks import Freeze, Unfreeze


def changes(*callbacks, epochs=4, model=None, optimizer=None):
    """For each epoch the paths of the weights that it changed; and the run."""
    minitorch.seed(0)
    seen = []
    note = small_runs.at("on_batch_end", lambda trainer, _: seen.append(small_runs.weights(trainer)))
    run = small_runs.trainer(*callbacks, note, model=model, optimizer=optimizer)
    run.fit(small_runs.batches(2), epochs=epochs)
    pairs = [(seen[2 * epoch], seen[2 * epoch + 1]) for epoch in range(epochs)]  # of its second step
    return [[path for path in before if before[path] != after[path]] for before, after in pairs], run


ALL = ["l0.W", "l0.b", "l1.W", "l1.b"]


@pytest.mark.parametrize(
    ("callbacks", "wanted"),
    [
        ([Freeze("l0.*")], [ALL[2:]] * 4),
        ([Freeze("l0.*", epoch=2)], [ALL, ALL, ALL[2:], ALL[2:]]),
        ([Unfreeze("*.b", epoch=3)], [["l0.W", "l1.W"]] * 3 + [ALL]),
        ([Freeze("l0.*"), Unfreeze("l0.*", epoch=2)], [ALL[2:], ALL[2:], ALL, ALL]),
        ([Unfreeze("l0.*", epoch=2), Freeze("l0.*")], [ALL[2:], ALL[2:], ALL, ALL]),
        ([Unfreeze("l0.*", epoch=1), Freeze("l0.*", epoch=3)], [ALL[2:], ALL, ALL, ALL[2:]]),
        ([Freeze("l0.*"), Unfreeze("l0.W", epoch=1)], [ALL[2:], ["l0.W", *ALL[2:]], ["l0.W", *ALL[2:]]]),
    ],
    ids=str,
)
def test_the_epoch_decides_what_is_trained(callbacks, wanted):
    """In every order of the list, each epoch changes just the Parameters that are not frozen in it."""
    assert changes(*callbacks, epochs=len(wanted))[0] == wanted


def test_a_frozen_parameter_costs_nothing_and_keeps_its_moments():
    """It has no gradient, and what the optimizer remembers of it stays to the bit, until it is trained again."""
    moments, grads = [], []

    def note(trainer):
        grads.append(trainer.model.l0.W.grad)
        moments.append({name: np.copy(value) for name, value in trainer.optimizer.state["l0.W"].items()})

    changes(Freeze("l0.*", epoch=1), Unfreeze("l0.*", epoch=3), small_runs.at("on_checkpoint", note), optimizer=Adam())
    assert [g is None for g in grads] == [False] * 2 + [True] * 4 + [False] * 2
    assert all(np.array_equal(moments[1][name], moments[5][name]) for name in moments[1])
    assert moments[7]["t"] == 4


def test_running_averages_are_not_unfrozen():
    """What never was trained, such as the running averages of batch norm, is no matter of these."""
    model = Sequential(L.Linear(4), L.BatchNorm(), F.relu, L.Linear(3))
    changed, _ = changes(Unfreeze("l1.*", epoch=1), model=model, epochs=2)
    assert not model.l1.avg_mean.requires_grad
    assert model.l1.gamma.requires_grad
    assert [path for path in changed[0] if "l1" in path] == ["l1.avg_mean", "l1.avg_var"]


def test_layers_frozen_by_hand_may_be_unfrozen():
    """A Parameter that was made to be trained can be trained again, whoever froze it."""
    model = Sequential(L.Linear(4), F.relu, L.Linear(3))
    for param in model.l0.params():
        param.requires_grad = False
    changed, _ = changes(Unfreeze("l0.*", epoch=1), model=model, epochs=2)
    assert changed == [["l2.W", "l2.b"], ["l0.W", "l0.b", "l2.W", "l2.b"]]


@pytest.mark.parametrize("break_at", [2, 4, 6, 8, 10])
def test_a_resumed_run_has_the_same_frozen(break_at, tmp_path):
    """Broken off in any epoch and resumed, it ends as one that went through."""

    def callbacks():
        return [Freeze("l0.*", epoch=1), Unfreeze("l0.*", epoch=2)]

    whole = resumed_runs.fit(tmp_path / "whole", callbacks)
    resumed_runs.fit(tmp_path / "broken", callbacks, break_at=break_at)
    resumed = resumed_runs.fit(tmp_path / "broken", callbacks)
    assert small_runs.weights(resumed) == small_runs.weights(whole)
    assert resumed.history == whole.history


def test_an_unknown_pattern_is_an_error():
    """The message names similar paths, and all there are."""
    wanted = (
        r"Freeze: the pattern 'l0\.w' matches no Parameter that is trained \(is it l0\.b or l0\.W or l1\.b\?\); the "
        r"paths are l0\.W, l0\.b, l1\.W, l1\.b"
    )
    with pytest.raises(ConfigError, match=wanted):
        changes(Freeze("l0.w"))
    model = Sequential(L.BatchNorm(), L.Linear(3))
    with pytest.raises(ConfigError, match=r"Unfreeze: the pattern 'l0\.avg_\*' matches no Parameter that is trained"):
        changes(Unfreeze("l0.avg_*"), model=model)
    with pytest.raises(ConfigError, match=r"Unfreeze: epoch is -1; it must be an int of at least 0"):
        Unfreeze("l0.*", epoch=-1)
