"""Runs stopped at any step and resumed by a new Trainer: they end, bit for bit, where one run at once ends."""

import pytest
from small_runs import OTHER_SEED, loader, trainer

import minitorch
import minitorch.functions as F
import minitorch.layers as L
from minitorch import Every
from minitorch.models import Sequential
from minitorch.optimizers import Adam
from minitorch.trainer.callbacks import Checkpoint, DevicePlacement, EarlyStopping, JSONLLogger

STEPS = 10  # two epochs of five batches, the last of each short


def end_of(folder, device, stops):
    """The arrays of state at the end, as bytes, and all else that a run leaves; stopped and resumed on the way."""
    minitorch.seed(0)
    for stop in [*stops, STEPS]:
        run = trainer(
            DevicePlacement("cpu" if device.name == "cpu" else "cuda"),
            EarlyStopping(patience=9),
            JSONLLogger(folder),
            Checkpoint(folder),
            model=Sequential(L.Linear(8), F.relu, L.Dropout(0.5), L.Linear(3)),
            optimizer=Adam(),
            metrics={"accuracy": F.accuracy},
            log_every=Every(steps=3),
            validate_every=Every(steps=4),
        )
        result = run.fit(loader(n=23), loader(n=8), steps=stop, resume="auto")
        minitorch.seed(stop)  # the next process knows nothing of this one
    arrays = {path: device.get(array).tobytes() for path, array in run.model.state_dict().items()}
    for path, entry in run.optimizer.state.items():
        arrays |= {f"{path}/{name}": device.get(entry[name]).tobytes() for name in "mv"}
    early = run.callbacks[1]
    return arrays, result.history, early.progress, (folder / "metrics.jsonl").read_bytes()


@pytest.fixture
def at_once(tmp_path, device):
    """The end of a run that was never stopped."""
    return end_of(tmp_path / "at once", device, [])


@OTHER_SEED
@pytest.mark.parametrize("stop", range(1, STEPS))
def test_a_run_stopped_at_any_step_ends_where_one_at_once_does(tmp_path, device, at_once, stop):
    """Weights, moments, history, patience and the file of metrics are the same."""
    assert end_of(tmp_path / "stopped", device, [stop]) == at_once


@OTHER_SEED
def test_a_run_stopped_at_every_step_ends_where_one_at_once_does(tmp_path, device, at_once):
    """Even a run of which each step is done by another Trainer."""
    assert end_of(tmp_path / "stopped", device, range(1, STEPS)) == at_once


def test_steps_draw_their_own_dropout_masks(tmp_path, device, at_once):
    """The comparison above is not of runs without noise: without dropout the weights are others."""
    minitorch.seed(0)
    with minitorch.using_config("train", False):
        other = end_of(tmp_path / "no dropout", device, [])
    assert other[0] != at_once[0]
