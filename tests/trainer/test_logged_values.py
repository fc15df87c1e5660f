"""`log` and `read`: values stay where they are until a log interval ends, and means are weighted and exact."""

import numpy as np
import pytest
from small_runs import at, batches, trainer

import fake_cupy
import minitorch.functions as F
from minitorch import Every, Trainer, Variable
from minitorch.cuda import CapturedStep
from minitorch.errors import ConfigError, DeviceError, DTypeError, NonFiniteError
from minitorch.trainer.callbacks import Checkpoint
from minitorch.trainer.metrics import RunningMeans


def logging(value):
    """A Trainer that logs `value` in each step as "v"."""

    class Logging(Trainer):
        def training_step(self, batch):
            self.log("v", value() if callable(value) else value)
            return F.softmax_cross_entropy(self.model(batch[0]), batch[1])

    return trainer(cls=Logging)


@pytest.mark.parametrize(
    "value",
    [0.001, 7, True, np.float32(0.25), np.int64(-3), np.array(0.1), np.array([2.5], np.float16), np.array([[4]])],
)
def test_one_number_of_any_kind_can_be_logged(value):
    """Numbers of Python and NumPy and arrays of one element come out as they are, without rounding."""
    assert logging(value).fit(batches(), epochs=1).metrics["v"] == float(np.asarray(value).item())


def test_a_variable_can_be_logged(device):
    """The value of a Variable is logged, wherever it is."""
    result = logging(lambda: Variable(device.put(np.float32([[1.5]])))).fit(batches(), epochs=1)
    assert result.metrics["v"] == 1.5


@pytest.mark.parametrize(
    ("value", "shape"),
    [
        (np.zeros(3), r"ndarray of shape \(3,\)"),
        (np.zeros(0), r"ndarray of shape \(0,\)"),
        ("high", "str of shape None"),
    ],
)
def test_what_is_no_single_number_is_refused(value, shape):
    """An array of several elements, an empty one or a text cannot be logged; the message names the value."""
    with pytest.raises(DTypeError, match=rf"^log: 'v' is {shape}; log one number: take its mean\(\)$"):
        logging(value).fit(batches(), epochs=1)


@pytest.mark.parametrize("hook", ["on_fit_start", "on_epoch_start", "on_validation_end", "on_epoch_end", "on_fit_end"])
def test_logging_outside_a_batch_is_refused(hook):
    """Between batches there are no samples to weigh a value by; the message says what to do instead."""
    run = trainer(at(hook, lambda trainer, *given: trainer.log("v", 1.0)))
    remedy = "on_validation_end and on_epoch_end may add to the metrics that they are given$"
    with pytest.raises(ConfigError, match=rf"^log: no batch is under way to log 'v' for; {remedy}"):
        run.fit(batches(), batches(1), epochs=1)


def test_a_value_on_the_host_is_logged_as_it_is_now():
    """What happens to a logged array afterwards is not seen in the mean."""
    value = np.zeros(1)

    def count():
        value[0] += 1
        return value

    assert logging(count).fit(batches(4), epochs=1).metrics["v"] == 2.5


def test_means_are_weighted_by_samples():
    """3 samples of 1 and 1 sample of 5 have the mean 2."""
    means = RunningMeans()
    for size, value in ((3, 1.0), (1, 5.0)):
        means.size = size
        means.add("v", value)
    assert means.so_far() == {"v": 2.0}


def test_reading_more_often_changes_no_bit(device):
    """The mean of an epoch is the same whether it was read at every step or once."""
    rng = np.random.default_rng(0)
    values = rng.standard_normal(50).astype(np.float32) * 1e3
    results = []
    for often in (False, True):
        means = RunningMeans()
        for i, value in enumerate(values):
            means.size = 1 + i % 7
            means.add("v", device.put(value))
            if often:
                means.so_far()
        results.append(means.end_epoch()["v"])
    assert results[0] == results[1]


def test_values_of_several_dtypes_are_read_in_one_transfer():
    """Floats, integers and truth values on a device are fetched together, and counted as one read."""
    with fake_cupy.installed() as cupy:
        means = RunningMeans()
        means.size = 1
        means.add("float", cupy.array(np.float32(0.1)))
        means.add("half", cupy.array(np.float16(0.1)))
        means.add("integer", cupy.array(np.int64(123456789)))
        means.add("truth", cupy.array([True]))
        with fake_cupy.counting() as traffic:
            read = means.so_far()
            again = means.so_far(), means.state_dict()["interval"]["half"], means.end_interval()
        assert (traffic.to_host, traffic.synchronisations, means.host_reads) == (1, 1, 1)
    assert again == (read, [float(np.float16(0.1)), 1.0], read)
    assert read == {"float": float(np.float32(0.1)), "half": float(np.float16(0.1)), "integer": 123456789, "truth": 1}


def test_a_mean_has_the_bits_of_the_host(device):
    """Sums of a device are those of float64 on the host, in order; also where they are saved, restored, and moved."""
    rng = np.random.default_rng(0)
    values = [rng.standard_normal(40).astype(np.float32) * 1e3 for _ in range(40)]
    means, on_host = RunningMeans(), RunningMeans()
    for i, row in enumerate(values):
        means.size = on_host.size = 1 + i % 7
        for j, value in enumerate(row):  # more names than there are columns at first
            means.add(f"v{j}", device.put(value) if i else value)  # at first on the host, as before a model is moved
            on_host.add(f"v{j}", value)
        if i == 20:
            state, means = means.state_dict(), RunningMeans()
            means.load_state_dict(state)
            means.size = on_host.size
        if i == 30:
            assert means.end_interval() == on_host.end_interval()
    assert means.end_interval() == on_host.end_interval()
    assert means.end_interval() == {}
    assert means.end_epoch() == on_host.end_epoch()
    means.add("v0", 0.1)
    assert means.so_far() == {"v0": 0.1}


