"""`Limits`: fewer batches of training and of validation, the same few again and again, or one of each."""

import numpy as np
import pytest
from small_runs import Everything, at, batches, loader, trainer, weights

import minitorch
from minitorch import Every
from minitorch.errors import ConfigError
from minitorch.trainer import Limits, Phase
from minitorch.trainer.callbacks import Checkpoint, GradientAccumulation, JSONLLogger


def seen_by(run):
    """A list that fills with the first numbers of the batches that `run` trains on."""
    seen = []
    run.callbacks.append(at("on_batch_start", lambda run, batch: seen.append(float(batch[0][0, 0])) or batch))
    return seen


def test_an_epoch_of_so_many_batches():
    """An epoch ends, with its hooks and its metrics, after `train_batches`, or earlier if there are no more."""
    for limit, count in ((2, 2), (4, 4), (9, 4)):
        notes = Everything()
        result = trainer(notes).fit(batches(4), epochs=3, limits=Limits(train_batches=limit))
        assert (result.state.epoch, result.state.step, result.state.batch) == (3, 3 * count, 0)
        assert notes.hooks.count("on_epoch_end") == 3


def test_a_limited_epoch_ends_an_update():
    """The last batch of a limited epoch completes an update, as that of any epoch."""
    result = trainer(GradientAccumulation(2)).fit(batches(4), epochs=2, limits=Limits(train_batches=3))
    assert (result.state.step, result.state.waiting) == (4, 0)


def test_a_limited_run_goes_on_where_it_was():
    """Stopped within a limited epoch and fitted on, it ends where it would have at once."""
    results = []
    for ends in ([4], [1, 4]):
        minitorch.seed(0)
        run = trainer()
        for steps in ends:
            run.fit(loader(seed=1), steps=steps, limits=Limits(train_batches=3))
        results.append((run.history, weights(run), run.state.batch))
    assert results[0] == results[1]
    assert results[0][2] == 1


def test_a_limit_before_where_a_run_stands_is_refused():
    """A run that has done three batches of its epoch cannot go on with epochs of two."""
    run = trainer()
    run.fit(batches(4), steps=3)
    with pytest.raises(
        ConfigError, match=r"has done 3 batches of epoch 1, and Limits\(train_batches=2\) ends an epoch"
    ):
        run.fit(batches(4), steps=9, limits=Limits(train_batches=2))


def test_each_validation_loader_is_limited():
    """`validation_batches` counts in each loader; `evaluate` is not limited."""
    run = trainer()
    data = batches(3, seed=9)
    result = run.fit(batches(1), {"a": data, "b": data[1:]}, epochs=1, limits=Limits(validation_batches=1))
    assert result.metrics["val_a_loss"] == run.evaluate(data[:1])["loss"]
    assert result.metrics["val_b_loss"] == run.evaluate(data[1:2])["loss"]
    assert run.evaluate(data)["loss"] != result.metrics["val_a_loss"]


def test_nothing_beyond_a_limit_is_loaded():
    """Batches that are not used are not made."""

    class Counting:
        def __iter__(self):
            for batch in batches(4):
                made.append(1)
                yield batch

    made = []
    trainer().fit(Counting(), Counting(), epochs=2, limits=Limits(train_batches=2, validation_batches=1))
    assert len(made) == 2 * (2 + 1)


def test_overfitting_repeats_the_same_batches():
    """In every epoch the first batches of epoch 0 come in the same order, though the loader shuffles."""
    run = trainer()
    seen = seen_by(run)
    result = run.fit(loader(seed=5), epochs=3, limits=Limits(overfit_batches=2))
    first = [float(x[0, 0]) for x, _ in loader(seed=5).iterate(0)]
    assert seen == first[:2] * 3
    assert len(set(first)) == 4
    assert result.state.step == 6


def test_overfitting_validates_on_the_same_batches():
    """The validation is over what is learnt by heart, whatever loader is given for it."""
    run = trainer()
    result = run.fit(loader(seed=5), batches(3, seed=9), epochs=1, limits=Limits(overfit_batches=2))
    assert result.metrics["val_loss"] == run.evaluate(list(loader(seed=5).iterate(0))[:2])["loss"]


def test_one_batch_is_learnt_by_heart():
    """What it is for: the loss of one batch goes towards zero."""
    result = trainer().fit(loader(), epochs=200, limits=Limits(overfit_batches=1))
    assert result.metrics["val_loss"] < result.history[0]["val_loss"] / 3


