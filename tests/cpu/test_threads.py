"""Threads of the host: every task runs once, errors arrive, BLAS is put back, and the number of threads is known."""

import os
import signal
import subprocess
import sys
import threading
import time
from types import SimpleNamespace

import numpy as np
import pytest

import minitorch
from minitorch import Config, using_config
from minitorch.cpu import blas, threads
from minitorch.cpu.blocks import in_blocks
from minitorch.errors import ConfigError


@pytest.mark.skipif(not hasattr(signal, "pthread_kill"), reason="needs a signal to a thread")
def test_an_interrupt_waits_for_the_tasks_under_way(monkeypatch):
    """Who catches the exception of a signal's handler finds nobody writing any more."""
    main, begun, waiting, done = threading.current_thread(), threading.Barrier(2), threading.Event(), []

    class Job(threads._Job):
        """Tells when its caller begins to wait for it."""

        def wait(self):
            lock = self.done
            self.done = SimpleNamespace(acquire=lambda: waiting.set() or lock.acquire(), release=lock.release)
            super().wait()

    def task(i):
        begun.wait(30)
        if threading.current_thread() is not main:
            waiting.wait(30)
            signal.pthread_kill(main.ident, signal.SIGALRM)
            time.sleep(0.1)
        done.append(i)

    def interrupt(*args):
        raise InterruptedError

    monkeypatch.setattr(threads, "_Job", Job)
    before = signal.signal(signal.SIGALRM, interrupt)
    minitorch.set_num_threads(2)
    try:
        with pytest.raises(InterruptedError):
            threads.parallel(task, 2)
        assert len(done) == 2
    finally:
        signal.signal(signal.SIGALRM, before)


@pytest.mark.parametrize("n", [1, 2, 5])
@pytest.mark.parametrize("count", [0, 1, 2, 100])
def test_every_task_runs_once(n, count):
    """Whatever the number of threads, each task runs once, and all before `parallel` returns."""
    minitorch.set_num_threads(n)
    runs = [0] * count

    def task(i):
        runs[i] += 1

    for _ in range(20):
        threads.parallel(task, count)
    assert runs == [20] * count


def test_tasks_run_at_the_same_time():
    """With two threads, two tasks are under way at once."""
    minitorch.set_num_threads(2)
    both = threading.Barrier(2, timeout=60)
    threads.parallel(lambda i: both.wait(), 2)


def test_few_short_tasks_wake_nobody_up():
    """A second thread comes when there are `per_thread` tasks for each of two; below that one does them all."""
    minitorch.set_num_threads(2)
    seen = []
    threads.parallel(lambda i: seen.append(threading.current_thread()), 5, per_thread=3)
    assert seen == [threading.current_thread()] * 5
    both = threading.Barrier(2, timeout=30)
    threads.parallel(lambda i: both.wait(), 6, per_thread=3)


def test_a_task_may_call_parallel():
    """Inner tasks run too, also when all threads are busy with outer ones."""
    minitorch.set_num_threads(3)
    runs = np.zeros((6, 6), int)

    def outer(i):
        threads.parallel(lambda j: runs.__setitem__((i, j), runs[i, j] + 1), 6)

    threads.parallel(outer, 6)
    assert (runs == 1).all()


def test_tasks_see_the_callers_choice_of_onednn():
    """A task computes by oneDNN or not as its caller has said, whichever thread it runs on."""
    minitorch.set_num_threads(3)
    barrier = threading.Barrier(3, timeout=60)  # so that each thread gets one task

    def task(i):
        seen.append(Config.use_onednn)
        barrier.wait()

    for flag in (False, True, False):
        seen = []
        with using_config("use_onednn", flag):
            threads.parallel(task, 3)
        assert seen == [flag] * 3


@pytest.mark.parametrize("n", [1, 3])
def test_an_error_of_a_task_arrives(n):
    """It is raised by `parallel`, later tasks are not begun, and the threads work on."""
    minitorch.set_num_threads(n)
    begun = []

    def task(i):
        begun.append(i)
        raise ValueError(f"task {i}")

    with pytest.raises(ValueError, match="task"):
        threads.parallel(task, 1000)
    assert len(begun) <= n
    test_every_task_runs_once(n, 100)


def test_parallel_holds_nothing():
    """When `parallel` has returned, the threads keep no array of the task alive."""
    import weakref

    minitorch.set_num_threads(2)
    data = np.ones(10)
    kept = weakref.ref(data)
    threads.parallel(lambda i, data=data: data.sum(), 1000)
    del data
    deadline = threading.Event()
    for _ in range(100):
        if kept() is None:
            break
        deadline.wait(0.05)  # until a late helper has looked at the finished job
    assert kept() is None


