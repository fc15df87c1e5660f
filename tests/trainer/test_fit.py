"""`fit`: what it counts, when it ends, what it returns, and how a Trainer is made, with a subclass or without."""

from itertools import pairwise

import attrs
import numpy as np
import pytest
from small_runs import at, batches, loader, samples, trainer, weights

import minitorch
import minitorch.functions as F
from minitorch import Every, Layer, Trainer, Variable
from minitorch.layers import Linear
from minitorch.models import MLP, Model
from minitorch.optimizers import SGD
from minitorch.trainer import TrainState
from minitorch.trainer.callbacks import ConsoleLogger, DevicePlacement, EpochTimer, ProgressBar, default_callbacks

# Counters ------------------------------------------------------------------------------------------------------------


def counters(state):
    """Epoch, batch, step and samples."""
    return attrs.astuple(state)[:4]


def test_counters_as_callbacks_see_them():
    """At each hook: epochs finished, batches done in this epoch, updates done, samples seen."""
    seen = []
    look = {
        hook: at(hook, lambda trainer, *given, hook=hook: seen.append((hook, *counters(trainer.state))) or given[0])
        for hook in ("on_batch_start", "on_batch_end", "on_epoch_end")
    }
    trainer(*look.values()).fit([*batches(1, size=5), *batches(1, size=2)], epochs=2)
    assert seen == [
        ("on_batch_start", 0, 0, 0, 0),
        ("on_batch_end", 0, 1, 1, 5),
        ("on_batch_start", 0, 1, 1, 5),
        ("on_batch_end", 1, 0, 2, 7),  # the epoch is finished with its last batch
        ("on_epoch_end", 1, 0, 2, 7),
        ("on_batch_start", 1, 0, 2, 7),
        ("on_batch_end", 1, 1, 3, 12),
        ("on_batch_start", 1, 1, 3, 12),
        ("on_batch_end", 2, 0, 4, 14),
        ("on_epoch_end", 2, 0, 4, 14),
    ]


def test_elapsed_grows():
    """`elapsed` is measured, never goes back, and is carried on by the next `fit`."""
    seen = []
    run = trainer(at("on_batch_end", lambda trainer, outputs: seen.append(trainer.state.elapsed)))
    run.fit(batches(), epochs=1)
    run.fit(batches(), epochs=2)
    assert seen == sorted(seen)
    assert seen[0] > 0


def test_the_state_takes_no_other_counter():
    """A misspelt counter is an error: the state has slots."""
    with pytest.raises(AttributeError):
        TrainState().steps = 1


def test_the_result_keeps_its_counters():
    """A result is of its run: training on does not change it."""
    run = trainer()
    first = run.fit(batches(), epochs=1)
    run.fit(batches(), epochs=2)
    assert (first.state.epoch, len(first.history)) == (1, 1)


# The end -------------------------------------------------------------------------------------------------------------


def test_fit_for_steps_ends_in_the_middle_of_an_epoch_and_goes_on_there():
    """Three steps and then five in all are the same as five at once."""
    parts, whole = trainer(), trainer()
    result = parts.fit(loader(seed=0), steps=3)
    assert (result.status, result.reason) == ("completed", "3 steps done")
    assert counters(result.state) == (0, 3, 3, 15)
    parts.fit(loader(seed=0), steps=5)
    minitorch.seed(0)
    whole.fit(loader(seed=0), steps=5)
    assert counters(parts.state) == counters(whole.state) == (1, 1, 5, 25)
    assert parts.history == whole.history


def test_fit_in_parts_equals_fit_at_once():
    """Weights, history and means do not depend on where a run was interrupted."""
    results = []
    for ends in ([3, 5, 8], [8]):
        minitorch.seed(0)
        run = trainer()
        for steps in ends:
            run.fit(loader(), steps=steps)
        results.append((weights(run), run.history, run.means.state_dict()))
    assert results[0] == results[1]


def test_a_run_that_is_complete_already_trains_no_more():
    """`fit(epochs=1)` after one epoch begins and ends without a step, and says why."""
    run = trainer()
    run.fit(batches(), epochs=1)
    before = weights(run)
    result = run.fit(batches(), epochs=1)
    assert (result.status, result.reason) == ("completed", "1 epoch done already: nothing was left to train")
    assert weights(run) == before


