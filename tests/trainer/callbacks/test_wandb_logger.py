"""WandbLogger: what Weights & Biases is given, offline; and how its own package takes it."""

import importlib.util
import sys
from types import SimpleNamespace

import pytest
import resumed_runs
import small_runs

from minitorch import Every
from minitorch.errors import ConfigError, MissingExtraError
from minitorch.trainer.callbacks import EpochTimer, WandbLogger


class FakeRun:
    """A run as `wandb.init` returns it, which notes what is logged."""

    def __init__(self, given, step):
        self.id = given["id"] or "new"
        self.given = given
        self.step = step
        self.logged = []
        self.exit_code = None

    def log(self, values, step):
        self.logged.append((step, values))
        self.step = step

    def finish(self, exit_code):
        self.exit_code = exit_code


@pytest.fixture
def started(monkeypatch):
    """The runs that were begun, with a stand-in for the package; `started.step` is where the server says one stands."""
    runs = []
    server = SimpleNamespace(runs=runs, step=0)

    def init(**given):
        runs.append(FakeRun(given, server.step))
        return runs[-1]

    monkeypatch.setitem(sys.modules, "wandb", SimpleNamespace(init=init))
    return server


def test_wandb_is_given_the_history(started, tmp_path):
    """Metrics, timings and settings are handed over, and the run is finished well."""
    logger = WandbLogger("mnist", name="first", folder=tmp_path / "new", config={"lr": 0.1})
    run = small_runs.trainer(EpochTimer(), logger, log_every=Every(steps=2))
    run.fit(small_runs.batches(), small_runs.batches(2), epochs=1)
    (wandb_run,) = started.runs
    expected = {"project": "mnist", "name": "first", "dir": str(tmp_path / "new"), "mode": "offline"}
    expected |= {"config": {"lr": 0.1}, "id": None, "resume": None, "reinit": "create_new"}
    assert wandb_run.given == expected
    assert (tmp_path / "new").is_dir()
    assert [(step, set(values)) for step, values in wandb_run.logged] == [
        (2, {"step/loss"}),
        (4, {"step/loss"}),
        (4, {"epoch/loss", "epoch/val_loss", "timings/seconds"}),
    ]
    assert wandb_run.logged[-1][1]["epoch/loss"] == run.history[0]["loss"]
    assert wandb_run.exit_code == 0


def test_a_resumed_run_has_the_same_id_and_logs_what_is_not_there_yet(started, tmp_path):
    """W&B says up to which step it has everything; steps before that are not sent again."""
    resumed_runs.fit(tmp_path, lambda: [WandbLogger("mnist", folder=tmp_path)], break_at=9)
    started.step = 9
    resumed_runs.fit(tmp_path, lambda: [WandbLogger("mnist", folder=tmp_path)])
    first, second = started.runs
    assert first.exit_code == 1
    assert (second.given["id"], second.given["resume"]) == ("new", "allow")
    assert [step for step, _ in first.logged] == [2, 4, 4, 6, 8, 8]
    assert [step for step, _ in second.logged] == [10, 12, 12]


def test_an_unknown_mode_is_refused(started):
    """Only the modes of W&B are taken."""
    with pytest.raises(
        ConfigError, match=r"^WandbLogger: mode is 'on'; it must be 'offline' or 'online' or 'disabled'$"
    ):
        WandbLogger("mnist", mode="on")


@pytest.mark.skipif(importlib.util.find_spec("wandb") is None, reason="wandb is not installed")
@pytest.mark.filterwarnings("ignore")  # those of W&B and of what it imports are not ours
def test_the_real_package_writes_a_run(tmp_path, monkeypatch):
    """Offline, with nothing but a folder to write to, the real W&B takes a run, and one that goes on with it."""
    for name in ("WANDB_CONFIG_DIR", "WANDB_CACHE_DIR", "WANDB_DATA_DIR"):
        monkeypatch.setenv(name, str(tmp_path / name))
    for name, value in (("SILENT", "true"), ("CONSOLE", "off"), ("DISABLE_GIT", "true"), ("DISABLE_CODE", "true")):
        monkeypatch.setenv(f"WANDB_{name}", value)
    ids = []
    note = small_runs.at("on_epoch_start", lambda trainer: ids.append(trainer.callbacks[1].state_dict()["id"]))
    for break_at in (7, None):
        resumed_runs.fit(tmp_path, lambda: [WandbLogger("mnist", folder=tmp_path), note], break_at=break_at)
    assert len(set(ids)) == 1
    assert ids[0]
    assert len(list((tmp_path / "wandb").glob(f"offline-run-*-{ids[0]}/run-{ids[0]}.wandb"))) >= 1
    import wandb

    wandb.teardown()


def test_without_the_package_the_extra_is_named(monkeypatch):
    """The error comes when the callback is made, and says what to install."""
    monkeypatch.setitem(sys.modules, "wandb", None)
    with pytest.raises(
        MissingExtraError, match=r"^WandbLogger cannot import wandb \(.*\): pip install minitorch\[wandb\]$"
    ):
        WandbLogger("mnist")
