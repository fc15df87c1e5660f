"""Runs the contestants of a workload in turn, A B C A B C ..., each in a warm process of its own."""

import contextlib
import multiprocessing
import os
import time
from collections.abc import Callable, Sequence
from typing import Any

from benchmarks import machine
from benchmarks.race import Failure, compete
from benchmarks.results import Entry, Results
from benchmarks.workload import Contestant, load

PAUSE = 0.1  # seconds between turns: threads of the contestant before may still spin for some milliseconds
PATIENCE = 300  # seconds without a word after which a contestant counts as hung

# Everybody computes on the CPU, also where there is a GPU.
ENVIRONMENT = {"CUDA_VISIBLE_DEVICES": "", "JAX_PLATFORMS": "cpu"}

Say = Callable[[str], None]


class Entrant:
    """The process of a contestant, seen from outside."""

    def __init__(self, module: str, contestant: Contestant, rounds: int, sizes: dict[str, int]) -> None:
        context = multiprocessing.get_context("spawn")
        self.entry = Entry(contestant.name)
        self.pipe, theirs = context.Pipe()
        self.process = context.Process(target=compete, args=(theirs, module, contestant.name, rounds, sizes))
        self.process.start()
        theirs.close()

    def settle(self) -> None:
        """Wait until it has set up."""
        self.entry.ready = self._receive()

    def turn(self) -> None:
        """Let it run one round."""
        with contextlib.suppress(OSError):  # it has died; `_receive` says how
            self.pipe.send("go")
        lap = self._receive()
        if lap is not None:
            self.entry.laps.append(lap)

    def leave(self) -> None:
        """End the process, which has nothing to wait for once the pipe is closed."""
        self.pipe.close()
        self.process.join(5)
        if self.process.is_alive():
            self.process.terminate()
            self.process.join()

    def _receive(self) -> Any:
        """What it says; None, with the reason noted, where it has failed."""
        try:
            if not self.pipe.poll(PATIENCE):
                self.entry.error = f"it did not answer for {PATIENCE} s"
                return None
            said = self.pipe.recv()
        except (EOFError, OSError):
            self.process.join(5)
            self.entry.error = f"its process died with exit code {self.process.exitcode}"
            return None
        if isinstance(said, Failure):
            self.entry.error = said.error
            return None
        return said


def run(module: str, *, rounds: int, quick: bool, only: Sequence[str] = (), say: Say = print) -> Results:
    """Run the workload `module` and return what was measured.

    Args:
        module: the name of the workload, or the module that defines it.
        rounds: that count; before them there is a warm-up.
        quick: whether to use the sizes of a smoke test.
        only: run only contestants with one of these texts in their names; all by default.
        say: is told how it goes.
    """
    workload = load(module)
    rounds = min(rounds, workload.rounds or rounds)
    os.environ.update(ENVIRONMENT)
    wanted = [c for c in workload.contestants if not only or any(text.lower() in c.name.lower() for text in only)]
    skipped = {c.name: ", ".join(c.missing()) for c in wanted if c.missing()}
    sizes = dict(workload.quick if quick else workload.sizes)
    busy_cores, begun = machine.busy_cores(), time.perf_counter()
    entrants = [Entrant(module, c, rounds + 1, sizes) for c in wanted if c.name not in skipped]
    try:
        for entrant in entrants:
            say(f"{module}: setting up {entrant.entry.name}")
            entrant.settle()
        for number in range(rounds + 1):
            say(f"{module}: {f'round {number} of {rounds}' if number else 'warm-up'}")
            for entrant in entrants:
                if entrant.entry.error is None:
                    time.sleep(PAUSE)
                    entrant.turn()
    finally:
        for entrant in entrants:
            entrant.leave()
    say(f"{module}: done in {time.perf_counter() - begun:.0f} s; {len(skipped)} skipped{_listed(skipped)}")
    return Results(
        name=module.rpartition(".")[2],
        workload=workload,
        entries=[entrant.entry for entrant in entrants],
        skipped=skipped,
        sizes=sizes,
        machine=machine.describe(),
        busy_cores=busy_cores,
    )


def _listed(skipped: dict[str, str]) -> str:
    return "".join(f"\n  {name}; not installed: {missing}" for name, missing in skipped.items())
