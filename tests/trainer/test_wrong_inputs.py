"""What a user may get wrong when calling the Trainer: each mistake is named, with its remedy."""

import numpy as np
import pytest
from small_runs import Everything, at, batches, loader, samples, trainer

import fake_cupy
import minitorch.functions as F
from minitorch import Callback, DataLoader, Trainer, no_grad
from minitorch.datasets import ArrayDataset
from minitorch.errors import ConfigError, DataError, DeviceError, DTypeError, GraphError, ShapeError
from minitorch.models import MLP
from minitorch.optimizers import SGD, schedules
from minitorch.trainer.callbacks import DevicePlacement, EarlyStopping


def returning(loss):
    """A Trainer whose `training_step` returns `loss(scores, t)`."""

    class Returning(Trainer):
        def training_step(self, batch):
            return loss(self.model(batch[0]), batch[1])

    return trainer(cls=Returning)


@pytest.mark.parametrize(
    ("loss", "error", "message"),
    [
        (lambda y, t: None, DTypeError, "returned NoneType; return the loss, a Variable of one element"),
        (lambda y, t: 0.5, DTypeError, "returned float; return the loss, a Variable of one element"),
        (lambda y, t: y.data.sum(), DTypeError, "returned float32; return the loss, a Variable of one element"),
        (
            lambda y, t: y,
            ShapeError,
            r"returned float32\(5, 3\); a loss is one number: take its mean\(\) or sum\(\)",
        ),
        (
            lambda y, t: F.accuracy(y, t),
            GraphError,
            "returned a constant; compute the loss from the model's output as Variables, not from their .data, and "
            "outside no_grad",
        ),
        (
            lambda y, t: {"loss": y.mean()},
            DTypeError,
            r"returned dict; return the loss, a Variable of one element, and log what else there is by self\.log\("
            r"name, value\)",
        ),
    ],
)
def test_a_loss_must_be_one_number_that_can_be_differentiated(loss, error, message):
    """Nothing, a number, an array, scores, a constant and a dict are refused as losses."""
    with pytest.raises(error, match=rf"^Returning\.training_step {message}$"):
        returning(loss).fit(batches(), epochs=1)


def test_a_step_that_goes_backward_itself_is_told_that_it_need_not():
    """As in a loop by hand: the second backward fails, with a note."""

    class ByHand(Trainer):
        def training_step(self, batch):
            loss = F.softmax_cross_entropy(self.model(batch[0]), batch[1])
            loss.backward()
            return loss

    with pytest.raises(GraphError, match="the graph was freed by an earlier backward") as info:
        trainer(cls=ByHand).fit(batches(), epochs=1)
    assert info.value.__notes__ == [
        "the Trainer goes backward from what training_step returns: leave out backward() there"
    ]


def test_a_loss_of_one_element_in_any_shape_is_accepted():
    """A loss of shape (1,) is one number."""
    history = returning(lambda y, t: F.softmax_cross_entropy(y, t).reshape(1)).fit(batches(), epochs=2).history
    assert history[1]["loss"] < history[0]["loss"]


def test_a_loss_that_does_not_depend_on_the_model_is_found_at_the_first_step():
    """Where no Parameter gets a gradient, the update says so."""

    class Aside(Trainer):
        def training_step(self, batch):
            return (self.weight * batch[0]).mean()

    run = trainer(cls=Aside)
    run.weight = MLP((1,)).l0.b
    with pytest.raises(GraphError, match=r"no Parameter of MLP\(.*\) has a gradient"):
        run.fit(batches(), epochs=1)


def test_a_model_of_which_nothing_is_trained():
    """All is frozen: said as that, and not as a loss that was computed wrongly."""
    run = trainer()
    for param in run.model.params():
        param.requires_grad = False
    with pytest.raises(GraphError) as info:
        run.fit(batches(), epochs=1)
    assert str(info.value) == "Trainer: no Parameter of MLP((4, 3)) is trained; set requires_grad of some"


