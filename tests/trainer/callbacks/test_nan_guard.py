"""NaNGuard: numbers that are not finite, planted in every part of a step, and each named rightly."""

import re

import numpy as np
import pytest
import small_runs

import fake_cupy
import minitorch
import minitorch.functions as F
import minitorch.layers as L
from minitorch import Every, Function, Trainer, primitive, serialize
from minitorch.cuda.gemm import computing_mode
from minitorch.errors import NonFiniteError
from minitorch.models import MLP, Model, Sequential
from minitorch.optimizers import SGD, Adam
from minitorch.trainer.callbacks import (
    Checkpoint,
    DevicePlacement,
    GradientAccumulation,
    MixedPrecision,
    MixUp,
    NaNGuard,
)

pytestmark = pytest.mark.filterwarnings("ignore::RuntimeWarning")  # NumPy says of itself that it divides by zero


class Net(Model):
    """Two layers, with a function of one's own between them."""

    def __init__(self, between):
        super().__init__()
        self.first = L.Linear(4)
        self.between = Between(between)
        self.last = L.Linear(3)

    def forward(self, x):
        return self.last(self.between(self.first(x)))


class Between(L.Layer):
    """A function as a layer, which is told how often it was called in training."""

    def __init__(self, function):
        super().__init__()
        self.function = function

    def forward(self, x):
        return self.function(F.tanh(x))


def guarded(folder, *callbacks, model=None, optimizer=None, data=None, epochs=2, log_every=3, last=False, **settings):
    """The error that ends a run with a guard, the first or last of its callbacks, and the guard."""
    minitorch.seed(0)
    guard = NaNGuard(folder)
    run = small_runs.trainer(
        *([*callbacks, guard] if last else [guard, *callbacks]),
        model=model,
        optimizer=optimizer,
        log_every=Every(steps=log_every),
        **settings,
    )
    with pytest.raises(NonFiniteError) as raised:
        run.fit(small_runs.loader(shuffle=False) if data is None else data, epochs=epochs)
    return raised.value, guard, run


def at_step(number, run_of):
    """A function of arrays that does `run_of` in the step of this number, and nothing to its argument before."""

    def between(y):
        return run_of(y) if small_run_step() == number else y

    return between


def small_run_step():
    """The step under way, by the numbering of random draws; those of the first are not numbered."""
    return minitorch.random.get_state().step + 1


# Where it comes from --------------------------------------------------------------------------------------------------


def test_in_the_data(tmp_path):
    """A batch with a NaN is named and saved; the means of the interval are what shows it."""
    x, t = small_runs.samples(20)
    x[12, 3] = np.nan
    data = [(x[i : i + 5], t[i : i + 5]) for i in range(0, 20, 5)]
    error, guard, run = guarded(tmp_path, data=data)
    found = guard.finding
    assert (found.origin.part, found.origin.what, found.step, found.epoch, found.batch) == (
        "batch",
        "batch[0]",
        3,
        1,
        3,
    )
    saved = serialize.load(found.file)
    np.testing.assert_array_equal(saved.arrays["batch[0]"], data[2][0])
    np.testing.assert_array_equal(saved.arrays["batch[1]"], data[2][1])
    assert saved.meta["origin"]["part"] == "batch"
    assert re.fullmatch(
        r"NaNGuard: the first number that is not finite was made in step 3 \(epoch 1, batch 3\): batch\[0\] had it "
        rf"when it came from the loader or the callbacks of phase DATA; the batch: {re.escape(str(found.file))}; the "
        r"last checkpoint: none",
        error.__notes__[-1],
    )
    assert all(np.isfinite(array).all() for array in run.model.weights().values())


@pytest.mark.parametrize(("step", "hook", "known"), [(4, "on_epoch_end", True), (5, "on_batch_end", False)])
def test_in_a_weight(step, hook, known, tmp_path):
    """A weight spoiled between steps is named where it was copied so; else the steps, done again, are all finite."""

    def spoil(trainer, _):
        if trainer.state.step == step:
            trainer.model.l1.b.data[1] = np.inf

    error, guard, _ = guarded(tmp_path, small_runs.at(hook, spoil))
    if known:
        assert (guard.finding.origin.part, guard.finding.origin.what, guard.finding.step) == ("weights", "l1.b", 5)
    else:
        assert guard.finding is None
        assert "or a callback or the program changes the model between steps" in error.__notes__[-1]


