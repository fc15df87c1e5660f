"""Stateful recurrent networks through the Trainer: resumed in the middle of a series, and evaluated on the way."""

import numpy as np
import pytest
from small_runs import OTHER_SEED

import minitorch
import minitorch.functions as F
import minitorch.layers as L
from minitorch import Every, Model, SeqDataLoader, Trainer
from minitorch.datasets import ArrayDataset
from minitorch.optimizers import Adam
from minitorch.trainer.callbacks import Checkpoint, DevicePlacement, JSONLLogger

STEPS = 14  # two epochs of seven windows
each_layer = pytest.mark.parametrize("layer_class", [L.RNN, L.LSTM, L.GRU])


class Predictor(Model):
    """The next value of a series from this one and the state."""

    def __init__(self, layer_class):
        super().__init__()
        self.cell = layer_class(6)
        self.out = L.Linear(1)

    def forward(self, x):
        return self.out(self.cell(x))


class SequenceTrainer(Trainer):
    """Backpropagation through time, cut after each window; the state lives on."""

    def training_step(self, batch):
        x, t = batch
        return sum(F.mean_squared_error(self.model(x[:, i]), t[:, i]) for i in range(x.shape[1]))

    def on_epoch_start(self):
        if self.state.batch == 0:  # an epoch resumed in its middle goes on with its state
            self.model.cell.reset_state()

    def on_batch_end(self, outputs):
        outputs.loss.unchain_backward()


def series(rows):
    """A sine in windows of four steps, `rows` stretches side by side, seven batches."""
    x = np.sin(np.arange(rows * 7 * 4 + 1) * 0.3).astype(np.float32)
    return SeqDataLoader(ArrayDataset(*[a.reshape(-1, 4, 1) for a in (x[:-1], x[1:])]), rows)


def sequence_trainer(layer_class, *callbacks, **settings):
    """A Trainer of a small network on that series."""
    return SequenceTrainer(Predictor(layer_class), Adam(0.01), callbacks=list(callbacks), **settings)


def end_of(folder, layer_class, device, stops, **settings):
    """All arrays and metrics at the end of a run that other Trainers resume after each of `stops`."""
    minitorch.seed(0)
    for stop in [*stops, STEPS]:
        run = sequence_trainer(
            layer_class,
            DevicePlacement("cpu" if device.name == "cpu" else "cuda"),
            JSONLLogger(folder),
            Checkpoint(folder),
            log_every=Every(steps=3),
            **settings,
        )
        result = run.fit(series(3), series(2), steps=stop, resume="auto")
        minitorch.seed(stop)
    arrays = {path: device.get(array).tobytes() for path, array in run.model.state_dict().items()}
    assert "cell.h" in arrays
    return arrays, result.history, (folder / "metrics.jsonl").read_bytes()


@OTHER_SEED
@each_layer
def test_a_run_stopped_in_the_middle_of_a_series_goes_on_from_its_state(tmp_path, device, layer_class):
    """Weights, state and metrics are, bit for bit, those of a run at once, also with validation on the way."""
    settings = {"validate_every": Every(steps=5)}
    at_once = end_of(tmp_path / "at once", layer_class, device, [], **settings)
    assert end_of(tmp_path / "stopped", layer_class, device, range(1, STEPS), **settings) == at_once


def test_the_state_makes_a_difference(tmp_path, device):
    """The comparison above is not of runs in which the state does not matter."""

    class Forgetful(SequenceTrainer):
        def on_batch_start(self, batch):
            self.model.cell.reset_state()
            return batch

    losses = []
    for cls in (SequenceTrainer, Forgetful):
        minitorch.seed(0)
        run = cls(Predictor(L.LSTM), Adam(0.01), callbacks=[])
        losses.append(run.fit(series(3), epochs=1).metrics["loss"])
    assert losses[0] != losses[1]


@each_layer
def test_evaluation_has_states_of_its_own(layer_class):
    """Validation, on other sequences of another number, begins without a state, and training goes on with its own."""
    ends = []
    for settings in ({}, {"validate_every": Every(steps=1)}):
        minitorch.seed(0)
        run = sequence_trainer(layer_class, **settings)
        run.fit(series(3), series(2) if settings else None, steps=5)
        ends.append({path: array.tobytes() for path, array in run.model.state_dict().items()})
        first, second = run.evaluate(series(2)), run.evaluate(series(2))
        assert first == second
        assert len(run.model.cell.h) == 3
    assert ends[0] == ends[1]