def test_fit_under_no_grad_is_found_at_the_first_step():
    """A forgotten `no_grad` around `fit` is named."""
    with no_grad(), pytest.raises(GraphError, match=r"returned a constant; .* outside no_grad$"):
        trainer().fit(batches(), epochs=1)


def test_a_trainer_without_loss_and_training_step_says_so():
    """What is to be learned must come from somewhere."""
    with pytest.raises(
        ConfigError, match=r"^Trainer has no training_step and no loss; override training_step, or give"
    ):
        Trainer(MLP((3,)), SGD(), callbacks=[]).fit(batches(), epochs=1)


def test_fit_without_an_optimizer_says_so():
    """A Trainer made for evaluation does not train."""
    run = Trainer(MLP((3,)), loss=F.softmax_cross_entropy, callbacks=[])
    with pytest.raises(ConfigError, match=r"^fit: the Trainer has no optimizer; give one, such as optimizers\.SGD"):
        run.fit(batches(), epochs=1)
    assert "loss" in run.evaluate(batches())


def test_several_optimizers_are_named():
    """A list of them, as elsewhere, does not say what each of them updates."""
    with pytest.raises(
        ConfigError,
        match=r"^Trainer: optimizer is a list of 2; name them after the parts of the model that they update",
    ):
        Trainer(MLP((3,)), [SGD(), SGD()])


@pytest.mark.parametrize("optimizer", [SGD, "sgd", MLP((3,))])
def test_an_optimizer_that_is_none_is_refused(optimizer):
    """A class, a name, or a model in the wrong place."""
    with pytest.raises(ConfigError, match=r"^Trainer: optimizer is .*; give an instance, such as optimizers\.SGD"):
        Trainer(MLP((3,)), optimizer)


def test_an_optimizer_of_another_model_is_refused():
    """One that is set up for a model of the same kind would update that, and the Trainer's never."""
    other = MLP((3,))
    with pytest.raises(
        ConfigError,
        match=r"^Trainer: SGD is set up for MLP\(.*\), which has no Parameter of this MLP; give an optimizer that is "
        r"not set up, or call setup\(\.\.\.\) with this model$",
    ):
        Trainer(MLP((3,)), SGD().setup(other))
    assert Trainer(other, SGD().setup(other)).optimizer is not None


# Data ----------------------------------------------------------------------------------------------------------------


def test_an_empty_data_set_is_refused_by_the_loader():
    """There is nothing to train on."""
    with pytest.raises(DataError, match=r"^DataLoader: the data set \(ArrayDataset\) is empty; it has no sample$"):
        DataLoader(ArrayDataset(np.zeros((0, 6), np.float32)), 5)


@pytest.mark.parametrize("size", [0, -1, 2.5])
def test_a_batch_size_that_is_none_is_refused_by_the_loader(size):
    """A batch has at least one sample."""
    with pytest.raises(ConfigError, match=r"^DataLoader: batch_size is .*; it must be an integer of at least 1$"):
        loader(batch_size=size)


EMPTY = r"give data, in something that can be iterated anew for each pass \(a list or a DataLoader, not a generator\)$"


def test_a_loader_without_batches_is_an_error():
    """An empty list trains nothing, and that is said."""
    with pytest.raises(DataError, match=rf"^the loader \(list\) gave no batch in epoch 1; {EMPTY}"):
        trainer().fit([], epochs=1)


def test_a_generator_lasts_for_one_epoch():
    """One epoch of a generator is fine; more are refused before the first step, where they are known to come."""
    assert trainer().fit((batch for batch in batches()), epochs=1).status == "completed"
    run, notes = trainer(notes := Everything()), notes
    for loaders in ([(b for b in batches())], [batches(), map(tuple, batches())]):
        with pytest.raises(
            DataError, match=r"^a (generator|map) lasts for one pass, and 2 epochs are asked for; give so"
        ):
            run.fit(*loaders, epochs=2)
    assert notes.hooks == []
    with pytest.raises(DataError, match=rf"^the loader \(generator\) gave no batch in epoch 2; {EMPTY}"):
        trainer().fit((batch for batch in batches()), steps=6)


