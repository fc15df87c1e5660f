"""`DevicePlacement`: model, gradients, optimizer state and batches on one device, and the same numbers everywhere."""

import numpy as np
import pytest
from small_runs import at, batches, loader, samples, trainer

import fake_cupy
import minitorch
import minitorch.functions as F
from minitorch import Trainer, as_numpy
from minitorch.cuda import Device
from minitorch.models import MLP
from minitorch.optimizers import SGD, Adam, MomentumSGD
from minitorch.trainer.callbacks import Checkpoint, DevicePlacement

NAMES = {"cpu": "cpu", "fake": "cuda", "cuda": "cuda"}


def placed(device, *callbacks, **settings):
    """A Trainer placed on the device of the test."""
    return trainer(DevicePlacement(NAMES[device.name]), *callbacks, **settings)


@pytest.mark.parametrize("make", [lambda: SGD(0.1), lambda: MomentumSGD(0.1), lambda: Adam(0.01)])
def test_a_run_gives_the_same_numbers_on_every_device(device, make):
    """Order, initial weights and dropout are the same; sums differ in their last bits at the most."""
    runs = []
    for run in (placed(device, optimizer=make()), trainer(optimizer=make())):
        minitorch.seed(3)
        run.fit(loader(), loader(n=7), epochs=3)
        runs.append(run)
    for a, b in zip(runs[0].model.params(), runs[1].model.params(), strict=True):
        np.testing.assert_allclose(device.get(a.data), b.data, rtol=1e-4, atol=1e-6)
    for a, b in zip(runs[0].history, runs[1].history, strict=True):
        assert a == pytest.approx(b, rel=1e-4)


def test_evaluate_and_predict_are_placed_without_fit(device):
    """A model on the host and batches from there are moved as soon as they are used."""
    x, t = samples(12)
    run = placed(device)
    assert run.predict([(x, t)]).shape == (12, 3)
    assert isinstance(run.model.l0.W.data, device.xp.ndarray)
    assert "loss" in run.evaluate([(x, t)])


def test_predict_gives_numpy_arrays(device):
    """Wherever the model is, the outputs come to the host."""

    class Two(Trainer):
        def predict_step(self, batch):
            return self.model(batch[0]), batch[1]

    y, t = placed(device, cls=Two).predict(batches(3))
    assert type(y) is type(t) is np.ndarray


def test_batches_of_any_form_are_moved(device):
    """Arrays in dicts, lists and tuples are placed; what is no array stays."""
    seen = []

    class OfDicts(Trainer):
        def training_step(self, batch):
            seen.append(batch)
            return F.softmax_cross_entropy(self.model(batch["x"][0]), batch["t"])

    x, t = samples(5)
    placed(device, cls=OfDicts).fit([{"x": [x], "t": t, "name": "first"}], epochs=1)
    (batch,) = seen
    assert isinstance(batch["x"][0], device.xp.ndarray)
    assert isinstance(batch["t"], device.xp.ndarray)
    assert batch["name"] == "first"


def test_a_run_on_a_device_resumes_there(device, tmp_path):
    """Weights and moments of a checkpoint go where the callback says; the run ends where it would have ended."""
    results = []
    for stops in ([5, 9], [9]):
        folder = tmp_path / str(len(stops))
        minitorch.seed(0)
        for steps in stops:
            run = placed(device, Checkpoint(folder), optimizer=Adam())
            run.fit(loader(), steps=steps, resume="auto")
        results.append({path: device.get(array).tobytes() for path, array in run.model.state_dict().items()})
        assert isinstance(run.optimizer.state["l0.W"]["m"], device.xp.ndarray)
    assert results[0] == results[1]


def test_a_checkpoint_of_one_device_is_resumed_on_another(tmp_path):
    """A run begun on a GPU goes on where there is none, and the other way round."""
    for first, second in (("cuda", "cpu"), ("cpu", "cuda")):
        folder = tmp_path / first
        with fake_cupy.installed() as cupy:
            trainer(DevicePlacement(first), Checkpoint(folder), optimizer=Adam()).fit(loader(), steps=3)
            run = trainer(DevicePlacement(second), Checkpoint(folder), optimizer=Adam())
            run.fit(loader(), steps=6, resume="auto")
            assert isinstance(run.model.l0.W.data, cupy.ndarray if second == "cuda" else np.ndarray)


def test_another_gpu_than_the_first_is_current_for_the_whole_run():
    """On "cuda:1" all work is done on device 1, validation and evaluation too, and it stays the current one."""
    with fake_cupy.installed(devices=2) as cupy:
        run = trainer(DevicePlacement("cuda:1"))
        run.fit(batches(), batches(1), epochs=2)
        run.evaluate(batches())
        assert {param.data.device.id for param in run.model.params()} == {1}
        assert cupy.cuda.runtime.getDevice() == 1


def test_auto_is_a_gpu_where_one_works():
    """`DevicePlacement()` takes the GPU if there is one, the host otherwise."""
    with fake_cupy.installed():
        assert DevicePlacement().device == DevicePlacement(Device("cuda")).device == Device("cuda:0")
    with fake_cupy.installed(devices=0):
        assert DevicePlacement().device == Device("cpu")


def test_a_batch_that_is_there_already_is_not_copied():
    """With a loader that gathers on the device nothing is sent but the order of the epoch, and that of the next."""
    with fake_cupy.installed():
        data = loader(n=100).to_gpu()
        run = trainer(DevicePlacement("cuda"))
        run.fit(data, steps=3)
        with fake_cupy.counting() as traffic:
            run.fit(data, steps=13)
        assert (traffic.to_device, traffic.to_device_bytes) == (2, 2 * 8 * 100)
        assert traffic.to_host == 1  # the means at the end


def test_moving_back_to_the_host():
    """A model trained on a GPU can be trained on the host next."""
    with fake_cupy.installed():
        model, optimizer = MLP((4, 3)), Adam()
        for name in ("cuda", "cpu"):
            trainer(DevicePlacement(name), model=model, optimizer=optimizer).fit(batches(), epochs=1)
        assert type(model.l0.W.data) is type(optimizer.state["l0.W"]["v"]) is np.ndarray


def test_a_callback_may_look_at_the_loss_of_a_step(device):
    """`float(outputs.loss)` works on every device; it is the mean that is logged."""
    losses = []
    run = placed(device, at("on_batch_end", lambda trainer, outputs: losses.append(float(as_numpy(outputs.loss)))))
    result = run.fit(batches(4), epochs=1)
    assert result.metrics["loss"] == pytest.approx(np.mean(losses), rel=1e-6)
