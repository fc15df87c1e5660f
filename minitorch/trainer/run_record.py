"""`RunRecord`: what a run is, on which machine, and how it ended, kept as `run.json` in its folder."""

import datetime
import json
import os
import platform
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import attrs
import numpy as np

from minitorch import random
from minitorch.config import Config
from minitorch.cpu import blas
from minitorch.cpu.onednn import library as onednn
from minitorch.errors import CheckpointError
from minitorch.serialize import check_keys
from minitorch.serialize.atomic import replacing
from minitorch.trainer.callbacks.run_files import RunFiles
from minitorch.warning import warn

if TYPE_CHECKING:
    from minitorch.trainer.trainer import Trainer

NAME = "run.json"
FORMAT_VERSION = 1
CPUINFO = Path("/proc/cpuinfo")


@attrs.define
class Session:
    """One process's part of a run: from its beginning, or from where it was resumed, to its end.

    Attributes:
        started: when, as ISO 8601 with the zone.
        command: what was typed: interpreter, program, arguments.
        process: its number.
        host: the name of the machine.
        seed: of the random numbers.
        from_step: the optimizer updates done before.
        versions: of Python and the packages that compute.
        machine: system, processor, cores, threads of BLAS, version of oneDNN.
        ended: when; None where it was killed, or is still running.
        status: "completed", "stopped", "interrupted", "terminated" or "failed".
        reason: why it ended, in words.
        state: the counters at the end.
        parameters: how many numbers the Parameters of the model have.
        seconds: how long this process took.
        timings: the measurements at the end.
        budget: by part of a step the seconds it took in all, where a ThroughputMonitor measured them.
        bill: by hook of each callback what it took: name, calls, seconds, reads, bytes.
    """

    started: str
    command: list[str]
    process: int
    host: str
    seed: int
    from_step: int
    versions: dict[str, str]
    machine: dict[str, Any]
    ended: str | None = None
    status: str | None = None
    reason: str = ""
    state: dict[str, float] = attrs.field(factory=dict)
    parameters: int = 0
    seconds: float = 0.0
    timings: dict[str, float] = attrs.field(factory=dict)
    budget: dict[str, float] = attrs.field(factory=dict)
    bill: list[dict[str, Any]] = attrs.field(factory=list)

    @classmethod
    def begin(cls, trainer: "Trainer") -> "Session":
        """That of this process, from now on."""
        import socket  # here, since most programs that import minitorch write no run

        return cls(
            started=_now(),
            command=list(sys.orig_argv),
            process=os.getpid(),
            host=socket.gethostname(),
            seed=random.get_state().seed,
            from_step=trainer.state.step,
            versions=versions(),
            machine=machine(),
        )

    def end(self, trainer: "Trainer", error: BaseException | None) -> None:
        """Note how it ended."""
        self.ended = _now()
        if isinstance(error, KeyboardInterrupt):
            self.status, self.reason = "interrupted", "ended at once (KeyboardInterrupt)"
        elif error is not None:
            self.status, self.reason = "failed", f"{type(error).__name__}: {error}"
        elif trainer.ending is not None:
            self.status, self.reason = trainer.ending
        self.measure(trainer)

    def measure(self, trainer: "Trainer") -> None:
        """Note where the run stands, and what was measured so far."""
        from minitorch.trainer.callbacks.throughput_monitor import PARTS, ThroughputMonitor  # here, as few use it

        self.state = attrs.asdict(trainer.state)
        self.parameters = sum(param.data.size for param in trainer.model.params() if param.data is not None)
        self.timings = {name: float(value) for name, value in trainer.timings.items()}
        monitors = [callback for callback in trainer.callbacks if isinstance(callback, ThroughputMonitor)]
        self.budget = {part: getattr(monitors[0].budget, name) for name, part in PARTS.items()} if monitors else {}
        self.seconds = trainer.bill.seconds
        self.bill = [
            {"name": row.name, "calls": row.calls, "seconds": row.seconds, "reads": row.reads, "bytes": row.bytes}
            for row in trainer.bill.sorted()
        ]


