"""The benchmarks run, compare like with like, and say so when they do not. No time is asserted."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from benchmarks.race import Lap, Ready
from benchmarks.results import Entry, Results, Spread
from benchmarks.workload import Contestant, Target, Workload, load, names

ROOT = Path(__file__).parents[2]


def bench(*args: str) -> subprocess.CompletedProcess[str]:
    """Run `scripts/bench` without its set-up, on one thread, so that it is quick beside other tests."""
    paths = os.pathsep.join([str(ROOT), str(Path(__file__).parent)])
    environment = os.environ | {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "PYTHONPATH": paths}
    command = [sys.executable, "-m", "benchmarks", *args]
    return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=300)


SLOW = ("memory", "resnet18")  # seven processes; eleven million weights
TRAININGS = ("cnn", "gpt", "lstm", "mnist_mlp", "mnist_mlp_adam", "mnist_mlp_neighbour", "resnet18")


@pytest.mark.parametrize("name", [pytest.param(n, marks=pytest.mark.slow if n in SLOW else ()) for n in names()])
def test_quick_runs_do_the_same_work_and_write_both_files(name: str, tmp_path: Path) -> None:
    """`--quick` of every workload: minitorch and NumPy start alike, agree, and are in both files; so do gradients."""
    done = bench(name, "--quick", "--only", "minitorch", "numpy", "--out", str(tmp_path))
    assert done.returncode == 0, done.stderr
    result = json.loads((tmp_path / f"{name}.json").read_text(encoding="utf-8"))
    page = (tmp_path / f"{name}.md").read_text(encoding="utf-8")
    assert page in done.stdout
    assert result["fair"]
    assert result["largest_difference"] <= 1e-3
    assert (result["gradient_difference"] is not None) == (name in TRAININGS)
    assert result["reference"] in {contestant["name"] for contestant in result["contestants"]}
    for contestant in result["contestants"]:
        assert len(contestant["laps"]) == 1 + min(2, load(name).rounds or 2), "two rounds after a warm-up"
        assert contestant["name"] in page
    for fact in ("processor", "cores", "Python", "NumPy", "minitorch", "threads"):
        assert f"- {fact}: " in page


@pytest.fixture(scope="module")
def rigged(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What the harness says of the rigged race."""
    folder = tmp_path_factory.mktemp("rigged")
    done = bench("rigged_race", "--quick", "--out", str(folder))
    return {
        "code": done.returncode,
        "page": (folder / "rigged_race.md").read_text(encoding="utf-8"),
        "json": json.loads((folder / "rigged_race.json").read_text(encoding="utf-8")),
    }


def test_an_unfair_run_fails(rigged: dict[str, Any]) -> None:
    """Where contestants cheat or crash, the exit code is 1, and the JSON says that it was not fair."""
    assert rigged["code"] == 1
    assert not rigged["json"]["fair"]
    assert not rigged["json"]["same_start"]


def test_other_weights_are_found_out(rigged: dict[str, Any]) -> None:
    """Contestants that begin with other weights are told."""
    assert "**the weights differ**" in rigged["page"]


def test_other_losses_are_found_out(rigged: dict[str, Any]) -> None:
    """Those beyond the tolerance, and NaN, are named; one within it is not."""
    assert "**other losses differs** by 2.0e-03." in rigged["page"]
    assert "**lost in NaN differs** by inf." in rigged["page"]
    assert "honest in float64 differs" not in rigged["page"]


def test_other_gradients_are_found_out(rigged: dict[str, Any]) -> None:
    """The page gives each contestant's difference in the first gradients, and says that one is too large."""
    assert "relative, is **beyond** 1e-05: honest in float64 0.0e+00" in rigged["page"]
    assert "other gradients 5.0e-04" in rigged["page"]


def test_crashes_are_reported_and_others_go_on(rigged: dict[str, Any]) -> None:
    """An exception in the set-up or in a round is shown, a dead process is told, and the others finish."""
    page = rigged["page"]
    assert "**broken failed**" in page
    assert "ValueError: no such luck" in page
    assert "**broken later failed**" in page
    assert "ValueError: out of breath" in page
    assert "its process died with exit code 7" in page
    laps = {contestant["name"]: len(contestant["laps"]) for contestant in rigged["json"]["contestants"]}
    assert laps["honest"] == laps["other weights"] == 3
    assert laps["broken later"] == 1


def test_absent_peers_are_skipped_by_name(rigged: dict[str, Any]) -> None:
    """A contestant whose package is not installed is skipped, and a target that names it is not measured."""
    assert "- Skipped: absent; not installed: a-package-that-nobody-has." in rigged["page"]
    assert "| honest / absent | at most 1 | not measured |  |" in rigged["page"]


def test_unknown_workloads_are_refused() -> None:
    """A name that is no workload is an error that lists those there are."""
    done = bench("mnist_mpl")
    assert done.returncode == 2
    assert f"no workload mnist_mpl; there is {', '.join(names())}" in done.stderr


def results(**seconds: list[float]) -> Results:
    """Of contestants that took these seconds in their rounds, the warm-up first."""
    workload = Workload("t", "a", tuple(Contestant(name, print) for name in seconds), "a", {}, {}, unit="ms")
    entries = [
        Entry(name, Ready("", [], "", {}, {}), [Lap({"a step": value}, [], None) for value in values])
        for name, values in seconds.items()
    ]
    return Results("t", workload, entries, {}, {}, {}, 0.0)


def test_ratios_are_taken_round_by_round_without_the_warm_up() -> None:
    """The median of the rounds' ratios, not the ratio of medians, and the warm-up is left out."""
    found = results(a=[100.0, 1.0, 2.0, 4.0], b=[1.0, 3.0, 2.0, 2.0])
    a, b = found.finished
    assert found.ratio(b, a, "a step") == Spread(median=1.0, low=0.5, high=3.0)
    assert found.time(a, "a step") == Spread(median=2000.0, low=1000.0, high=4000.0)


@pytest.mark.parametrize(
    ("target", "median"),
    [
        (Target("b", over="a", at_most=1), 2.0),
        (Target("b", minus="a", at_most=1), 2000.0),
        (Target("b", at_most=1), 4000.0),
        (Target("b", over="c", at_most=1), None),
    ],
)
def test_targets_are_ratios_differences_or_times(target: Target, median: float | None) -> None:
    """A ratio has no unit, a difference and a time have that of the workload; without a contestant there is none."""
    outcome = results(a=[9.0, 2.0], b=[9.0, 4.0]).outcome(target)
    assert (None if outcome is None else outcome.median) == median


@pytest.mark.slow
def test_resnet50_has_its_published_size_and_leaves_nothing_behind() -> None:
    """A step of the large model runs, with 25,557,032 Parameters and nothing for the cycle collector."""
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.resnet50_memory", "--batch", "2", "--steps", "1"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    assert "25,557,032 trained numbers; weights 97 MiB" in done.stdout
    assert done.stdout.endswith("left to the cycle collector: 0 objects\n")