def test_several_callers():
    """Threads of the user may call `parallel` at the same time."""
    minitorch.set_num_threads(2)
    sums = np.zeros(4)

    def caller(k):
        parts = np.zeros(50)
        threads.parallel(lambda i: parts.__setitem__(i, i), 50)
        sums[k] = parts.sum()

    callers = [threading.Thread(target=caller, args=(k,)) for k in range(4)]
    for thread in callers:
        thread.start()
    for thread in callers:
        thread.join()
    assert sums.tolist() == [sum(range(50))] * 4


def test_blas_has_one_thread_inside():
    """Tasks compute with one thread of BLAS; its number is put back after them, errors included."""
    if blas.get_num_threads() is None:
        pytest.skip("the BLAS library under NumPy does not tell")
    minitorch.set_num_threads(2)
    assert blas.get_num_threads() == 2
    seen = []
    threads.parallel(lambda i: seen.append(blas.get_num_threads()), 3)
    assert seen == [1, 1, 1]
    with pytest.raises(ZeroDivisionError):
        threads.parallel(lambda i: 1 / 0, 1)
    assert blas.get_num_threads() == 2


def test_blas_that_does_not_obey(monkeypatch):
    """Where the library has no such functions, everything works all the same."""
    monkeypatch.setattr(blas, "_controls", lambda: None)
    assert blas.get_num_threads() is None
    minitorch.set_num_threads(2)
    threads.parallel(lambda i: None, 2)


def test_set_num_threads():
    """What is set is what is got."""
    minitorch.set_num_threads(3)
    assert minitorch.get_num_threads() == 3


@pytest.mark.parametrize("n", [0, -1, 1.5, True, "2", None])
def test_set_num_threads_checks(n):
    """Only positive integers are numbers of threads."""
    with pytest.raises(ConfigError, match="the number of threads is a positive integer"):
        minitorch.set_num_threads(n)


@pytest.mark.parametrize(("said", "expected"), [("3", 3), ("0", 1), ("", None), ("two", None)])
def test_default_number(said, expected):
    """By default it is OMP_NUM_THREADS where that is a number, else that of the physical cores."""
    code = "import minitorch; from minitorch.cpu.threads import physical_cores\n"
    code += "print(minitorch.get_num_threads(), physical_cores())"
    env = {**os.environ, "OMP_NUM_THREADS": said}
    out = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True, check=True).stdout
    found, cores = map(int, out.split())
    assert found == (cores if expected is None else expected)


@pytest.mark.skipif(not hasattr(os, "sched_getaffinity"), reason="only Linux says which threads share a core")
@pytest.mark.parametrize(
    ("quota", "expected"), [("", 4), ("max 100000", 4), ("200000 100000", 2), ("1000 100000", 1), ("900000 100000", 4)]
)
def test_physical_cores(monkeypatch, quota, expected):
    """Hardware threads of one core count once, and a control group may allow less."""
    files = {f"/sys/devices/system/cpu/cpu{i}/topology/core_cpus_list": f"{i % 4},{i % 4 + 4}" for i in range(8)}
    files["/sys/fs/cgroup/cpu.max"] = quota
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: set(range(8)))
    monkeypatch.setattr(threads, "_read", lambda path: files.get(path, ""))
    assert threads.physical_cores() == expected


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")
def test_after_a_fork():
    """A child of a process whose threads run has threads of its own."""
    code = (
        "import os, minitorch, numpy as np\n"
        "from minitorch.cpu.threads import parallel\n"
        "minitorch.set_num_threads(2)\n"
        "parallel(lambda i: None, 2)\n"
        "child = os.fork()\n"
        "runs = []\n"
        "parallel(runs.append, 4)\n"
        "assert sorted(runs) == [0, 1, 2, 3]\n"
        "if child: assert os.waitpid(child, 0)[1] == 0"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)


def test_in_blocks(monkeypatch):
    """A function is applied to the same rows of each array, and all rows are done once."""
    monkeypatch.setattr("minitorch.cpu.blocks.BLOCK_BYTES", 100)
    minitorch.set_num_threads(2)
    x, y = np.arange(60.0).reshape(20, 3), np.zeros(20)
    seen = []

    def f(x, y):
        seen.append(len(x))
        y += x.sum(axis=1)

    in_blocks(f, x, y)
    np.testing.assert_array_equal(y, x.sum(axis=1))
    assert len(seen) > 1
    assert sum(seen) == 20


def test_in_blocks_of_nothing():
    """No rows, no call."""
    in_blocks(lambda x: 1 / 0, np.zeros((0, 3)))