@attrs.define
class RunRecord:
    """A run and its sessions.

    Attributes:
        config: the settings that the newest session was made with, where they are known: `trainer.config`.
        trainer: what was trained and how, in words; as the newest session did.
        sessions: one for each process, in order.
    """

    config: dict[str, Any]
    trainer: dict[str, Any]
    sessions: list[Session]

    @classmethod
    def begin(cls, trainer: "Trainer") -> "RunRecord":
        """That of a new run."""
        return cls(dict(trainer.config), _described(trainer), [Session.begin(trainer)])

    @classmethod
    def read(cls, folder: Path) -> "RunRecord | None":
        """The record in `folder`; None where there is none.

        Raises:
            CheckpointError: it cannot be read.
        """
        path = folder / NAME
        try:
            tree = json.loads(path.read_bytes())
            check_keys("run.json", ("format_version", "config", "trainer", "sessions"), tree)
            if tree["format_version"] != FORMAT_VERSION:
                raise ValueError(f"format version {tree['format_version']}, and {FORMAT_VERSION} is read")
            sessions = [Session(**session) for session in tree["sessions"]]
            return cls(dict(tree["config"]), dict(tree["trainer"]), sessions)
        except FileNotFoundError:
            return None
        except (OSError, ValueError, TypeError, RecursionError) as error:
            raise CheckpointError(
                f"{path} cannot be read: {error}; the checkpoints beside it do not need it"
            ) from error

    @property
    def has_trained(self) -> bool:
        """Whether a process has done a step, as far as it came to say so: a killed one did not."""
        return any(session.state.get("samples", 0) > 0 for session in self.sessions)

    def files(self, folder: Path) -> list[Path]:
        """The files in `folder` that its callbacks wrote."""
        return [path for path in self._opened(folder) if path.stat().st_size]

    def empty_files(self, folder: Path) -> list[Path]:
        """Those in `folder` that its callbacks opened, and wrote nothing to."""
        return [path for path in self._opened(folder) if not path.stat().st_size]

    def _opened(self, folder: Path) -> list[Path]:
        patterns = [pattern for pattern in self.trainer.get("files", []) if ".." not in pattern and pattern[:1] != "/"]
        return [path for pattern in patterns for path in sorted(folder.glob(pattern))]

    def write(self, folder: Path) -> None:
        """Put it into `folder`, whole or not at all.

        Raises:
            CheckpointError: it cannot be written.
        """
        tree = {"format_version": FORMAT_VERSION, **attrs.asdict(self)}
        content = json.dumps(tree, indent=1, default=str).encode() + b"\n"
        with replacing(folder / NAME, len(content)) as file:
            file.write(content)


def read_or_none(folder: Path) -> RunRecord | None:
    """The record in `folder`; None where there is none, or none that can be read."""
    try:
        return RunRecord.read(folder)
    except CheckpointError:
        return None


def resumed(trainer: "Trainer", folder: Path) -> RunRecord:
    """The record of a run that goes on in `folder`, with a session for this process."""
    try:
        record = RunRecord.read(folder)
    except CheckpointError as error:
        warn(f"{error}; a new record is begun")
        record = None
    if record is None:
        return RunRecord.begin(trainer)
    now = RunRecord.begin(trainer)
    now.config = now.config or record.config
    now.trainer["optimizers"] = record.trainer.get("optimizers", now.trainer["optimizers"])  # what was saved counts
    now.trainer["files"] = sorted({*record.trainer.get("files", []), *now.trainer["files"]})
    now.sessions[:0] = record.sessions
    return now


def versions() -> dict[str, str]:
    """Of Python and of the packages that compute, those of an extra where they are in use."""
    from importlib import metadata

    found = {"python": platform.python_version(), "numpy": np.__version__}
    for name in ("minitorch", "safetensors"):
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:  # it is run from its folder, not installed
            found[name] = "not installed"
    if "cupy" in sys.modules:
        found["cupy"] = str(getattr(sys.modules["cupy"], "__version__", "unknown"))
    return found


def machine() -> dict[str, Any]:
    """System, processor, cores that this process may use, threads of BLAS, and the version of oneDNN if it is used."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return {
        "system": f"{platform.system()} {platform.release()}",
        "processor": _processor(),
        "cores": cores,
        "BLAS threads": blas.get_num_threads(),
        "oneDNN": onednn.find().version if Config.use_onednn else None,
    }


def _processor() -> str:
    if CPUINFO.exists():
        for line in CPUINFO.read_text(errors="replace").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.machine()


def _described(trainer: "Trainer") -> dict[str, Any]:
    return {
        "class": type(trainer).__name__,
        "model": repr(trainer.model),
        "optimizers": {name or "optimizer": _optimizer(o.state_dict()) for name, o in trainer.optimizers.items()},
        "callbacks": [repr(callback) for callback in trainer.callbacks],
        "files": sorted({pattern for c in trainer.callbacks if isinstance(c, RunFiles) for pattern in c.patterns}),
    }


def _optimizer(state: Mapping[str, Any]) -> dict[str, Any]:
    return {"class": state["class"], **state["hyperparameters"], "groups": state["groups"]}


def _now() -> str:
    return datetime.datetime.now().astimezone().isoformat(timespec="seconds")
