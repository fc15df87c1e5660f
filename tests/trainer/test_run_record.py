"""`run.json`: what a run was, on which machine, from where to where, and how it ended."""

import json
import sys

import numpy as np
import pytest
from small_runs import at, batches, loader, trainer

import minitorch
from minitorch import Every
from minitorch.cpu.onednn import library
from minitorch.errors import CheckpointError
from minitorch.optimizers import MomentumSGD
from minitorch.trainer.callbacks import Checkpoint, DevicePlacement, EpochTimer, JSONLLogger, LRSchedule, NaNGuard
from minitorch.trainer.run_record import RunRecord


def test_a_run_is_described(tmp_path):
    """Model, optimizer, callbacks, settings, seed, command, versions and machine are in it, in plain JSON."""
    minitorch.seed(17)
    run = trainer(EpochTimer(), JSONLLogger(tmp_path), optimizer=MomentumSGD(0.25))
    run.config = {"note": "<b>é</b>", "path": tmp_path, "sizes": [1, 2]}
    run.fit(batches(), epochs=2)
    record = RunRecord.read(tmp_path)
    (session,) = record.sessions
    assert record.config == {"note": "<b>é</b>", "path": str(tmp_path), "sizes": [1, 2]}
    assert record.trainer["model"] == "MLP((4, 3))"
    assert record.trainer["callbacks"] == ["EpochTimer()", repr(run.callbacks[1])]
    assert record.trainer["optimizers"]["optimizer"]["class"] == "MomentumSGD"
    assert record.trainer["optimizers"]["optimizer"]["lr"] == 0.25
    assert (session.seed, session.command, session.from_step) == (17, sys.orig_argv, 0)
    assert session.versions["numpy"] == np.__version__
    assert session.machine["cores"] >= 1
    assert session.machine["oneDNN"] == library.find().version
    assert (session.status, session.reason) == ("completed", "2 epochs done")
    assert (session.state["step"], session.state["epoch"]) == (8, 2)
    assert session.timings["seconds"] > 0
    assert session.started <= session.ended


def test_a_resumed_run_adds_a_session(tmp_path):
    """Each process that went on with the run is listed, with where it began."""
    for steps in (3, 5):
        trainer(Checkpoint(tmp_path)).fit(loader(), steps=steps, resume="auto")
    sessions = RunRecord.read(tmp_path).sessions
    assert [(s.from_step, s.state["step"]) for s in sessions] == [(0, 3), (3, 5)]


def test_a_resumed_run_has_the_settings_of_now(tmp_path):
    """Those of its newest session; the optimizers are as they were saved, and files of earlier sessions are known."""
    for epochs, callbacks in ((1, [NaNGuard(tmp_path)]), (2, [EpochTimer()]), (3, [])):
        run = trainer(Checkpoint(tmp_path), *callbacks, LRSchedule(lambda n: 0.5))
        run.config = {"epochs": epochs} if epochs < 3 else {}
        run.fit(batches(), epochs=epochs, resume="auto")
        record = RunRecord.read(tmp_path)
        assert record.config == {"epochs": min(epochs, 2)}
        assert record.trainer["callbacks"] == [repr(callback) for callback in run.callbacks]
        assert record.trainer["optimizers"]["optimizer"]["lr"] == 0.1
    assert record.trainer["files"] == ["checkpoints/step-*.safetensors", "nonfinite-step-*.safetensors"]
    assert len(record.sessions) == 3


def test_a_new_run_has_a_new_record(tmp_path):
    """Overwriting a run overwrites its record."""
    for _ in range(2):
        trainer(Checkpoint(tmp_path, overwrite=True)).fit(batches(), steps=3)
    assert len(RunRecord.read(tmp_path).sessions) == 1


def test_a_run_that_failed_says_so(tmp_path):
    """The error is the reason; a run under way has no end yet."""
    seen = []

    def fail(run, outputs):
        seen.append(RunRecord.read(tmp_path).sessions[0].status)
        raise ValueError("too much")

    with pytest.raises(ValueError, match="too much"):
        trainer(JSONLLogger(tmp_path), at("on_batch_end", fail)).fit(batches(), epochs=1)
    (session,) = RunRecord.read(tmp_path).sessions
    assert (seen, session.status, session.reason) == ([None], "failed", "ValueError: too much")


def test_a_damaged_record_keeps_no_run_from_going_on(tmp_path):
    """It is told, and begun anew; the checkpoints do not need it."""
    trainer(Checkpoint(tmp_path)).fit(loader(), steps=3)
    for content in (b"", b"{", b"[]", b'{"format_version": 2, "config": {}, "trainer": {}, "sessions": []}', b"\xff"):
        (tmp_path / "run.json").write_bytes(content)
        with pytest.raises(
            CheckpointError, match=r"run\.json cannot be read: .*; the checkpoints beside it do not need"
        ):
            RunRecord.read(tmp_path)
        with pytest.warns(UserWarning, match=r"run\.json cannot be read: .*; a new record is begun") as caught:
            trainer(Checkpoint(tmp_path)).fit(loader(), steps=4, resume="auto")
        assert caught[0].filename == __file__
        assert len(RunRecord.read(tmp_path).sessions) == 1


def test_a_record_that_cannot_be_written_at_the_end(tmp_path):
    """A run that ended well gives its result, with a warning; one that failed keeps its own error, with a note."""

    def lose(run, *given):
        (tmp_path / "run.json").unlink()
        (tmp_path / "run.json").mkdir()

    run = trainer(JSONLLogger(tmp_path), at("on_fit_end", lose))
    with pytest.warns(UserWarning, match=r"run\.json is a folder"):
        assert run.fit(batches(), epochs=1).state.step == 4
    (tmp_path / "run.json").rmdir()
    run = trainer(JSONLLogger(tmp_path, overwrite=True), at("on_batch_end", lambda run, _: lose(run) or 1 / 0))
    with pytest.raises(ZeroDivisionError) as info:
        run.fit(batches(), epochs=1)
    assert "run.json is a folder" in info.value.__notes__[0]


def test_a_bare_loop_writes_nothing(tmp_path, monkeypatch):
    """Without a callback that writes files there is no folder, and no record."""
    monkeypatch.chdir(tmp_path)
    trainer(log_every=Every(steps=1)).fit(batches(), epochs=1)
    assert list(tmp_path.iterdir()) == []


def test_it_is_json_for_any_tool(tmp_path):
    """The file is one JSON object with its format version first."""
    trainer(JSONLLogger(tmp_path)).fit(batches(), epochs=1)
    tree = json.loads((tmp_path / "run.json").read_text())
    assert list(tree) == ["format_version", "config", "trainer", "sessions"]


def test_settings_are_shown_as_they_are_given(tmp_path):
    """`explain` and `run.json` have no objects in them that nobody typed."""
    run = trainer(DevicePlacement("cpu"), Checkpoint(tmp_path))
    run.fit(batches(), epochs=1)
    assert "DevicePlacement(device='cpu')" in run.explain()
    shown = f"Checkpoint(folder='{tmp_path}', overwrite=False, every=Every(epochs=1), keep=3, "
    assert shown in run.explain()
    assert RunRecord.read(tmp_path).trainer["callbacks"][1].startswith(shown)
