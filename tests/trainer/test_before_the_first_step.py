"""What is known to fail is said by `fit` before anything runs or is written: watched metrics, and loaders."""

import re
from pathlib import Path

import numpy as np
import pytest
from small_runs import at, batches, loader, samples, trainer

import minitorch.functions as F
from minitorch import Callback, Every, Trainer
from minitorch.errors import ConfigError, DataError
from minitorch.models import MLP
from minitorch.trainer import Limits
from minitorch.trainer.callbacks import (
    Checkpoint,
    ConsoleLogger,
    EarlyStopping,
    GradientClipping,
    LRSchedule,
    ReduceLROnPlateau,
)

WATCHING = {
    "EarlyStopping": lambda folder, **given: EarlyStopping(**given),
    "ReduceLROnPlateau": lambda folder, **given: ReduceLROnPlateau(**given),
    "Checkpoint": lambda folder, **given: Checkpoint(folder, **given),
}


def refused(run, message, *loaders, **settings):
    """Assert that `fit` fails with the message, and that nothing had begun."""
    begun = []
    run.callbacks.append(at("on_fit_start", begun.append))
    with pytest.raises(ConfigError) as info:
        run.fit(*(loaders or (batches(),)), **({"epochs": 2} | settings))
    assert re.search(message, str(info.value))
    assert begun == []
    assert (run.stage, run.state.samples) == ("idle", 0)
    run.callbacks.pop()


# Watched metrics -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", WATCHING)
def test_a_metric_of_validation_without_validation_data(tmp_path, name):
    """Callback, metric, rule and remedy are named, whatever the user's own code may log; no folder is made."""
    folder = tmp_path / "run"

    class Own(Trainer):
        def training_step(self, batch):
            return F.softmax_cross_entropy(self.model(batch[0]), batch[1])

    refused(
        trainer(WATCHING[name](folder, monitor="val_accuracy", mode="max"), metrics={"accuracy": F.accuracy}),
        rf"^{name}: monitor is 'val_accuracy', and fit was given no validation data; metrics named val_... are those "
        r"of validation: give fit\(train_loader, validation, ...\), or monitor='accuracy', which is one of training$",
    )
    refused(
        trainer(WATCHING[name](folder, monitor="val_loss"), cls=Own),
        rf"^{name}: monitor is 'val_loss', .* or monitor='loss'",
    )
    assert not folder.exists()


@pytest.mark.parametrize("metric", ["accuracy", "val_accuracy", "val_acc", "val_macro_F1", "val_noisy_recall"])
@pytest.mark.parametrize("name", WATCHING)
def test_a_metric_that_gets_better_as_it_grows(tmp_path, name, metric):
    """Without a mode, the worst epoch would be taken for the best: it must be said which is meant."""
    with pytest.raises(ConfigError) as info:
        WATCHING[name](tmp_path, monitor=metric)
    assert str(info.value) == (
        f"{name}: monitor is {metric!r}, and mode is not given, which is 'min': the smaller the better; give "
        "mode='max', or say mode='min' where that is meant"
    )
    for mode in ("min", "max"):
        assert WATCHING[name](tmp_path, monitor=metric, mode=mode).mode == mode
    assert WATCHING[name](tmp_path, monitor="val_loss").mode == "min"


@pytest.mark.parametrize("name", WATCHING)
def test_a_metric_that_nobody_logs(tmp_path, name):
    """Where loss and metrics are given to the Trainer all names are known; a close one is suggested."""
    known = "there is loss, accuracy, val_loss, val_accuracy"
    run = trainer(WATCHING[name](tmp_path, monitor="val_acuracy"), metrics={"accuracy": F.accuracy})
    refused(run, rf"^{name}: no metric is named 'val_acuracy'; did you mean 'val_accuracy'\? {known}", *[batches()] * 2)
    refused(trainer(WATCHING[name](tmp_path, monitor=3)), rf"^{name}: monitor is 3; give the name of a metric")


