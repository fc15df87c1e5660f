"""The folders of runs: a new one for each, and no two runs in one, whatever happened to the first."""

import os
import signal
import subprocess
import sys
import textwrap
import warnings
from pathlib import Path

import pytest
from small_runs import at, batches, loader, trainer

from minitorch import Every
from minitorch.errors import CheckpointError, ConfigError, InUseError
from minitorch.serialize import FolderLock, is_held, lock
from minitorch.trainer import run_folder
from minitorch.trainer.callbacks import Checkpoint, CSVLogger, JSONLLogger, NaNGuard, Profile
from minitorch.trainer.run_record import RunRecord

# Folders of their own ------------------------------------------------------------------------------------------------


def test_each_run_gets_a_new_folder(tmp_path):
    """They are numbered from 001, and made at once, so that two programs cannot get the same."""
    assert [run_folder(tmp_path / "mnist").name for _ in range(3)] == ["001", "002", "003"]
    (tmp_path / "mnist" / "notes").mkdir()
    (tmp_path / "mnist" / "0099").write_text("a file")
    (tmp_path / "mnist" / "1000").mkdir()
    assert run_folder(str(tmp_path / "mnist")) == tmp_path / "mnist" / "1001"


def test_to_resume_gets_the_newest_folder_or_that_of_the_checkpoint(tmp_path):
    """The newest is that of the greatest number; without one a new folder is made."""
    assert run_folder(tmp_path, "auto").name == "001"
    run_folder(tmp_path)
    assert run_folder(tmp_path, "auto") == tmp_path / "002"
    saved = trainer(Checkpoint(tmp_path / "001")).fit(batches(), epochs=1).checkpoint
    assert run_folder(tmp_path, saved) == tmp_path / "001"


def test_two_programs_that_ask_at_once_get_two_folders(tmp_path, monkeypatch):
    """Where another process makes the folder first, the next number is taken."""
    mkdir = Path.mkdir

    def mkdir_after_another(path, *args, **settings):
        monkeypatch.setattr(Path, "mkdir", mkdir)
        mkdir(path, parents=True)
        mkdir(path, *args, **settings)

    monkeypatch.setattr(Path, "mkdir", mkdir_after_another)
    assert run_folder(tmp_path).name == "002"


START = """
    import sys
    sys.path.insert(0, {here!r})
    from small_runs import at, batches, trainer
    from minitorch.trainer import run_folder
    from minitorch.trainer.callbacks import Checkpoint, JSONLLogger

    folder = run_folder({parent!r})
    run = lambda hook: trainer(at(hook, lambda *_: 1 / 0), JSONLLogger(folder), Checkpoint(folder))
"""


@pytest.mark.parametrize(
    ("then", "left"),
    [
        ("raise ValueError", []),
        ("(folder / 'x').touch()", ["001"]),
        ("run('on_batch_start').fit(batches(), epochs=1)", []),
        ("run('on_after_backward').fit(batches(), epochs=1)", []),
        ("(folder / 'notes').write_text('mine'); run('on_batch_start').fit(batches(), epochs=1)", ["001"]),
        ("run('on_batch_end').fit(batches(), epochs=1)", ["001"]),
        ("import os, signal\nos.kill(os.getpid(), signal.SIGKILL)", ["001"]),
    ],
)
def test_a_failed_start_leaves_no_folder(tmp_path, then, left):
    """Where nothing was trained, the folder goes when the program ends, unless somebody has put something into it."""
    program = textwrap.dedent(START.format(here=str(Path(__file__).parent), parent=str(tmp_path))) + then
    subprocess.run([sys.executable, "-c", program], capture_output=True, check=False)
    assert [path.name for path in tmp_path.iterdir()] == left


def test_a_failed_start_in_a_notebook_leaves_its_number(tmp_path):
    """There the program goes on: the next run takes the folder of the failed one, but none of a run that trained."""
    for hook, then in (("on_batch_start", "001"), ("on_batch_end", "002"), ("on_batch_start", "002")):
        folder = run_folder(tmp_path)
        with pytest.raises(ZeroDivisionError):
            trainer(at(hook, lambda *_: 1 / 0), JSONLLogger(folder)).fit(batches(), epochs=1)
        assert run_folder(tmp_path).name == then
        (tmp_path / then).rmdir()


def test_a_folder_of_runs_that_cannot_be_made(tmp_path):
    """A file is in the way, or the checkpoint to resume is not there: said before anything is written."""
    (tmp_path / "file").touch()
    with pytest.raises(
        CheckpointError, match=r"file/001 cannot be made \(Not a directory\); choose another folder for the runs$"
    ):
        run_folder(tmp_path / "file")
    with pytest.raises(CheckpointError, match=r"none\.safetensors does not exist; in its folder there is no"):
        run_folder(tmp_path, tmp_path / "none.safetensors")
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


# One run after another -----------------------------------------------------------------------------------------------


