"""Warnings name the line of the user that led to them."""

import contextlib
import re
import subprocess
import sys
from pathlib import Path

import pytest
from small_runs import at, batches, loader, trainer

import minitorch
from minitorch.serialize import FolderLock, lock
from minitorch.trainer.callbacks import Checkpoint, JSONLLogger

PACKAGE = Path(minitorch.__file__).parent


def lines(caught):
    """File and source of the lines that warnings were given at."""
    return {(w.filename, Path(w.filename).read_text().splitlines()[w.lineno - 1].strip()) for w in caught}


def test_all_warnings_are_given_in_one_way():
    """Nobody counts frames: what is called by one function more would point into minitorch."""
    calls = [path for path in PACKAGE.rglob("*.py") if re.search(r"warnings\.warn\(", path.read_text())]
    assert [path.name for path in calls] == ["warning.py"]
    assert not any("stacklevel" in path.read_text() for path in PACKAGE.rglob("*.py") if path.name != "warning.py")


def test_of_a_damaged_checkpoint_and_record(tmp_path):
    """Both are told at the line of `fit`, also through a context manager, and from a subclass of Trainer."""
    for steps in (4, 8):
        trainer(Checkpoint(tmp_path)).fit(loader(), steps=steps, resume="auto")
    checkpoints = sorted((tmp_path / "checkpoints").iterdir())
    checkpoints[-1].write_bytes(b"torn")
    (tmp_path / "run.json").write_bytes(b"torn")

    @contextlib.contextmanager
    def around():
        with pytest.warns(UserWarning, match="damaged|cannot be read") as caught:
            yield caught

    with around() as caught:
        trainer(Checkpoint(tmp_path)).fit(loader(), steps=9, resume="auto")
    assert len(caught) == 2
    assert lines(caught) == {(__file__, 'trainer(Checkpoint(tmp_path)).fit(loader(), steps=9, resume="auto")')}


def test_of_a_record_that_cannot_be_written(tmp_path):
    """At the end of the run."""

    def lose(run, *given):
        (tmp_path / "run.json").unlink()
        (tmp_path / "run.json").mkdir()

    run = trainer(JSONLLogger(tmp_path), at("on_fit_end", lose))
    with pytest.warns(UserWarning, match=r"run\.json is a folder") as caught:
        run.fit(batches(), epochs=1)
    assert lines(caught) == {(__file__, "run.fit(batches(), epochs=1)")}


def test_of_a_folder_without_locks(tmp_path, monkeypatch):
    """By itself, and by a run."""

    def refuse(file):
        raise OSError(95, "Operation not supported")

    monkeypatch.setattr(lock, "_lock", refuse)
    with pytest.warns(UserWarning, match="without locks") as caught:
        FolderLock(tmp_path).release()
    assert lines(caught) == {(__file__, "FolderLock(tmp_path).release()")}
    with pytest.warns(UserWarning, match="without locks") as caught:
        trainer(JSONLLogger(tmp_path)).fit(batches(), epochs=1)
    assert lines(caught) == {(__file__, "trainer(JSONLLogger(tmp_path)).fit(batches(), epochs=1)")}


def test_in_a_program_that_is_nothing_but_minitorch():
    """Where there is no other line, the outermost one is named."""
    code = "from minitorch.warning import warn\nwarn('told')"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stderr.splitlines()[0] == "<string>:2: UserWarning: told"  # Python 3.13 shows the line, too
