"""How much is installed for a framework, with all that it needs."""

from functools import partial

from benchmarks import peers
from benchmarks.race import Race
from benchmarks.workload import ONEDNN, Contestant, Target, Workload
from benchmarks.workloads.import_time import OWN_NEEDS, installed_bytes

SIZE = "installed"


def measure(race: Race, *, distributions: tuple[str, ...]) -> None:
    race.start()
    for _ in range(race.rounds):
        race.lap(seconds={SIZE: installed_bytes(distributions)})


def installing(name: str, *distributions: str) -> Contestant:
    return Contestant(name, partial(measure, distributions=distributions), distributions)


WORKLOAD = Workload(
    title="size of what is installed",
    about="The files that the distribution and all that it requires have put there, without compiled byte code.",
    contestants=(
        installing("minitorch", *OWN_NEEDS),
        installing("minitorch[fast]", *OWN_NEEDS, ONEDNN),
        installing("numpy", "numpy"),
        installing("torch", "torch"),
        installing("lightning", "lightning", "torch"),
        installing("jax", "jax"),
        installing("dezero", *peers.DEZERO_NEEDS),
    ),
    reference="minitorch",
    sizes={},
    quick={},
    unit="MB",
    targets=(Target("minitorch", over="torch", at_most=0.15, column=SIZE),),
    rounds=1,
)
