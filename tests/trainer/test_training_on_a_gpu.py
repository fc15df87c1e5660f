"""Training on a device, the stand-in and a real one where there is one: captured, resumed, strict, as on the host."""

from pathlib import Path

import numpy as np
import pytest

import minitorch
import minitorch.functions as F
from minitorch import DataLoader, Every, Trainer, optimizers
from minitorch.cuda import no_sync, sync_allowed
from minitorch.datasets import ArrayDataset
from minitorch.errors import DeviceError, SyncError
from minitorch.models import MLP
from minitorch.trainer.callbacks import Checkpoint, CudaGraph, DevicePlacement, GradientClipping
from minitorch.transforms import Compose, Flatten, Normalize, ToFloat


class Classifier(Trainer):
    """With dropout and a metric."""

    def training_step(self, batch):
        x, t = batch
        y = self.model.l1(F.dropout(F.relu(self.model.l0(x)), 0.2))
        self.log("accuracy", F.accuracy(y, t))
        return F.softmax_cross_entropy(y, t)


def data():
    """203 images in bytes, in batches of 10."""
    rng = np.random.default_rng(0)
    t = rng.integers(0, 3, 203)
    x = (rng.integers(0, 100, (203, 1, 4, 4)) + 50 * t[:, None, None, None]).astype(np.uint8)
    transform = Compose([Flatten(), ToFloat(), Normalize(0.0, 255.0)])
    return DataLoader(ArrayDataset(x, t, transform=transform), 10)


def run(*callbacks, device="cuda", cls=Classifier, **how):
    """A run from seed 0; returns the history, and the weights on the host."""
    minitorch.seed(0)
    callbacks = [DevicePlacement(device), GradientClipping(norm=1.0), *callbacks]
    trainer = cls(MLP((32, 3)), optimizers.Adam(0.01), callbacks=callbacks, log_every=Every(steps=7))
    result = trainer.fit(data(), **(how or {"epochs": 3}))
    with sync_allowed():
        weights = {path: minitorch.as_numpy(a).copy() for path, a in trainer.model.state_dict().items()}
    return result.history, weights


def losses(history):
    return [metrics["loss"] for metrics in history]


def test_a_captured_run_is_an_eager_one(gpu, capsys):
    """Replays train as eager steps do, to rounding at the most."""
    (eager, eager_weights), (captured, weights) = run(), run(CudaGraph(steps=4))
    assert capsys.readouterr().err == ""
    assert losses(captured) == pytest.approx(losses(eager), rel=1e-5)
    for path, array in weights.items():
        np.testing.assert_allclose(array, eager_weights[path], rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize("captured", [False, True])
def test_the_same_seed_gives_the_same_bits(gpu, captured):
    """Twice the same run, eager or captured: no bit differs."""
    (first, weights), (second, again) = (run(*([CudaGraph(steps=4)] if captured else [])) for _ in range(2))
    assert first == second
    assert {path: a.tobytes() for path, a in weights.items()} == {path: a.tobytes() for path, a in again.items()}


def test_losses_are_those_of_the_host(gpu):
    """Order, first weights and dropout are the same on both, so the losses of epochs agree to 1e-3."""
    on_host, _ = run(device="cpu")
    on_device, _ = run(CudaGraph())
    assert losses(on_device) == pytest.approx(losses(on_host), abs=1e-3)


@pytest.mark.parametrize(("first", "second"), [("cpu", "cuda"), ("cuda", "cpu")])
def test_a_run_goes_on_on_the_other_side(gpu, tmp_path, first, second):
    """From a checkpoint in the middle of an epoch of the host on the device, and back."""
    expected, _ = run(device=second)
    save = Checkpoint(tmp_path, every=Every(steps=1))
    run(save, *([CudaGraph()] if first == "cuda" else []), device=first, steps=28)
    history, _ = run(Checkpoint(tmp_path), CudaGraph(), device=second, epochs=3, resume="auto")
    assert losses(history) == pytest.approx(losses(expected), abs=1e-3)


@pytest.mark.parametrize("captured", [False, True])
def test_nothing_hidden_waits_or_moves(gpu, captured):
    """In the strict mode a run is what it is without."""
    graph = [CudaGraph(steps=4)] if captured else []
    with no_sync():
        strict, _ = run(*graph)
    assert strict == run(*graph)[0]


class Reading(Classifier):
    def training_step(self, batch):
        loss = super().training_step(batch)
        self.last = float(loss)  # planted read
        return loss


class Mixing(Classifier):
    def training_step(self, batch):
        return super().training_step(batch) * np.ones(1, np.float32).sum(keepdims=True)


def test_a_planted_read_and_a_planted_mix_are_found(gpu):
    """`float(loss)` at its line; an array of the host with the name of the operation that it came to."""
    text = Path(__file__).read_text().splitlines()
    line = next(i for i, words in enumerate(text, 1) if words.endswith("  # planted read"))
    place = rf"float\(\) of a device array.* at {__file__}:{line} in training_step"
    with no_sync(), pytest.raises(SyncError, match=place):
        run(cls=Reading, steps=2)
    mix = r"^mul: arrays on different devices: .* on the GPU, .* on the host"
    with no_sync(), pytest.raises(DeviceError, match=mix):
        run(cls=Mixing, steps=2)
