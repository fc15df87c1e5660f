"""A workload for the tests of the harness: some of its contestants cheat, crash, or are not there."""

import os
from functools import partial

import numpy as np

from benchmarks.race import Race
from benchmarks.workload import Contestant, Target, Workload


def run(race: Race, steps: int, *, weight: float = 1.0, loss: float = 0.5, gradient: float = 2.0) -> None:
    race.start([np.full(3, weight)], gradients=[np.full(3, gradient)])
    for number in range(race.rounds):
        race.lap([loss + number], steps=steps)


def raise_error(race: Race, steps: int) -> None:
    raise ValueError("no such luck")


def raise_later(race: Race, steps: int) -> None:
    race.start([np.ones(3)], gradients=[np.full(3, 2.0)])
    race.lap([0.5], steps=steps)
    raise ValueError("out of breath")


def die(race: Race, steps: int) -> None:
    os._exit(7)


WORKLOAD = Workload(
    title="a race with cheats",
    about="Nothing is computed.",
    contestants=(
        Contestant("honest", run),
        Contestant("honest in float64", partial(run, loss=0.5 + 5e-4)),
        Contestant("other weights", partial(run, weight=2.0)),
        Contestant("other losses", partial(run, loss=0.502)),
        Contestant("other gradients", partial(run, gradient=2.001)),
        Contestant("lost in NaN", partial(run, loss=float("nan"))),
        Contestant("broken", raise_error),
        Contestant("broken later", raise_later),
        Contestant("dead", die),
        Contestant("absent", run, ("a-package-that-nobody-has",)),
    ),
    reference="honest",
    sizes={"steps": 3},
    quick={"steps": 1},
    targets=(Target("honest in float64", over="honest", at_most=1e9), Target("honest", over="absent", at_most=1)),
)