def test_all_that_would_be_overwritten_is_named(tmp_path):
    """One message for all callbacks of the folder, with those that lack the permission and what would go."""
    trainer(Checkpoint(tmp_path), CSVLogger(tmp_path), JSONLLogger(tmp_path)).fit(batches(), epochs=1)
    second = trainer(Checkpoint(tmp_path), CSVLogger(tmp_path, overwrite=True), JSONLLogger(tmp_path))
    with pytest.raises(ConfigError) as info:
        second.fit(batches(), epochs=1)
    assert str(info.value) == (
        f"Checkpoint, JSONLLogger: {tmp_path} has files of an earlier run: "
        "checkpoints/step-00000004.safetensors, epochs.csv, metrics.jsonl; "
        'pass resume="auto" to fit to go on with it, choose another folder, or pass overwrite=True'
    )
    assert (tmp_path / "epochs.csv").stat().st_size > 0


@pytest.mark.parametrize("make", [lambda f, **o: Profile(f, range(1, 3), **o), CSVLogger, JSONLLogger, Checkpoint])
def test_every_writer_keeps_to_the_rule(tmp_path, make):
    """A second run is refused, whatever writes the files, and allowed by `overwrite=True`."""
    trainer(make(tmp_path)).fit(batches(), epochs=1)
    with pytest.raises(ConfigError, match="has files of an earlier run"):
        trainer(make(tmp_path)).fit(batches(), epochs=1)
    trainer(make(tmp_path, overwrite=True)).fit(batches(), epochs=1)