def test_metrics_of_several_validation_loaders_carry_their_names():
    """`val_loss` is none of them."""
    two = {"clean": batches(1), "noisy": batches(1)}
    refused(
        trainer(EarlyStopping()), r"no metric is named 'val_loss'; .*val_clean_loss, val_noisy_loss", batches(), two
    )
    trainer(EarlyStopping("val_noisy_loss")).fit(batches(), two, epochs=1)


def test_what_callbacks_add_may_be_watched():
    """The learning rate and the norm of the gradients are known, and so is what a callback of the user says it logs."""

    class Score(Callback):
        logs = ("score",)

        def on_epoch_end(self, trainer, metrics):
            metrics["score"] = 1.0

    for watched, other in (
        ("lr", LRSchedule(lambda n: 1.0)),
        ("grad_norm", GradientClipping(norm=1.0)),
        ("score", Score()),
    ):
        trainer(other, EarlyStopping(watched)).fit(batches(), epochs=1)
        refused(trainer(other, EarlyStopping(watched + "s")), rf"did you mean '{watched}'\?")


@pytest.mark.parametrize("cls", [Trainer, None])
def test_what_the_users_code_may_log_is_waited_for(cls):
    """A hook or a step of one's own that may log other names: they are looked for at the end of the first epoch."""

    class Own(Trainer):
        def training_step(self, batch):
            self.log("score", 1.0)
            return F.softmax_cross_entropy(self.model(batch[0]), batch[1])

    add = at("on_epoch_end", lambda run, metrics: metrics.setdefault("score", 1.0))
    run = trainer(add, EarlyStopping("score")) if cls else trainer(EarlyStopping("score"), cls=Own)
    run.fit(batches(), epochs=1)
    run.callbacks[-1].monitor = "scores"
    with pytest.raises(ConfigError, match=r"no metric is named 'scores'; did you mean 'score'\?"):
        run.fit(batches(), epochs=2)
    assert run.state.epoch == 2


def test_a_hook_that_cannot_log_hides_nothing():
    """A callback of one's own that only starts something leaves the names known."""
    refused(trainer(at("on_fit_start", print), EarlyStopping("los")), "did you mean 'loss'")


def test_epochs_without_a_validation_are_not_looked_at():
    """With `validate_every` of several epochs, patience counts validated ones; the learning rate waits as well."""
    scores = iter([1.0, 2.0, 2.0, 9.0])
    worse = at("on_validation_end", lambda run, metrics: metrics.update(val_loss=next(scores)))
    result = trainer(worse, EarlyStopping(patience=2), validate_every=Every(epochs=2)).fit(
        batches(1), batches(1), epochs=9
    )
    assert (result.state.epoch, result.status) == (6, "stopped")
    scores = iter([1.0, 2.0, 2.0, 9.0])
    plateau = ReduceLROnPlateau(factor=0.5, patience=2)
    result = trainer(worse, plateau, validate_every=Every(epochs=2)).fit(batches(1), batches(1), epochs=8)
    assert [metrics["lr"] for metrics in result.history] == [0.1] * 6 + [0.05] * 2


def test_a_trial_of_a_few_batches_has_its_own_validation():
    """`overfit_batches` validates on what it trains on, so that `val_loss` is there."""
    trainer(EarlyStopping()).fit(batches(), epochs=1, limits=Limits(overfit_batches=1))


# Loaders -------------------------------------------------------------------------------------------------------------


class TorchLike:
    """A data set as other frameworks have it: indexed, and no `__iter__`."""

    def __init__(self):
        self.x, self.t = samples()

    def __len__(self):
        return len(self.x)

    def __getitem__(self, index):
        return self.x[index], int(self.t[index])


X, T = samples()


