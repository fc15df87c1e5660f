"""MLflowLogger: what MLflow has of a run, in a local file."""

import importlib.util
import sys

import pytest
import resumed_runs
import small_runs

from minitorch import Every
from minitorch.errors import MissingExtraError
from minitorch.trainer.callbacks import EpochTimer, MLflowLogger

needs_mlflow = [
    pytest.mark.skipif(importlib.util.find_spec("mlflow") is None, reason="mlflow is not installed"),
    pytest.mark.filterwarnings("ignore"),  # those of MLflow and of what it imports are not ours
]


def needing_mlflow(test):
    """Mark a test that makes a real MLflow store."""
    for mark in needs_mlflow:
        test = mark(test)
    return test


@pytest.fixture(scope="module")
def uri(tmp_path_factory):
    """A store for all tests, since making one takes seconds."""
    return f"sqlite:///{tmp_path_factory.mktemp('mlflow') / 'mlflow.db'}"


def runs(uri, experiment):
    """The runs of an experiment, newest first."""
    import mlflow

    client = mlflow.MlflowClient(tracking_uri=uri)
    return client.search_runs([client.get_experiment_by_name(experiment).experiment_id])


def curves(uri, run):
    """By name all that was logged of a run: steps and values, in order."""
    import mlflow

    client = mlflow.MlflowClient(tracking_uri=uri)
    return {
        key: [(m.step, m.value) for m in client.get_metric_history(run.info.run_id, key)] for key in run.data.metrics
    }


@needing_mlflow
def test_mlflow_has_the_history(uri):
    """Metrics, timings, settings, name and end of the run are there."""
    logger = MLflowLogger("plain", run_name="first", params={"lr": 0.1, "layers": (4, 3)}, tracking_uri=uri)
    run = small_runs.trainer(EpochTimer(), logger, log_every=Every(steps=2))
    run.fit(small_runs.batches(), small_runs.batches(2), epochs=2)
    (found,) = runs(uri, "plain")
    assert (found.info.run_name, found.info.status) == ("first", "FINISHED")
    assert found.data.params == {"lr": "0.1", "layers": "(4, 3)"}
    seen = curves(uri, found)
    assert set(seen) == {"step/loss", "epoch/loss", "epoch/val_loss", "timings/seconds"}
    assert [step for step, _ in seen["step/loss"]] == [2, 4, 6, 8]
    assert seen["epoch/val_loss"] == [(4, run.history[0]["val_loss"]), (8, run.history[1]["val_loss"])]


@needing_mlflow
@pytest.mark.parametrize("break_at", [1, 8])
def test_a_resumed_run_goes_on_in_the_same_run(uri, tmp_path, break_at):
    """Each step is logged once, with the values of a run that went through; a run that broke off counts as failed."""

    def make():
        return [MLflowLogger(f"resumed {break_at}", tracking_uri=uri)]

    resumed_runs.fit(tmp_path / "whole", make)
    resumed_runs.fit(tmp_path / "broken", make, break_at=break_at)
    broken, whole = runs(uri, f"resumed {break_at}")
    assert (broken.info.status, whole.info.status) == ("FAILED", "FINISHED")
    resumed_runs.fit(tmp_path / "broken", make)
    resumed = runs(uri, f"resumed {break_at}")[0]
    assert resumed.info.status == "FINISHED"
    assert (resumed.info.run_id == broken.info.run_id) == (break_at > 3)  # there was no checkpoint to go on from
    assert curves(uri, resumed) == curves(uri, whole)


@needing_mlflow
def test_an_interrupted_run_counts_as_killed(uri):
    """The status of the result is MLflow's."""
    stop = small_runs.at("on_batch_end", lambda trainer, outputs: trainer.request_stop("SIGINT", "interrupted"))
    small_runs.trainer(stop, MLflowLogger("killed", tracking_uri=uri)).fit(small_runs.batches(), epochs=1)
    assert [run.info.status for run in runs(uri, "killed")] == ["KILLED"]


def test_without_the_package_the_extra_is_named(monkeypatch):
    """The error comes when the callback is made, and says what to install."""
    monkeypatch.setitem(sys.modules, "mlflow", None)
    with pytest.raises(
        MissingExtraError, match=r"^MLflowLogger cannot import mlflow \(.*\): pip install minitorch\[mlflow\]$"
    ):
        MLflowLogger("mnist")