def test_the_metrics_of_a_run_without_a_finished_epoch_are_those_so_far():
    """`fit(steps=2)` tells its mean loss, although no epoch ended."""
    losses = []
    run = trainer(at("on_batch_end", lambda trainer, outputs: losses.append(float(outputs.loss))))
    result = run.fit(batches(4), steps=2)
    assert result.history == []
    assert result.metrics == {"loss": pytest.approx(sum(losses) / 2)}


def test_the_metrics_of_a_result_are_those_of_the_last_finished_epoch():
    """With finished epochs, the result has the metrics of the last of them."""
    result = trainer().fit(batches(4), steps=6)
    assert result.metrics == result.history[0]
    assert len(result.history) == 1


# Random numbers ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("in_size", [None, 6])
def test_models_trained_one_after_another_start_from_other_weights(in_size):
    """In one process and without a new seed, no model begins as an earlier one did, lazily sized or not."""
    starts = []
    for _ in range(3):
        model = Linear(3, in_size=in_size)
        model(batches(1)[0][0])
        starts.append(model.W.data.tobytes())
        trainer(model=model).fit(batches(), epochs=1)
        lazy = Linear(3)
        first = at("on_after_backward", lambda run: starts.append(run.model.W.data.tobytes()))
        trainer(first, model=lazy).fit(batches(1), steps=1)
    assert len(set(starts)) == 6


def test_each_step_has_dropout_masks_of_its_own():
    """No two steps of a run zero the same elements; what is drawn otherwise in some step changes no mask of another."""

    class Masks(Trainer):
        def training_step(self, batch):
            masks.append(F.dropout(np.ones(64, np.float32)).data.tobytes())
            return F.softmax_cross_entropy(self.model(batch[0]), batch[1])

    def draw(trainer, *given):
        minitorch.random.bits("other", 8)

    both = []
    for more in ([], [at("on_after_backward", draw), at("on_batch_end", draw), at("on_epoch_start", draw)]):
        minitorch.seed(0)
        masks = []
        trainer(*more, cls=Masks, model=MLP((3,))).fit(batches(4), epochs=2)
        both.append(masks)
    assert len(set(both[0])) == 8
    assert both[0][1:] == both[1][1:]  # the first step goes on with what was drawn before it


# Averages ------------------------------------------------------------------------------------------------------------


def test_a_short_last_batch_counts_for_its_samples():
    """The mean over an epoch, training or validation, is that over all samples, not over batches."""
    x, _ = samples(12)

    class First(Trainer):
        def training_step(self, batch):
            self.log("first", Variable(batch[0][:, 0]).mean())
            return F.softmax_cross_entropy(self.model(batch[0]), batch[1])

    short = loader(n=12, batch_size=5, shuffle=False)
    result = trainer(cls=First).fit(short, short, epochs=1)
    expected = float(x[:, 0].mean(dtype=np.float64))
    assert result.metrics["first"] == pytest.approx(expected, rel=1e-6)
    assert result.metrics["val_first"] == pytest.approx(expected, rel=1e-6)
    assert expected != pytest.approx(np.mean([x[:5, 0].mean(), x[5:10, 0].mean(), x[10:, 0].mean()]), rel=1e-2)


def test_evaluate_is_independent_of_the_batch_size():
    """Loss and accuracy over a data set are the same in batches of 1, 5 or 12."""
    run = trainer(metrics={"accuracy": F.accuracy})
    results = [run.evaluate(loader(n=12, batch_size=size)) for size in (1, 5, 12)]
    for result in results:
        assert result == pytest.approx(results[0], rel=1e-5)


# Validation, evaluate, predict ---------------------------------------------------------------------------------------


def test_several_validation_loaders_by_name():
    """Each loader's metrics carry its name."""
    result = trainer().fit(batches(), {"near": batches(1), "far": batches(1, seed=9)}, epochs=1)
    assert list(result.metrics) == ["loss", "val_near_loss", "val_far_loss"]
    assert result.metrics["val_near_loss"] != result.metrics["val_far_loss"]


def test_validation_every_so_many_steps():
    """With `validate_every=Every(steps=3)` the epoch has the newest validation in it."""
    validated = []
    run = trainer(
        at("on_validation_end", lambda trainer, metrics: validated.append((trainer.state.step, metrics["val_loss"]))),
        validate_every=Every(steps=3),
    )
    result = run.fit(batches(5), batches(1, seed=9), epochs=2)
    assert [step for step, _ in validated] == [3, 6, 9]
    assert [metrics["val_loss"] for metrics in result.history] == [validated[0][1], validated[2][1]]