def make_batches():
    yield from batches()


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (
            (X, T),
            r"^a tuple of arrays of shapes \(20, 6\) and \(20,\) is no loader; give DataLoader\(ArrayDataset\(x, t",
        ),
        (
            [X, T],
            r"^a list of arrays of shapes \(20, 6\) and \(20,\) is no loader; .* or \[\(x, t\)\] for one batch of all",
        ),
        (TorchLike(), r"^TorchLike gives samples one by one; wrap it: DataLoader\(TorchLike\(\.\.\.\), batch_size\)$"),
        ({"x": X, "t": T}, r"^a dict of 'x', 't' is no loader of batches; give DataLoader\(ArrayDataset"),
        (
            make_batches,
            r"is no loader of batches; give a DataLoader, or a list of batches; it can be called: make_batches",
        ),
        ([loader(), loader()], r"^a list of loaders is no loader; several for validation are named, as their metrics"),
        ("data.npz", r"^'data\.npz' is no loader of batches; give a DataLoader, or a list of batches$"),
        (Path("data"), r"^PosixPath\('data'\) is no loader of batches"),
        (None, r"^None is no loader of batches"),
    ],
)
def test_what_is_no_loader_is_refused_with_the_way_to_wrap_it(given, message):
    """Data as other frameworks take them, in the place of the training loader and of a validation loader."""
    refused(trainer(), message, given)
    if not isinstance(given, dict) and given is not None:  # which are several loaders by name, and none
        refused(trainer(), message, batches(), given)
    refused(trainer(), message, batches(), {"some": given})


def test_a_validation_loader_that_is_empty():
    """Said beforehand where its length is known."""
    begun = []
    with pytest.raises(DataError, match=r"^the loader \(list\) gave no batch; give data"):
        trainer(at("on_fit_start", begun.append)).fit(batches(), [], epochs=1)
    assert begun == []


def test_a_model_that_was_exchanged_needs_its_optimizer():
    """After `trainer.model = ...` the optimizer would go on with the old one, and nothing would be learned."""
    run = trainer()
    run.fit(batches(), epochs=1)
    run.model = MLP((4, 3))
    with pytest.raises(
        ConfigError, match=r"^Trainer: SGD is set up for MLP\(.*\), which has no Parameter of this MLP;"
    ):
        run.fit(batches(), epochs=2)
    run.optimizer.setup(run.model)
    assert run.fit(batches(), epochs=2).state.epoch == 2


def test_lists_of_batches_without_labels_are_loaders():
    """Two arrays alike are two batches, for a step that takes them."""

    class Own(Trainer):
        def training_step(self, batch):
            return F.mean_squared_error(self.model(batch), np.zeros((len(batch), 3), np.float32))

    assert trainer(cls=Own).fit([X, X], epochs=1).state.step == 2


@pytest.mark.parametrize("wrap", [list, lambda pairs: (pair for pair in pairs)])
def test_samples_in_the_place_of_batches(wrap):
    """A list or a generator of samples: the first shows it, where the default step is asked to take it."""
    with pytest.raises(
        ConfigError,
        match=r"^a batch is a pair of float32\(6,\) and the number (np\.int64\()?\d\)?, as one sample is; give batches "
        r"of samples: DataLoader\(samples, batch_size\)$",
    ):
        trainer().fit(wrap(list(zip(X, T, strict=True))), epochs=1)


def test_tensors_of_torch_say_how_to_become_arrays():
    """A loader of another framework gives its own kind of arrays."""
    tensor = type("Tensor", (), {"__module__": "torch"})()
    with pytest.raises(
        ConfigError, match=r"has no array to count its samples by; .*; its Tensors are arrays by \.numpy"
    ):
        trainer().fit([(tensor, tensor)], epochs=1)


def test_a_loader_that_is_indexed_by_batch_is_one():
    """Keras's `Sequence`: no `__iter__`, and its items are batches."""

    class Sequence:
        def __len__(self):
            return 4

        def __getitem__(self, index):
            return batches()[index]

    assert trainer(ConsoleLogger()).fit(Sequence(), loader(), epochs=2).state.step == 8