def test_in_a_weight_from_the_start(tmp_path):
    """A weight that is not finite when the run begins is named, in its first step."""
    model = MLP((4, 3))
    model(np.zeros((1, 6), np.float32))
    model.l0.W.data[2, 1] = np.nan
    _, guard, _ = guarded(tmp_path, model=model)
    assert (guard.finding.origin.part, guard.finding.origin.what, guard.finding.step) == ("weights", "l0.W", 1)


@pytest.mark.parametrize(
    ("function", "op"),
    [
        (lambda y: F.log(y - 2.0), "log"),
        (lambda y: F.exp(y * 1000.0 + 2000.0) - 1.0, "exp"),
        (lambda y: (y * 0.0) / (y * 0.0), "div"),
    ],
    ids=["log of a negative", "overflow", "0/0"],
)
def test_in_the_forward(function, op, tmp_path):
    """The operation is named that made it of finite numbers, with its layer, and not those that passed it on."""
    error, guard, _ = guarded(tmp_path, model=Net(at_step(5, function)))
    found = guard.finding
    assert (found.origin.part, found.origin.op, found.origin.layer) == ("forward", op, "between (Between)")
    assert (found.step, found.epoch, found.batch) == (5, 2, 1)
    assert re.search(rf"the operation {op}, in layer between \(Between\), made it of finite inputs float32\(5, 4\)",
                     error.__notes__[-1])  # fmt: skip


def test_in_what_is_computed_of_the_batch_alone(tmp_path):
    """Such operations are not recorded, since no gradient is wanted for the batch; they are named all the same."""

    class Spoilt(Net):
        def forward(self, x):
            return super().forward(F.log(x - 3.0) if small_run_step() == 4 else x)

    _, guard, _ = guarded(tmp_path, model=Spoilt(F.relu))
    assert (guard.finding.origin.op, guard.finding.origin.layer, guard.finding.step) == ("log", "Spoilt", 4)


def test_outside_of_all_layers(tmp_path):
    """An operation of the training step itself is in no layer."""

    def loss(y, t):
        return F.softmax_cross_entropy(y, t) + (F.log(y.sum() * 0.0) if small_run_step() == 2 else 0.0)

    error, guard, _ = guarded(tmp_path, loss=loss)
    assert (guard.finding.origin.op, guard.finding.origin.layer, guard.finding.step) == ("log", "", 2)
    assert "the operation log made it of finite inputs float32()" in error.__notes__[-1]


def test_an_infinity_that_is_masked_away_is_not_blamed(tmp_path):
    """Scores of -inf before a softmax are meant; the NaN that comes after is not theirs."""

    def masked(y):
        weights = F.softmax(F.where(np.array([True, True, True, False]), y, -np.inf))
        return F.log(weights[:, :1] - 2.0) + y if small_run_step() == 3 else weights

    _, guard, _ = guarded(tmp_path, model=Net(masked))
    assert (guard.finding.origin.op, guard.finding.step) == ("log", 3)


def test_a_row_that_is_masked_away_as_a_whole(tmp_path):
    """A softmax of nothing but -inf is the operation that made the first NaN."""
    _, guard, _ = guarded(tmp_path, model=Net(lambda y: F.softmax(F.where(y > 5.0, y, -np.inf))))
    assert (guard.finding.origin.part, guard.finding.origin.op) == ("forward", "softmax")


@primitive
def _bad_rule(a):
    return a * 1.0


_bad_rule.defvjp(lambda g, y, a: g * (np.inf if small_run_step() == 4 else 1.0))


class BadRule(Function):
    """The identity, whose gradient is NaN in step 4."""

    def forward(self, x):
        return x * 1.0

    def backward(self, gy):
        return gy * (np.nan if small_run_step() == 4 else 1.0)


