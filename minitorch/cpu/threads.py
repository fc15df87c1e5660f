"""Threads for array kernels: a kernel cuts its work into tasks, and `parallel` shares them out.

The cut never depends on the number of threads, and within a task the BLAS library under NumPy computes on one thread:
so results are the same bits whatever the number, and the two pools of threads do not fight over the cores.
"""

import os
import threading
from collections.abc import Callable
from queue import SimpleQueue

import numpy as np

from minitorch.config import Config
from minitorch.cpu import blas
from minitorch.errors import ConfigError

Task = Callable[[int], None]

_wanted: int | None = None  # what set_num_threads said


def get_num_threads() -> int:
    """How many threads the kernels of minitorch use on the host.

    Unless `set_num_threads` was called, that is OMP_NUM_THREADS if this environment variable is set to a number, else
    the number of physical cores that the process may use.
    """
    global _wanted
    if _wanted is None:
        said = os.environ.get("OMP_NUM_THREADS", "")
        _wanted = max(1, int(said)) if said.isdecimal() else physical_cores()
    return _wanted


def set_num_threads(n: int) -> None:
    """Compute on `n` threads from now on: the kernels of minitorch, and the BLAS library under NumPy where it obeys.

    Raises:
        ConfigError: `n` is not a positive integer.
    """
    global _wanted
    if isinstance(n, bool) or not isinstance(n, int | np.integer) or n < 1:
        raise ConfigError(f"set_num_threads: got {n!r}; the number of threads is a positive integer")
    _wanted = int(n)
    blas.set_num_threads(_wanted)


def physical_cores() -> int:
    """How many cores this process may use: those of its affinity mask, less where a control group allows less.

    Two hardware threads of a core count once (Linux only): products of matrices gain nothing from the second.
    """
    if not hasattr(os, "sched_getaffinity"):
        return os.cpu_count() or 1
    cpus = os.sched_getaffinity(0)
    cores = {_read(f"/sys/devices/system/cpu/cpu{i}/topology/core_cpus_list") or str(i) for i in cpus}
    quota, _, period = _read("/sys/fs/cgroup/cpu.max").partition(" ")
    if quota.isdecimal() and period.isdecimal():
        return max(1, min(len(cores), round(int(quota) / int(period))))
    return len(cores)


def _read(path: str) -> str:
    try:
        with open(path, encoding="ascii") as file:
            return file.read().strip()
    except OSError:
        return ""


def parallel(task: Task, count: int, *, per_thread: int = 1) -> None:
    """Run `task(0)`, ..., `task(count - 1)`, each once, in any order and several at a time; return when all are done.

    A thread is woken up for `per_thread` tasks or more: about 0.2 ms of work in all are done as fast by one.

    Tasks must not depend on each other, and write to different places. A task that calls `parallel` itself runs the
    inner tasks on its own thread. An exception of a task is raised here, after the tasks that had begun.
    """
    helpers = 0 if _here.is_helping else min(get_num_threads(), count // per_thread) - 1
    with blas.on_one_thread:
        if helpers < 1:
            for i in range(count):
                task(i)
            return
        job = _Job(task, count)
        _pool.help(job, helpers)
        job.work()
        job.wait()


class _Job:
    """Tasks being shared out: whoever works on it takes the next one until none is left.

    The caller waits for tasks, not for threads: a helper that wakes up late, on a busy machine, finds nothing to do
    and holds nobody up.
    """

    def __init__(self, task: Task, count: int) -> None:
        self.task: Task | None = task
        self.use_onednn = Config.use_onednn  # of the caller: flags are per thread, and who computes changes no bit
        self.left = count  # tasks that nobody has taken
        self.unfinished = count
        self.error: BaseException | None = None
        self.lock = threading.Lock()
        self.done = threading.Lock()
        self.done.acquire()

    def work(self) -> None:
        """Run tasks until none is left to take."""
        while True:
            with self.lock:
                task = self.task
                if not self.left or task is None:
                    return
                self.left -= 1
                i = self.left
            try:
                task(i)
            except BaseException as error:  # whatever it is, it belongs to the caller
                with self.lock:
                    self.error = self.error or error
                    self.unfinished -= self.left  # the tasks that nobody has taken are not run
                    self.left = 0
            with self.lock:
                self.unfinished -= 1
                if not self.unfinished:
                    self.done.release()

    def wait(self) -> None:
        """Return when every task has run; raise what one of them raised."""
        try:
            self.done.acquire()
        except BaseException:  # of a signal's handler: whoever catches it must not find tasks still writing
            with self.lock:
                running = self.unfinished
            if running:
                self.done.acquire()
            raise
        finally:
            with self.lock:
                self.task, self.left = None, 0  # a helper that comes late must not keep the arrays of the task alive
        if self.error is not None:
            raise self.error


class _Here(threading.local):
    """Whether this thread is one of the pool's."""

    is_helping = False


_here = _Here()


class _Pool:
    """Threads that wait for jobs; started when first needed, never stopped."""

    def __init__(self) -> None:
        self.jobs: SimpleQueue[_Job] = SimpleQueue()
        self.size = 0
        self.lock = threading.Lock()

    def help(self, job: _Job, helpers: int) -> None:
        """Wake `helpers` threads up for `job`."""
        if self.size < helpers:
            with self.lock:
                for i in range(self.size, helpers):
                    threading.Thread(target=self._serve, name=f"minitorch-{i + 1}", daemon=True).start()
                    self.size += 1
        for _ in range(helpers):
            self.jobs.put(job)

    def _serve(self) -> None:
        _here.is_helping = True
        while True:
            job = self.jobs.get()
            Config.use_onednn = job.use_onednn
            job.work()
            del job  # while this thread waits it must not keep the arrays of the task alive


_pool = _Pool()


def _forget_threads() -> None:
    """After a fork: the child has none of the threads of its parent."""
    global _pool
    _pool = _Pool()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_threads)