def test_a_validation_loader_without_batches_is_an_error():
    """A generator for validation is exhausted after the first time; metrics do not vanish in silence."""
    with pytest.raises(DataError, match=rf"^the loader \(generator\) gave no batch; {EMPTY}"):
        trainer().fit(batches(), (batch for batch in batches()), steps=8)
    for entry in (trainer().evaluate, trainer().predict):
        with pytest.raises(DataError, match=rf"^the loader \(list\) gave no batch; {EMPTY}"):
            entry([])


def test_a_data_set_in_the_place_of_a_loader_gets_the_remedy():
    """`fit(MNIST())` forgets the loader."""
    data = ArrayDataset(*samples())
    remedy = r"^ArrayDataset gives samples one by one; wrap it: DataLoader\(ArrayDataset\(\.\.\.\), batch_size\)$"
    for entry in (lambda: trainer().fit(data, epochs=1), lambda: trainer().evaluate(data)):
        with pytest.raises(ConfigError, match=remedy):
            entry()


def test_arrays_in_the_place_of_a_loader_get_the_remedy():
    """Arrays, as other frameworks take them, are no batches: not their rows either."""
    x, t = samples()
    remedy = (
        r"^an array of shape \(20, 6\) is no loader; give DataLoader\(ArrayDataset\(x, t\), batch_size\), or a list"
    )
    for entry in (lambda: trainer().fit(x, t, epochs=1), lambda: trainer().evaluate(x), lambda: trainer().predict(x)):
        with pytest.raises(ConfigError, match=remedy):
            entry()


@pytest.mark.parametrize("end", [{}, {"epochs": 1}])
def test_a_number_in_the_place_of_validation_data_gets_the_remedy(end):
    """`fit(loader, 5)` forgets that epochs are named."""
    with pytest.raises(ConfigError, match=r"^fit: validation is 5; did you mean epochs=5\?$"):
        trainer().fit(batches(), 5, **end)


@pytest.mark.parametrize(
    ("of", "what"),
    [
        (lambda x, t: x, "ndarray"),
        (lambda x, t: {"x": x, "t": t}, "dict of 2"),
        (lambda x, t: (x, t, t), "tuple of 3"),
    ],
)
def test_a_batch_that_is_no_pair_needs_a_training_step(of, what):
    """The default `training_step` says what it takes, and what to write for other batches."""
    with pytest.raises(
        ConfigError,
        match=rf"^a batch is {what}; without a training_step of your own it must be a pair \(x, t\): override",
    ):
        trainer().fit([of(*batches()[0])], epochs=1)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"loss": "mse"}, r"loss is 'mse'; give loss\(y, t\), such as F\.softmax_cross_entropy"),
        (
            {"metrics": ["accuracy"]},
            r"metrics is \['accuracy'\]; give them by name: metrics=\{\"accuracy\": F\.accuracy\}",
        ),
    ],
)
def test_a_loss_and_metrics_are_functions_and_metrics_have_names(given, message):
    """Names of functions, and metrics without a name, are refused as soon as the Trainer is made."""
    with pytest.raises(ConfigError, match=rf"^Trainer: {message}$"):
        Trainer(MLP((8, 3)), SGD(), **given)


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (MLP, r"the class MLP; give an instance: MLP\(\.\.\.\)"),
        ("mlp", r"'mlp'; give an instance of a Model, such as MLP\(\(1000, 10\)\)"),
    ],
)
def test_what_is_no_model_is_refused(model, message):
    """A class, and anything else that is no layer."""
    with pytest.raises(ConfigError, match=rf"^Trainer: model is {message}$"):
        Trainer(model, SGD(), loss=F.softmax_cross_entropy)


