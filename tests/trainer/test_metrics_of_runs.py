"""Metrics in a Trainer, next to plain functions: exact over epochs and intervals, on the device, and resumed."""

import numpy as np
import pytest
from small_runs import at, batches, loader, samples, trainer

import fake_cupy
import minitorch
import minitorch.functions as F
from minitorch import DataLoader, Every, Trainer
from minitorch.datasets import ArrayDataset
from minitorch.errors import ConfigError
from minitorch.metrics import F1, Accuracy, ConfusionMatrix, TopK
from minitorch.optimizers import SGD
from minitorch.trainer.callbacks import Checkpoint, DevicePlacement


def metrics():
    """Two that are no means of batches, one that is, and a function."""
    return {"top2": TopK(2), "f1": F1("macro"), "accuracy": Accuracy(), "plain": F.accuracy}


def still(**settings):
    """A Trainer whose weights do not change, so that a metric of an epoch can be computed afterwards."""
    return trainer(optimizer=SGD(0.0), metrics=metrics(), **settings)


def test_metrics_are_exact_under_unequal_batches(device):
    """The F1 score of an epoch, of training or validation, is that of all samples at once, no mean over batches."""
    run = still()
    run.callbacks.append(DevicePlacement("cpu" if device.name == "cpu" else "cuda"))
    data = loader(n=23, batch_size=10, shuffle=False)
    result = run.fit(data, data, epochs=1)
    x, t = samples(23)
    y = run.predict([(x, t)])
    parts = [float(F1("macro")(y[i : i + 10], t[i : i + 10])) * len(y[i : i + 10]) / 23 for i in (0, 10, 20)]
    for name, metric in metrics().items():
        expected = float(metric(y, t))
        assert result.metrics[name] == pytest.approx(expected, rel=1e-6), name
        assert result.metrics[f"val_{name}"] == pytest.approx(expected, rel=1e-6), name
    assert result.metrics["f1"] != pytest.approx(sum(parts), rel=1e-3)
    assert list(result.metrics)[:5] == ["loss", "top2", "f1", "accuracy", "plain"]


def test_log_intervals_have_their_own():
    """The value of an interval is over its samples, and `read` gives that of the epoch so far."""
    seen, read = [], []

    def look(run, outputs):
        seen.append(outputs.metrics["f1"])
        read.append(run.read("f1"))

    run = still(log_every=Every(steps=1))
    run.callbacks.append(at("on_batch_end", look))
    data = batches(3)
    run.fit(data, epochs=1)
    y = [run.predict([batch]) for batch in data]
    t = [batch[1] for batch in data]
    assert seen == pytest.approx([float(F1("macro")(*pair)) for pair in zip(y, t, strict=True)])
    so_far = [float(F1("macro")(np.concatenate(y[:i]), np.concatenate(t[:i]))) for i in (1, 2, 3)]
    assert read == pytest.approx(so_far)


def test_a_subclass_logs_them_as_functions():
    """`self.log("f1", self.f1(y, t))`."""

    class Mine(Trainer):
        f1 = F1("macro")

        def training_step(self, batch):
            y = self.model(batch[0])
            self.log("f1", self.f1(y, batch[1]))
            return F.softmax_cross_entropy(y, batch[1])

    both = []
    for run in (trainer(cls=Mine), trainer(metrics={"f1": F1("macro")})):
        minitorch.seed(0)
        both.append(run.fit(batches(), batches(2), epochs=2).history)
    assert both[0] == both[1]


def test_a_run_resumed_in_the_middle_of_an_epoch_has_the_same_metrics(tmp_path):
    """The sums are in the checkpoint; also where the resumed run ends before it logs them again."""
    data = DataLoader(ArrayDataset(*samples(23)), 5)
    histories = []
    for folder, stops in (("whole", [10]), ("parts", [3, 7, 10])):
        minitorch.seed(0)
        for stop in stops:
            run = trainer(Checkpoint(tmp_path / folder), metrics=metrics(), log_every=Every(steps=4))
            run.fit(data, steps=stop, resume="auto")
        histories.append(run.history)
    assert histories[0] == histories[1]
    run = trainer(Checkpoint(tmp_path / "short"), metrics=metrics())
    first = run.fit(data, steps=3)
    again = trainer(Checkpoint(tmp_path / "short"), metrics=metrics())
    assert again.fit(data, steps=3, resume="auto").metrics == first.metrics


def test_on_a_device_they_are_read_with_the_rest():
    """Ten more steps with metrics cost no read; the interval has one."""
    with fake_cupy.installed():
        run = trainer(DevicePlacement("cuda"), metrics=metrics(), log_every=Every(steps=10))
        run.fit(loader(n=500), steps=10)
        with fake_cupy.counting() as traffic:
            run.fit(loader(n=500), steps=20)
        assert traffic.synchronisations == 1


@pytest.mark.parametrize(
    ("metrics", "message"),
    [
        ({"f1": F1}, r"Trainer: metric 'f1' is a class; give an instance: F1\(\.\.\.\)"),
        ({"f1": 0.5}, r"Trainer: metric 'f1' is 0\.5; give metric\(y, t\), such as F\.accuracy"),
    ],
)
def test_what_is_no_metric_is_refused(metrics, message):
    """As soon as the Trainer is made."""
    with pytest.raises(ConfigError, match=message):
        trainer(metrics=metrics)


def test_a_table_is_not_logged():
    """A confusion matrix is no number; the error says where to keep it."""
    with pytest.raises(
        ConfigError, match=r"log: 'matrix' is ConfusionMatrix\(\), whose value is no number; update one"
    ):
        trainer(metrics={"matrix": ConfusionMatrix()}).fit(batches(), epochs=1)
