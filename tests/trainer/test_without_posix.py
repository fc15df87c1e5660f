"""A system without what is of POSIX alone, such as Windows: runs are locked, saved and resumed there."""

import ast
import os
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

import minitorch
from minitorch.errors import InUseError
from minitorch.serialize import FolderLock, lock
from minitorch.trainer.callbacks import Checkpoint
from minitorch.trainer.run_record import RunRecord

PACKAGE = Path(minitorch.__file__).parent
POSIX = ("fcntl", "resource", "termios", "tty", "pty", "pwd", "grp", "syslog", "posix_ipc")

# What Windows has not is taken away before minitorch is imported; `msvcrt` locks by the real flock, so that a second
# holder is really refused, in this process and in others.
PROGRAM = f"""
    import errno, os, signal, subprocess, sys, types  # subprocess: it takes a module named msvcrt for Windows

    import fcntl as real

    def locking(file, mode, count):
        calls.append((os.lseek(file, 0, os.SEEK_CUR), mode, count))
        try:
            real.flock(file, real.LOCK_EX | real.LOCK_NB)
        except OSError:
            raise OSError(errno.EACCES, "Permission denied") from None  # as Windows says it

    calls = []
    for name in {POSIX}:
        sys.modules[name] = None
    if "locks" in sys.argv:
        sys.modules["msvcrt"] = types.SimpleNamespace(locking=locking, LK_NBLCK=2)
    for name in ("fork", "register_at_fork", "sched_getaffinity", "getuid", "geteuid", "getpgid", "killpg", "mkfifo"):
        delattr(os, name)
    for name in ("SIGKILL", "SIGHUP", "SIGQUIT", "SIGALRM", "SIGUSR1", "SIGUSR2", "pthread_kill", "setitimer"):
        delattr(signal, name)

    from minitorch import Every
    from minitorch.errors import ConfigError, InUseError
    from minitorch.serialize import is_held, lock
    from minitorch.trainer.callbacks import Chaos, Checkpoint, CSVLogger, JSONLLogger, ProgressBar, RunReport
    from small_runs import at, loader, trainer

    folder = sys.argv[1]

    def wait(run, outputs):
        if run.state.step == 3 and "locks" in sys.argv:
            assert is_held(run.callbacks[-1].folder)
            try:
                trainer(JSONLLogger(folder)).fit(loader(), epochs=1)
            except InUseError as error:
                print(error, flush=True)
            print("held", flush=True)
            sys.stdin.readline()

    def run(steps):
        writers = [kind(folder) for kind in (JSONLLogger, CSVLogger, RunReport)]
        saver = Checkpoint(folder, every=Every(steps=2), background=True)
        run = trainer(at("on_batch_end", wait), ProgressBar(), *writers, saver)
        return run.fit(loader(), steps=steps, resume="auto")

    print(run(4).state.step, run(8).state.step)
    try:
        Chaos([1], "SIGKILL")
    except ConfigError as error:
        print(error)
    print(trainer(Chaos([2], "SIGINT")).fit(loader(), epochs=1).status)
    print(set(calls) <= {{(lock._FAR, 2, 1)}}, len(calls) > 3)
"""


def start(*arguments):
    """The program, on its way."""
    path = os.pathsep.join([os.path.dirname(__file__), *filter(None, [os.environ.get("PYTHONPATH")])])
    return subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(PROGRAM), *map(str, arguments)],
        env={**os.environ, "PYTHONPATH": path},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


@pytest.mark.skipif(os.name == "nt", reason="there is nothing to take away")
def test_a_run_is_locked_saved_and_resumed(tmp_path):
    """By the locks of Windows: a second run is refused, in the same process and in another, and none is left behind."""
    with start(tmp_path, "locks") as process:
        try:
            refused = process.stdout.readline()
            assert f"{tmp_path} is in use by another run of this process" in refused, process.stderr.read()
            assert process.stdout.readline() == "held\n"
            with pytest.raises(InUseError, match=f"in use by process {process.pid} on "):
                FolderLock(tmp_path)
            out, err = process.communicate("go on\n" * 2, timeout=60)
        finally:
            process.kill()
    assert (process.returncode, err) == (0, "")
    assert out.splitlines() == [
        "4 8",
        "Chaos: action is 'SIGKILL', a signal that this system has not; take 'SIGTERM'",
        "interrupted",
        "True True",
    ]
    FolderLock(tmp_path).release()
    assert [int(path.stem[5:]) for path in Checkpoint(tmp_path).files()] == [4, 6, 8]
    assert [session.from_step for session in RunRecord.read(tmp_path).sessions] == [0, 4]


@pytest.mark.skipif(os.name == "nt", reason="there is nothing to take away")
def test_a_system_without_any_locks_says_so(tmp_path):
    """The run goes on, with a warning."""
    with start(tmp_path) as process:
        out, err = process.communicate(timeout=60)
    assert (process.returncode, out.splitlines()[0]) == (0, "4 8")
    assert "is on a file system without locks; see that no other process uses it" in err


def test_what_is_of_one_system_is_imported_where_it_may_fail():
    """At the top of a module no name of POSIX or Windows is imported but inside `suppress(ImportError)`."""
    for path in PACKAGE.rglob("*.py"):
        names = {
            alias.name
            for node in ast.parse(path.read_text()).body
            if isinstance(node, ast.Import | ast.ImportFrom)
            for alias in node.names
        }
        assert not names & {*POSIX, "msvcrt", "winreg", "_winapi"}, path
    assert lock.fcntl is not None or lock.msvcrt is not None