def test_an_epoch_without_validation_has_no_validation_metrics():
    """Old numbers are not repeated for an epoch in which nothing was validated."""
    result = trainer(validate_every=Every(epochs=2)).fit(batches(), batches(1), epochs=3)
    assert ["val_loss" in metrics for metrics in result.history] == [False, True, False]


def test_evaluate_equals_validation():
    """`evaluate` gives what validation at the end of the run gave, without the prefix."""
    run = trainer(metrics={"accuracy": F.accuracy})
    result = run.fit(batches(), batches(2, seed=9), epochs=1)
    assert run.evaluate(batches(2, seed=9)) == {
        "loss": result.metrics["val_loss"],
        "accuracy": result.metrics["val_accuracy"],
    }


def test_a_validation_step_that_returns_nothing_has_no_loss():
    """`validation_step` may log what it likes and return None."""

    class NoLoss(Trainer):
        def validation_step(self, batch):
            self.log("seen", 1.0)

    assert trainer(cls=NoLoss).evaluate(batches()) == {"seen": 1.0}


def test_predict_joins_outputs_in_the_order_of_the_loader():
    """Row i of the prediction is of sample i, across batches."""
    run = trainer()
    x, _ = samples(12)
    whole = run.predict([(x,)])
    assert whole.shape == (12, 3)
    for data in ([x[:5], x[5:10], x[10:]], loader(n=12, batch_size=5, shuffle=False)):
        np.testing.assert_allclose(run.predict(data), whole, rtol=1e-5)


def test_predict_warns_of_a_loader_that_shuffles():
    """As loaders do unless told otherwise: row i would be of any sample."""
    with pytest.warns(UserWarning, match="shuffles") as told:
        assert trainer().predict(loader(n=12)).shape == (12, 3)
    assert [str(warning.message) for warning in told] == [
        "predict: DataLoader shuffles, so the outputs are not in the order of the data set; make it with shuffle=False"
    ]


def test_predict_joins_tuples_item_by_item():
    """A `predict_step` with two outputs gives two arrays."""

    class Two(Trainer):
        def predict_step(self, batch):
            y = self.model(batch[0])
            return y, y.data.argmax(axis=1)

    y, classes = trainer(cls=Two).predict(batches(3))
    assert isinstance(y, np.ndarray)
    assert (y.argmax(axis=1) == classes).all()
    assert classes.shape == (15,)


def test_predict_and_evaluate_leave_the_training_alone():
    """What a step of theirs logs, counts or computes does not reach the means, counters or gradients of the run."""
    run = trainer(metrics={"accuracy": F.accuracy})
    run.fit(batches(4), steps=2)
    before = run.means.state_dict(), counters(run.state), weights(run)
    run.evaluate(batches(3))
    run.predict(batches(3))
    assert (run.means.state_dict(), counters(run.state), weights(run)) == before


# Making a Trainer ----------------------------------------------------------------------------------------------------


def test_without_a_subclass_loss_and_metrics_are_given():
    """`loss=` and `metrics=` do what a `training_step` would."""

    class Mine(Trainer):
        def training_step(self, batch):
            x, t = batch
            y = self.model(x)
            self.log("accuracy", F.accuracy(y, t))
            return F.softmax_cross_entropy(y, t)

    runs = []
    for made in (
        lambda: trainer(cls=Mine),
        lambda: trainer(loss=F.softmax_cross_entropy, metrics={"accuracy": F.accuracy}),
    ):
        minitorch.seed(0)
        run = made()
        runs.append((run.fit(batches(), batches(1), epochs=2).history, weights(run)))
    assert runs[0] == runs[1]


def test_an_overridden_optimizer_step_is_used():
    """`optimizer_step` decides about the update: here, every second one is left out."""

    class Lazy(Trainer):
        def optimizer_step(self):
            if self.state.step % 2:
                super().optimizer_step()

    changed = []
    run = trainer(
        at("on_batch_end", lambda trainer, outputs: changed.append(weights(trainer))),
        cls=Lazy,
        loss=F.softmax_cross_entropy,
    )
    run.fit(batches(4), epochs=1)
    assert [a != b for a, b in pairwise(changed)] == [True, False, True]
    assert run.state.step == 4