def test_many_values_are_added_by_one_launch():
    """Logging launches nothing for a while, and then once for many; nothing is moved before it is read."""
    with fake_cupy.installed() as cupy:
        means = RunningMeans()
        means.size = 2
        value = cupy.array(np.float32(1))
        with fake_cupy.no_transfers():
            for _ in range(33):
                means.add("v", value)
            means.flush()
        assert fake_cupy.machine.launches == ["add_values"] * 2
        assert means.so_far() == {"v": 1.0}


def test_a_captured_value_is_added_by_each_replay():
    """What a captured step logs counts when it is replayed; a number of the host cannot be captured."""
    with fake_cupy.installed() as cupy:
        means, value = RunningMeans(), cupy.array(np.float32(0))
        means.size = 5

        def work():
            nonlocal value
            value += 1
            means.add("v", value)
            means.flush()

        step = CapturedStep(work)
        step.warm_up()
        means.end_interval()
        with means.captured() as logged:
            step.capture()
        for _ in range(3):
            step.launch()
            means.replayed(logged)
        assert means.end_interval() == {"v": 4.0}
        assert means.end_epoch() == {"v": (1 + 2 + 3 + 4 + 5) / 5}
        with means.captured(), pytest.raises(DeviceError, match=r"^the step logs 'lr', a number of the host, which a"):
            means.add("lr", 0.1)


def test_the_loss_comes_first_and_the_rest_as_logged():
    """The order of metrics is that of the table: the loss, then what the step logs."""

    class Two(Trainer):
        def training_step(self, batch):
            self.log("b", 1.0)
            self.log("a", 1.0)
            return F.softmax_cross_entropy(self.model(batch[0]), batch[1])

    assert list(trainer(cls=Two).fit(batches(), epochs=1).metrics) == ["loss", "b", "a"]


def test_read_gives_the_mean_of_the_epoch_so_far():
    """`read` in the middle of an epoch is the mean over the samples so far, across log intervals."""
    losses, read = [], []

    def look(trainer, outputs):
        losses.append(float(outputs.loss))
        read.append(trainer.read("loss"))

    trainer(at("on_batch_end", look), log_every=Every(steps=2)).fit(batches(4), epochs=1)
    assert read == pytest.approx([np.mean(losses[: i + 1]) for i in range(3)] + [np.mean(losses)])


def test_read_of_an_unknown_name_lists_the_known_ones():
    """A misspelt name is answered with those that there are."""
    run = trainer()
    with pytest.raises(
        ConfigError, match=r"^read: .* as 'loss' in the epoch under way; there is nothing yet; the metrics of"
    ):
        run.read("loss")
    run = trainer(at("on_batch_end", lambda trainer, outputs: trainer.read("los")))
    with pytest.raises(ConfigError, match=r"^read: nothing is logged as 'los' in the epoch under way; there is loss$"):
        run.fit(batches(), epochs=1)


# NaN -----------------------------------------------------------------------------------------------------------------


class Diverging(Trainer):
    """Its loss is NaN from the third step on."""

    def training_step(self, batch):
        loss = F.softmax_cross_entropy(self.model(batch[0]), batch[1])
        return loss * (float("nan") if self.state.step >= 2 else 1.0)


MESSAGE = "is nan: lower the learning rate, clip gradients .* NaNGuard finds .*; "


def test_a_loss_that_is_nan_ends_the_run_at_the_log_interval():
    """The mean over the interval shows it, and the message says where and what to do."""
    run = trainer(cls=Diverging, log_every=Every(steps=4))
    with pytest.raises(
        NonFiniteError, match=rf"^the mean loss up to step 4 \(epoch 0\) {MESSAGE}there is no checkpoint$"
    ):
        run.fit(batches(10), epochs=1)


@pytest.mark.parametrize("end", [{"epochs": 1}, {"steps": 3}])
def test_a_loss_that_is_nan_does_not_count_as_completed(end):
    """A run that ends before the log interval does is looked at too."""
    with pytest.raises(NonFiniteError, match=rf"{MESSAGE}there is no checkpoint$"):
        trainer(cls=Diverging, log_every=Every(steps=1000)).fit(batches(), **end)


def test_nothing_is_saved_once_the_loss_is_nan(tmp_path):
    """The newest checkpoint is of before, however rarely losses are read."""
    run = trainer(Checkpoint(tmp_path, every=Every(steps=1)), cls=Diverging, log_every=Every(steps=1000))
    with pytest.raises(
        NonFiniteError, match=rf"^the mean loss up to step 3 \(epoch 0\) {MESSAGE}the last checkpoint is from before$"
    ):
        run.fit(batches(10), epochs=1)
    assert [file.stem for file in run.callbacks[0].files()] == ["step-00000001", "step-00000002"]


def test_a_metric_that_is_nan_is_no_error():
    """Only the loss must be finite."""
    metrics = logging(float("nan")).fit(batches(), epochs=1).metrics
    assert np.isnan(metrics["v"])
    assert np.isfinite(metrics["loss"])