@pytest.mark.parametrize(("function", "op"), [(_bad_rule, "_bad_rule"), (BadRule(), "BadRule")])
def test_only_in_the_backward(function, op, tmp_path):
    """The operation is named whose rule made it, though the loss of that step is finite."""
    error, guard, _ = guarded(tmp_path, model=Net(function))
    found = guard.finding
    assert (found.origin.part, found.origin.op, found.origin.layer) == ("backward", op, "between (Between)")
    assert found.step == 4
    assert f"the backward of the operation {op}, in layer between (Between), made it of a finite" in error.__notes__[-1]


def test_in_the_backward_of_the_last_step(tmp_path):
    """Where no loss shows it, the weights at the end of the run do."""
    error, guard, _ = guarded(tmp_path, model=Net(_bad_rule), epochs=1, log_every=100)
    assert (guard.finding.origin.op, guard.finding.step) == ("_bad_rule", 4)
    assert re.match(
        r"after step 4 \(epoch 1\) the weights first\.W are not finite: lower the learning rate", str(error)
    )


def test_in_a_hook(tmp_path):
    """A callback that spoils the gradients is named."""

    def spoil(trainer):
        trainer.model.l1.W.grad.data *= 1.0 if trainer.state.step < 5 else np.inf

    _, guard, _ = guarded(tmp_path, small_runs.at("on_after_backward", spoil))
    origin = guard.finding.origin
    assert (origin.part, origin.what, guard.finding.step) == ("callback", "l1.W", 6)
    assert origin.op


def test_in_an_update(tmp_path):
    """A step that is too large for float32 is named by its optimizer and the first weights."""

    class Overflowing(SGD):
        def update_one(self, param):
            super().update_one(param)
            if self.updates == 4:
                param.data *= np.float32(1e38)
                param.data *= np.float32(1e38)

    error, guard, _ = guarded(tmp_path, optimizer=Overflowing(0.1))
    origin = guard.finding.origin
    assert (origin.part, origin.op, origin.what, guard.finding.step) == ("update", "Overflowing", "l0.W", 5)
    assert "the update by Overflowing made it in l0.W" in error.__notes__[-1]


# With other things ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("step", [1, 2, 6, 7, 8])
def test_whatever_the_step(step, tmp_path):
    """First or last of an epoch, of a log interval, or of the run."""
    for log_every in (1, 3, 100):
        model = Net(at_step(step, lambda y: F.log(y - 2.0)))
        _, guard, _ = guarded(tmp_path / str(log_every), model=model, log_every=log_every)
        assert (guard.finding.step, guard.finding.origin.op) == (step, "log")


def test_random_numbers_and_moments_are_those_of_the_run(tmp_path):
    """With dropout, Adam, mixing and shuffling, the steps are done again to the bit: the batch saved is the one."""
    batches = []

    def spoil(y):
        return F.log(y - 2.0) if small_run_step() == 6 else F.dropout(y, 0.5)

    note = small_runs.at("on_batch_start", lambda trainer, batch: batches.append(batch) or batch, phase=2)
    _, guard, run = guarded(
        tmp_path, MixUp(3), note, model=Net(spoil), optimizer=Adam(), data=small_runs.loader(seed=3), log_every=100
    )
    assert guard.finding.step == 6
    saved = serialize.load(guard.finding.file).arrays
    np.testing.assert_array_equal(saved["batch[0]"], batches[5][0])
    weights = small_runs.weights(run)
    minitorch.seed(0)
    plain = small_runs.trainer(MixUp(3), model=Net(lambda y: F.dropout(y, 0.5)), optimizer=Adam())
    plain.fit(small_runs.loader(seed=3), steps=5)
    assert weights == small_runs.weights(plain)  # the model is left as it was before the step


def test_while_gradients_are_accumulated(tmp_path):
    """The batch is named, of the several of an update."""
    x, t = small_runs.samples(20)
    x[7] = np.inf
    data = [(x[i : i + 5], t[i : i + 5]) for i in range(0, 20, 5)]
    _, guard, _ = guarded(tmp_path, GradientAccumulation(batches=3), data=data)
    assert (guard.finding.step, guard.finding.batch, guard.finding.origin.part) == (1, 2, "batch")