def test_batches_may_be_dicts():
    """A dict of arrays is a batch; its samples are those of its first array."""

    class OfDicts(Trainer):
        def training_step(self, batch):
            return F.softmax_cross_entropy(self.model(batch["image"]), batch["label"])

        def predict_step(self, batch):
            return self.model(batch["image"])

    data = [{"image": x, "label": t} for x, t in batches(3)]
    run = trainer(cls=OfDicts)
    assert run.fit(data, data, epochs=1).state.samples == 15
    assert run.predict(data).shape == (15, 3)


def test_shared_parameters_get_the_sum_of_their_gradients():
    """A layer used twice is updated once, by both gradients."""

    class Twice(Model):
        def __init__(self):
            super().__init__()
            self.inner = Linear(6, in_size=6)
            self.again = self.inner
            self.out = Linear(3, in_size=6)

        def forward(self, x):
            return self.out(self.again(F.tanh(self.inner(x))))

    (batch,) = batches(1)
    by_trainer, by_hand = Twice(), Twice()
    by_hand.load_state_dict(by_trainer.state_dict())
    trainer(model=by_trainer, optimizer=SGD(0.5)).fit([batch], steps=1)
    F.softmax_cross_entropy(by_hand(batch[0]), batch[1]).backward()
    for param in by_hand.params():
        param.data -= np.float32(0.5) * param.grad.data
    assert len(list(by_trainer.params())) == 4
    for trained, expected in zip(by_trainer.params(), by_hand.params(), strict=True):
        np.testing.assert_allclose(trained.data, expected.data, rtol=1e-6)


def test_an_optimizer_that_is_set_up_stays_so():
    """An optimizer that was set up for a part of the model trains that part alone."""
    model = MLP((4, 3))
    model(batches()[0][0])
    before = model.l0.W.data.copy()
    Trainer(model, SGD(0.1).setup(model.l1), loss=F.softmax_cross_entropy, callbacks=[]).fit(batches(), epochs=1)
    assert (model.l0.W.data == before).all()


def test_a_layer_is_a_model():
    """Any Layer can be trained."""
    layer = Linear(3)
    assert isinstance(layer, Layer)
    history = trainer(model=layer, optimizer=SGD(0.5)).fit(batches(), epochs=9).history
    assert history[-1]["loss"] < history[0]["loss"] / 2


def test_default_callbacks_are_ordinary_ones():
    """A Trainer that is given none runs placement, timing, a progress bar and rows; each can be left out."""
    classes = [DevicePlacement, EpochTimer, ProgressBar, ConsoleLogger]
    assert [type(callback) for callback in Trainer(MLP((3,))).callbacks] == classes
    assert [type(callback) for callback in default_callbacks()] == classes
    assert Trainer(MLP((3,)), callbacks=[]).callbacks == []


def test_a_run_with_default_callbacks_prints_its_rows(capsys):
    """Without any setting, an epoch gets its row and the run its end."""
    Trainer(MLP((4, 3)), SGD(0.1), loss=F.softmax_cross_entropy).fit(batches(), epochs=2)
    printed = capsys.readouterr()
    assert [line.split()[0] for line in printed.out.splitlines()] == ["epoch", "1", "2", "completed:"]
    assert printed.err == ""


@pytest.mark.parametrize("optimizer", [SGD(0.0), {"l0": SGD(0.0)}, {"l0": SGD(0.0), "l1": SGD(0.0)}])
def test_each_step_begins_without_gradients(optimizer):
    """The same batch gives the same gradients twice, also of Parameters that no optimizer has."""
    seen = []

    def look(run):
        seen.append([param.grad.data.copy() for param in run.model.params()])

    (batch,) = batches(1)
    trainer(at("on_after_backward", look), optimizer=optimizer).fit([batch, batch, batch], epochs=1)
    for gradients in seen[1:]:
        for first, later in zip(seen[0], gradients, strict=True):
            np.testing.assert_array_equal(first, later)


def test_evaluate_takes_several_loaders_by_name_and_a_limit():
    """A dict gives the metrics of each loader under its name; with a limit, over its first batches."""
    run = trainer()
    near, far = batches(3), batches(3, seed=9)
    assert run.evaluate({"near": near, "far": far}) == {
        "near_loss": run.evaluate(near)["loss"],
        "far_loss": run.evaluate(far)["loss"],
    }
    assert run.evaluate(far, limit=2) == run.evaluate(far[:2])