def test_a_fast_run_does_one_batch_of_everything():
    """One update, one batch of each validation loader, all hooks; epochs and steps that are given count for nothing."""
    notes = Everything()
    run = trainer(notes, validate_every=Every(steps=1000))
    validation = {"a": batches(3), "b": batches(3)}
    result = run.fit(batches(4), validation, epochs=7, limits=Limits(fast_dev_run=True))
    assert notes.hooks == [
        "on_fit_start", "on_epoch_start", "on_batch_start", "on_after_backward", "on_after_update", "on_batch_end",
        "on_validation_start", "on_validation_end", "on_epoch_end", "on_checkpoint", "on_fit_end",
    ]  # fmt: skip
    assert (result.status, result.state.step, result.state.epoch) == ("completed", 1, 1)
    assert list(result.metrics) == ["loss", "val_a_loss", "val_b_loss"]


def test_a_fast_run_after_another_does_one_batch_too():
    """A Trainer that has trained already does one epoch of one batch more."""
    run = trainer()
    run.fit(batches(4), epochs=2)
    assert run.fit(batches(4), limits=Limits(fast_dev_run=True)).state.step == 9


def test_a_fast_run_leaves_the_files_of_a_run_alone(tmp_path):
    """Callbacks that leave files do not run, and what was asked to be resumed is not."""
    trainer(JSONLLogger(tmp_path), Checkpoint(tmp_path)).fit(batches(4), epochs=1)
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    late = Everything()
    late.phase = Phase.LOG
    run = trainer(JSONLLogger(tmp_path), Checkpoint(tmp_path), late)
    result = run.fit(batches(4), epochs=1, resume="auto", limits=Limits(fast_dev_run=True))
    assert (result.state.step, result.checkpoint, late.heard) == (1, None, [])
    assert {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()} == before


def test_the_length_of_an_epoch_is_known():
    """`batches_per_epoch` is what an epoch of the run has, limited or not; None where the loader cannot tell."""
    found = []
    run = trainer(at("on_fit_start", lambda run: found.append(run.batches_per_epoch)))
    assert run.batches_per_epoch is None
    for limits in (Limits(), Limits(train_batches=3), Limits(train_batches=9), Limits(overfit_batches=2)):
        run.fit(batches(4), steps=1, limits=limits)
    run.fit(type("Endless", (), {"__iter__": lambda self: iter(batches(4))})(), steps=1)
    assert found == [4, 3, 4, 2, None]


def test_explain_says_that_a_run_is_limited():
    """Nobody takes a trial for the real thing."""
    run = trainer()
    run.fit(batches(4), steps=1, limits=Limits(train_batches=3))
    assert "the newest run:\n  limited: Limits(train_batches=3, " in run.explain()
    run.fit(batches(4), steps=2)
    assert "limited" not in run.explain()


@pytest.mark.parametrize("name", ["train_batches", "validation_batches", "overfit_batches"])
@pytest.mark.parametrize("wrong", [0, -1, 1.0, 0.5, True, "3", np.int64(3)])
def test_a_limit_is_a_positive_int(name, wrong):
    """A share of the data as a float is refused: a number means one thing."""
    with pytest.raises(ConfigError, match=rf"Limits: {name} is .*; it must be an int of at least 1"):
        Limits(**{name: wrong})


@pytest.mark.parametrize(
    ("limits", "message"),
    [
        ({"overfit_batches": 1, "train_batches": 2}, "overfit_batches already says .* leave out train_batches"),
        ({"fast_dev_run": True, "validation_batches": 2}, "fast_dev_run already says .* leave out validation_batches"),
        ({"fast_dev_run": True, "overfit_batches": 2}, "overfit_batches already says .* leave out fast_dev_run"),
    ],
)
def test_limits_that_exclude_each_other_are_refused(limits, message):
    """It says which to leave out."""
    with pytest.raises(ConfigError, match=f"Limits: {message}"):
        Limits(**limits)


def test_limits_are_not_a_number():
    """`fit(limits=10)` gets the remedy."""
    with pytest.raises(ConfigError, match=r"fit: limits is 10; give Limits\(train_batches=\.\.\.\)"):
        trainer().fit(batches(), epochs=1, limits=10)