def test_a_run_that_wrote_nothing_is_in_nobodys_way(tmp_path):
    """One that failed in its first step can be started again as it was."""
    fail = at("on_batch_start", lambda trainer, batch: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        trainer(fail, JSONLLogger(tmp_path), Checkpoint(tmp_path)).fit(batches(), epochs=1)
    trainer(JSONLLogger(tmp_path), Checkpoint(tmp_path)).fit(batches(), epochs=1)


def test_a_run_of_other_callbacks_is_refused_too(tmp_path):
    """Its files would lie beside those of the earlier one as if they were of one run, and run.json tell of one only."""
    trainer(Checkpoint(tmp_path, every=Every(steps=1), keep=None), CSVLogger(tmp_path)).fit(batches(), epochs=1)
    before = (tmp_path / "run.json").read_bytes()
    for overwrite in (False, True):
        with pytest.raises(ConfigError) as info:
            trainer(JSONLLogger(tmp_path, overwrite=overwrite)).fit(batches(), epochs=1)
        assert str(info.value) == (
            f"{tmp_path} has files of an earlier run, of callbacks that this one has not: epochs.csv, "
            "checkpoints/step-00000004.safetensors, checkpoints/step-00000003.safetensors and 2 more; choose another "
            "folder, or delete them"
        )
    assert (tmp_path / "run.json").read_bytes() == before
    assert not (tmp_path / "metrics.jsonl").exists()
    run = trainer(JSONLLogger(tmp_path), Checkpoint(tmp_path, overwrite=True), CSVLogger(tmp_path, overwrite=True))
    assert run.fit(batches(), epochs=1).state.step == 4


def test_a_record_alone_is_not_replaced(tmp_path):
    """A callback that has written no file has its run in run.json; a run that failed in its first step has none."""
    fail = at("on_batch_start", lambda trainer, batch: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        trainer(fail, NaNGuard(tmp_path)).fit(batches(), epochs=1)
    trainer(NaNGuard(tmp_path)).fit(batches(), epochs=1)
    with pytest.raises(
        ConfigError,
        match=r"^NaNGuard: .* has the record of an earlier run, run\.json; choose another folder, pass overwrite=True",
    ):
        trainer(NaNGuard(tmp_path)).fit(batches(), epochs=1)
    trainer(NaNGuard(tmp_path, overwrite=True)).fit(batches(), epochs=1)
    (tmp_path / "run.json").write_bytes(b"torn")
    trainer(NaNGuard(tmp_path)).fit(batches(), epochs=1)


def test_patterns_of_a_record_stay_in_its_folder(tmp_path):
    """They are looked for where the record lies, whatever somebody has written into it."""
    (tmp_path / "secret").write_text("x")
    folder = tmp_path / "run"
    record = RunRecord({}, {"files": ["../secret", "/etc/passwd", "*.csv"]}, [])
    trainer(CSVLogger(folder)).fit(batches(), epochs=1)
    assert record.files(folder) == [folder / "epochs.csv"]


# Two runs at once ----------------------------------------------------------------------------------------------------


def test_a_second_run_at_the_same_time_is_refused(tmp_path):
    """A folder is held from the beginning of `fit` to its end, whether it ends well or not."""
    seen = []

    def intrude(run):
        assert is_held(tmp_path)
        with pytest.raises(InUseError) as info:
            trainer(JSONLLogger(tmp_path, overwrite=True)).fit(batches(), epochs=1, resume=None)
        seen.append(str(info.value))
        if run.state.epoch == 1:
            raise ZeroDivisionError

    run = trainer(at("on_epoch_start", intrude), Checkpoint(tmp_path), JSONLLogger(tmp_path))
    with pytest.raises(ZeroDivisionError):
        run.fit(batches(), epochs=2)
    assert not is_held(tmp_path)
    assert len(seen) == 2
    assert f"{tmp_path} is in use by another run of this process, process {os.getpid()} on " in seen[0]
    assert seen[0].endswith("; wait for it to end, end it, or choose another folder")
    trainer(JSONLLogger(tmp_path, overwrite=True), Checkpoint(tmp_path, overwrite=True)).fit(batches(), epochs=1)


def test_a_run_that_gets_one_of_two_folders_gives_it_back(tmp_path):
    """Refused at the second folder, it leaves the first free."""
    held = FolderLock(tmp_path / "b")
    with pytest.raises(InUseError):
        trainer(JSONLLogger(tmp_path / "a"), CSVLogger(tmp_path / "b")).fit(batches(), epochs=1)
    assert not is_held(tmp_path / "a")
    held.release()


RACE = """
    import sys
    from minitorch import Every
    from minitorch.trainer.callbacks import Checkpoint, JSONLLogger
    from small_runs import at, loader, trainer

    folder, steps = sys.argv[1], int(sys.argv[2])

    def tell(run, outputs):
        print(run.state.step, flush=True)
        if run.state.step == 3:
            sys.stdin.readline()  # until the test lets it go on

    run = trainer(at("on_batch_end", tell), JSONLLogger(folder), Checkpoint(folder, every=Every(steps=1)))
    run.fit(loader(), steps=steps, resume="auto")
"""


def racer(folder, steps):
    """A process that trains in `folder`, and waits after its third step for a line of input."""
    path = os.pathsep.join([os.path.dirname(__file__), *filter(None, [os.environ.get("PYTHONPATH")])])
    return subprocess.Popen(
        [sys.executable, "-W", "error", "-c", textwrap.dedent(RACE), str(folder), str(steps)],
        env={**os.environ, "PYTHONPATH": path},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def test_two_processes_that_race_for_one_folder(tmp_path):
    """One gets it, the other an error that names the first; when the first is killed, the next goes on with its run."""
    whole = tmp_path / "whole"
    trainer(JSONLLogger(whole), Checkpoint(whole, every=Every(steps=1))).fit(loader(), steps=8)
    folder = tmp_path / "run"
    both = [racer(folder, 8), racer(folder, 8)]
    try:
        # whoever loses ends; whoever wins is in its third step and waits
        while all(process.poll() is None for process in both):
            os.sched_yield()
        loser, winner = both if both[0].poll() is not None else both[::-1]
        _, errors = loser.communicate(timeout=60)
        assert loser.returncode == 1
        assert f"InUseError: {folder} is in use by process {winner.pid} on " in errors
        while winner.stdout.readline() != "3\n":
            pass
        assert is_held(folder)
        winner.send_signal(signal.SIGKILL)
        winner.wait(60)
        assert not is_held(folder)  # the file of the lock is there, and nobody holds it
        assert (folder / lock.NAME).exists()
        trainer(JSONLLogger(folder), Checkpoint(folder, every=Every(steps=1))).fit(loader(), steps=8, resume="auto")
    finally:
        for process in both:
            process.kill()
            process.communicate()
    assert (folder / "metrics.jsonl").read_bytes() == (whole / "metrics.jsonl").read_bytes()


def test_a_folder_that_cannot_be_made(tmp_path):
    """A path through a file is refused with advice."""
    (tmp_path / "file").write_text("mine")
    with pytest.raises(CheckpointError, match=r"file/run cannot be written to \(.*\); choose another folder for the"):
        trainer(JSONLLogger(tmp_path / "file" / "run")).fit(batches(), epochs=1)


def test_a_file_system_without_locks(tmp_path, monkeypatch):
    """There the run goes on, with a warning that it is not protected."""

    def refuse(file):
        raise OSError(95, "Operation not supported")

    monkeypatch.setattr(lock, "_lock", refuse)
    with pytest.warns(UserWarning, match="is on a file system without locks; see that no other process uses it"):
        trainer(JSONLLogger(tmp_path)).fit(batches(), epochs=1)


def test_a_glance_at_a_folder_is_in_nobodys_way(tmp_path, monkeypatch):
    """Who asks whether a folder is held has it for a moment, in which no run is refused."""
    real, calls = lock._lock, []

    def taken_at_first(file):
        calls.append(file)
        if len(calls) == 1:
            raise BlockingIOError(11, "Resource temporarily unavailable")
        real(file)

    monkeypatch.setattr(lock, "_lock", taken_at_first)
    FolderLock(tmp_path).release()
    assert len(calls) == 2


@pytest.mark.parametrize("content", [b"", b"\xff\xfe", b"process x on y", b"process 1 on a\nb since 2026\n"])
def test_a_lock_file_of_something_else_is_not_repeated(tmp_path, content):
    """What is printed of the file has the form in which it was written."""
    held = FolderLock(tmp_path)
    (tmp_path / lock.NAME).write_bytes(content)
    with pytest.raises(InUseError, match="is in use by another process; wait"):
        FolderLock(tmp_path)
    held.release()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        FolderLock(tmp_path).release()