def test_the_name_loss_is_taken():
    """A metric or a logged value of that name would be mixed with the loss that `training_step` returns."""

    class Logging(Trainer):
        def training_step(self, batch):
            loss = F.softmax_cross_entropy(self.model(batch[0]), batch[1])
            self.log("loss", loss)
            return loss

    with pytest.raises(
        ConfigError, match=r"^Trainer: a metric is named 'loss', as the loss itself is; give it another"
    ):
        trainer(metrics={"loss": F.accuracy})
    with pytest.raises(
        ConfigError, match=r"^log: 'loss' is the mean of what training_step returns, and logged without"
    ):
        trainer(cls=Logging).fit(batches(), epochs=1)


def test_fit_inside_of_fit_is_refused():
    """A hook that calls `fit` of the same Trainer would mix two runs; afterwards the Trainer is free again."""
    inner = at("on_epoch_end", lambda trainer, metrics: trainer.fit(batches(), epochs=5))
    run = trainer(inner)
    with pytest.raises(
        ConfigError, match=r"^fit: this Trainer is under way already; for a run inside of its hooks make"
    ):
        run.fit(batches(), epochs=1)
    assert run.stage == "idle"


def test_one_callback_is_not_given_twice():
    """The same object twice would count everything twice; two of a class are two."""
    stopping = EarlyStopping("loss")
    with pytest.raises(
        ConfigError, match=r"^Trainer: one and the same EarlyStopping\(.*\) is twice among the callbacks"
    ):
        trainer(stopping, stopping)
    trainer(stopping, EarlyStopping("loss"))


def test_arguments_of_other_frameworks_are_answered_with_those_there_are():
    """`max_epochs=` and the like, given to the Trainer or to `fit`."""
    with pytest.raises(
        TypeError,
        match=r"^Trainer takes no argument 'max_epochs'; give fit\(\.\.\., epochs=\.\.\.\); it "
        r"takes model, optimizer, loss, metrics, "
        r"callbacks, log_every, validate_every$",
    ):
        Trainer(MLP((8, 3)), SGD(), max_epochs=5)
    with pytest.raises(
        TypeError,
        match=r"^Trainer\.fit takes no argument 'validation_data'; give validation; it takes train_loader, validation, "
        r"epochs, steps, seconds, resume, limits$",
    ):
        trainer().fit(batches(), validation_data=batches(), epochs=1)


def test_epochs_by_position_are_answered_with_their_name():
    """`fit(loader, validation, 5)` means one of several ends."""
    with pytest.raises(
        TypeError,
        match=r"^Trainer\.fit takes train_loader, validation by position, and then 5 was given; name it: epochs"
        r"=\.\.\., steps=\.\.\., seconds=\.\.\., resume=\.\.\., limits=\.\.\.$",
    ):
        trainer().fit(batches(), batches(), 5)


@pytest.mark.parametrize(
    ("resume", "message"),
    [
        ("last", r"^fit: resume is 'last'; give \"auto\" for the newest$"),
        (
            "best",
            r"^fit: resume is 'best'; give the path of one of Checkpoint\(\.\.\., monitor=\.\.\.\)\.best_files\(\)$",
        ),
        (
            ".",
            r"^fit: resume is '\.', a folder; give the path of a checkpoint in it, or \"auto\" for the newest",
        ),
    ],
)
def test_other_words_for_auto_get_the_remedy(resume, message):
    """`last`, `best`, or the folder of a run."""
    with pytest.raises(ConfigError, match=message):
        trainer().fit(batches(), epochs=1, resume=resume)