def test_the_last_good_checkpoint_is_left(tmp_path):
    """Nothing of what is not finite is saved, also where only the weights are, and the note names the file."""
    saver = Checkpoint(tmp_path, every=Every(steps=1))
    error, guard, run = guarded(tmp_path, saver, model=Net(_bad_rule), log_every=100)
    assert guard.finding.step == 4
    assert run.checkpoint == saver.files()[-1]
    assert run.checkpoint.stem == "step-00000003"
    assert error.__notes__[-1].endswith(f"the last checkpoint: {run.checkpoint}")
    for array in serialize.load(run.checkpoint).arrays.values():
        assert np.isfinite(array).all()


def test_a_checkpoint_is_not_made_of_weights_that_are_not_finite(tmp_path):
    """Without the guard too."""
    saver = Checkpoint(tmp_path, every=Every(steps=1))
    minitorch.seed(0)
    run = small_runs.trainer(saver, model=Net(_bad_rule))
    with pytest.raises(NonFiniteError, match=r"after step 4 \(epoch 1\) the weights first\.W are not finite"):
        run.fit(small_runs.batches(), epochs=2)
    assert saver.files()[-1].stem == "step-00000003"


def test_after_a_resume(tmp_path):
    """A resumed run looks from where it was resumed."""
    saver = Checkpoint(tmp_path, every=Every(steps=1))
    small_runs.trainer(NaNGuard(tmp_path), saver, model=Net(F.relu)).fit(small_runs.loader(), steps=6)
    run = small_runs.trainer(guard := NaNGuard(tmp_path), saver, model=Net(at_step(7, lambda y: F.log(y - 2.0))))
    with pytest.raises(NonFiniteError):
        run.fit(small_runs.loader(), steps=8, resume="auto")
    assert (guard.finding.step, guard.finding.epoch, guard.finding.batch) == (7, 2, 3)


def test_on_a_device(tmp_path):
    """There a finite run is read once a log interval more, and the origin is found as on the host."""

    def reads(*callbacks):
        with fake_cupy.counting() as counted:
            run = small_runs.trainer(DevicePlacement("cuda"), *callbacks, log_every=Every(steps=2))
            run.fit(small_runs.loader(), epochs=2)
        return counted.to_host

    with fake_cupy.installed():
        assert reads(NaNGuard(tmp_path / "finite")) - reads() <= 4 + 2 + 1  # intervals, epochs, the end
        _, guard, _ = guarded(tmp_path, DevicePlacement("cuda"), model=Net(at_step(5, lambda y: F.log(y - 2.0))))
    assert (guard.finding.step, guard.finding.origin.op) == (5, "log")


def test_other_errors_are_none_of_its_business(tmp_path):
    """It explains NonFiniteError only, and leaves the Trainer as it was."""
    guard = NaNGuard(tmp_path)
    run = small_runs.trainer(guard, small_runs.at("on_batch_end", lambda trainer, _: 1 / 0))
    with pytest.raises(ZeroDivisionError) as raised:
        run.fit(small_runs.batches(), epochs=1)
    assert not getattr(raised.value, "__notes__", [])
    assert guard.finding is None
    assert isinstance(run, Trainer)


def test_layers_in_layers(tmp_path):
    """The innermost layer is named, by its path."""
    inner = Sequential(L.Linear(4), Between(at_step(2, lambda y: F.log(y - 2.0))))
    _, guard, _ = guarded(tmp_path, model=Sequential(inner, L.Linear(3)))
    assert guard.finding.origin.layer == "l0.l1 (Between)"


@pytest.mark.parametrize("last", [False, True])
def test_with_mixed_precision(tmp_path, last):
    """Wherever it is in the list, the steps are done again with its rounding."""
    modes = []

    def between(y):
        modes.append(computing_mode())
        return F.log(y - 2.0) if small_run_step() == 5 else y

    with fake_cupy.installed():
        callbacks = DevicePlacement("cuda"), MixedPrecision("bf16")
        _, guard, _ = guarded(tmp_path, *callbacks, model=Net(between), last=last)
    assert (guard.finding.step, guard.finding.origin.op) == (5, "log")
    assert set(modes) == {"bf16"}
