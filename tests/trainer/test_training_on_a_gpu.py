"""Training on a device, the stand-in and a real one where there is one: captured, resumed, strict, as on the host."""

from pathlib import Path

import numpy as np
import pytest

import minitorch
import minitorch.functions as F
import minitorch.layers as L
from minitorch import DataLoader, Every, SeqDataLoader, Trainer, optimizers
from minitorch.cuda import no_sync, sync_allowed
from minitorch.datasets import ArrayDataset
from minitorch.errors import DeviceError, SyncError
from minitorch.models import GPT, MLP, Sequential
from minitorch.optimizers.schedules import Cosine
from minitorch.trainer.callbacks import (
    EMA,
    Checkpoint,
    CudaGraph,
    DevicePlacement,
    GradientClipping,
    LRSchedule,
    MixedPrecision,
)
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


OTHERS = {
    "schedule and averages": lambda: [LRSchedule(Cosine(63)), EMA(0.9)],
    "fp16, whose first updates are left out": lambda: [MixedPrecision("fp16", scale=2.0**24)],
    "bf16": lambda: [MixedPrecision("bf16")],
}


@pytest.mark.parametrize("name", OTHERS)
def test_other_callbacks_in_a_graph(gpu, name, capsys):
    """What changes from step to step is read on the device: learning rates, the share of averages, the loss scale."""
    (eager, eager_weights), (captured, weights) = run(*OTHERS[name]()), run(*OTHERS[name](), CudaGraph(steps=4))
    assert capsys.readouterr().err == ""
    assert losses(captured) == pytest.approx(losses(eager), rel=1e-4)
    for path, array in weights.items():
        np.testing.assert_allclose(array, eager_weights[path], rtol=1e-2, atol=1e-4)


class Series(Trainer):
    """Truncated backpropagation through time, cut where a step begins."""

    def training_step(self, batch):
        (cell, out), (x, t) = self.model.layers, batch
        for state in (cell.h, cell.c):
            if state is not None:
                state.unchain()
        return F.mean_squared_error(out(cell(x)), t)


def test_tokens_and_recurrent_states_in_a_graph(gpu, capsys):
    """A language model whose targets are gathered in the graph, and a state that goes on from step to step."""
    text = np.random.default_rng(0).integers(0, 11, (83, 6))
    tokens = ArrayDataset(text[:, :-1].copy(), text[:, 1:].copy())
    sine = np.sin(np.arange(121) * 0.3).astype(np.float32)[:, None]
    runs = (
        (lambda: GPT(11, 5, 8, 1, 2), lambda y, t: F.softmax_cross_entropy(y.reshape(-1, 11), t.reshape(-1)), Trainer,
         lambda: DataLoader(tokens, 10)),
        (lambda: Sequential(L.LSTM(6), L.Linear(1)), None, Series,
         lambda: SeqDataLoader(ArrayDataset(sine[:-1], sine[1:]), 5)),
    )  # fmt: skip
    for model, loss, cls, loader in runs:
        found = []
        for callbacks in ([], [CudaGraph(steps=4)]):
            minitorch.seed(0)
            trainer = cls(model(), optimizers.Adam(0.01), loss=loss, callbacks=[DevicePlacement("cuda"), *callbacks])
            found.append(losses(trainer.fit(loader(), epochs=3).history))
        assert found[1] == pytest.approx(found[0], rel=1e-4)
        assert "a launch does up to 4 steps" in trainer.explain()
    assert capsys.readouterr().err == ""


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