def test_what_is_no_callback_but_nearly():
    """A schedule, several in a dict, and a phase that is none."""
    schedule = schedules.Step(3)
    with pytest.raises(ConfigError, match=r"^Trainer: Step\(.*\) is no Callback; give LRSchedule\(Step\(.*\)\)$"):
        trainer(schedule)
    with pytest.raises(
        ConfigError, match=r"^Trainer: callbacks is \{.*\}; give a list of instances of subclasses of Ca"
    ):
        Trainer(MLP((3,)), callbacks={"stop": EarlyStopping("loss")})
    last = type("Last", (Callback,), {"phase": "LOG"})()
    with pytest.raises(
        ConfigError, match=r"^Trainer: phase of .* is 'LOG'; it must be one of Phase\.DEVICE, .*Phase\.LOG"
    ):
        trainer(last)


def test_a_trainer_whose_init_was_forgotten_says_what_is_missing():
    """Without `super().__init__` the first use names it; with it other attributes are plain errors."""

    class Mine(Trainer):
        def __init__(self):
            self.model = MLP((8, 3))

    remedy = r"begin its __init__ with super\(\)\.__init__\(model, optimizer, \.\.\.\)$"
    with pytest.raises(AttributeError, match=rf"^'Mine' object has no attribute 'stage'; {remedy}"):
        Mine().fit(batches(), epochs=1)
    with pytest.raises(AttributeError, match=r"^'Trainer' object has no attribute 'nothing'$"):
        Trainer(MLP((8, 3)), SGD()).nothing({})


def test_a_batch_without_an_array_is_refused():
    """Samples are counted by the first array of a batch; where there is none, the message says so."""
    with pytest.raises(ConfigError, match=r"^a batch of type tuple has no array to count its samples by; make it an"):
        trainer().fit([("a", "b")], epochs=1)


# Callbacks -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["cuda", "cuda:0"])
def test_a_gpu_asked_for_where_there_is_none_is_an_error(name):
    """A GPU asked for by name is there, or it is an error as soon as the callback is made; "auto" takes the host."""
    with fake_cupy.installed(devices=0):
        with pytest.raises(
            DeviceError, match=rf"^Device: '{name}' was asked for, but CuPy is installed but finds no CU"
        ):
            DevicePlacement(name)
        assert str(DevicePlacement("auto").device) == "cpu"


def test_a_device_of_another_name_is_refused():
    """`DevicePlacement("gpu")` lists the names that there are."""
    with pytest.raises(ConfigError, match=r"^Device: got 'gpu'; a device is named 'cpu', 'cuda', 'cuda:N' or 'auto'$"):
        DevicePlacement("gpu")


def test_a_metric_to_monitor_must_exist():
    """EarlyStopping on a metric that nobody computes lists those that there are."""
    with pytest.raises(
        ConfigError,
        match=r"^EarlyStopping: no metric is named 'score'; there is loss \(those of validation need a validation loa",
    ):
        trainer(EarlyStopping("score")).fit(batches(), epochs=1)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"patience": 0}, "patience is 0; it must be an int of at least 1"),
        ({"patience": 2.5}, r"patience is 2\.5; it must be an int of at least 1"),
        ({"min_delta": -0.1}, r"min_delta is -0\.1; it must be a float of at least 0"),
        ({"min_delta": "0"}, "min_delta is '0'; it must be a float of at least 0"),
        ({"mode": "up"}, "mode is 'up'; it must be 'min' or 'max'"),
    ],
)
def test_settings_of_a_callback_are_checked_when_it_is_made(settings, message):
    """A wrong setting is an error of minitorch, with its rule, before anything runs."""
    with pytest.raises(ConfigError, match=rf"^EarlyStopping: {message}$"):
        EarlyStopping(**settings)


def test_a_subclass_whose_step_fails_raises_its_own_error():
    """What user code raises comes out as it is."""

    class Broken(Trainer):
        def training_step(self, batch):
            raise KeyError("mine")

    with pytest.raises(KeyError, match="mine"):
        trainer(cls=Broken).fit(batches(), epochs=1)
