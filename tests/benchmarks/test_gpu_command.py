"""`scripts/gpu`, run dry on the stand-in: every section is executed, and nothing is called measured."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

import minitorch
from benchmarks.gpu import table
from benchmarks.gpu.__main__ import counts

ROOT = Path(__file__).parents[2]


def command(*arguments, **more):
    """The command as a shell runs it."""
    env = os.environ | {"PYTHON": sys.executable, "OPENBLAS_NUM_THREADS": "1"}
    given = {"capture_output": True, "text": True, "cwd": ROOT, "env": env, "check": False} | more
    return subprocess.run([ROOT / "scripts" / "gpu", *arguments], **given)


@pytest.mark.slow
def test_a_dry_run_executes_every_section(tmp_path):
    """Training by every mode, kernels, waits, sanitized launches and tests; all is labelled as not measured."""
    before = sorted((ROOT / "benchmarks" / "results").iterdir())
    done = command("--fake", "--out", str(tmp_path))
    assert done.returncode == 0, done.stderr + done.stdout
    assert table.NOT_MEASURED in done.stdout
    written = json.loads((tmp_path / "gpu-dry-run.json").read_text())
    assert written["measured"] is False
    rows = written["results"]
    assert (tmp_path / "gpu-dry-run.md").read_text() == done.stdout[:-1]
    names = {row["contestant"] for row in rows if row["kind"] == "training"}
    mine = {name for name in names if name.startswith("minitorch")}
    assert mine == {f"minitorch, {way}" for way in ("eager", "captured", "captured, TF32", "captured, bf16")}
    trained = [row for row in rows if row["kind"] == "training" and row["contestant"] in mine]
    assert len(trained) == 16
    assert [row["note"] for row in trained if row["note"]] == []
    assert len({(row["workload"], row["loss"]) for row in trained}) == 4  # on the stand-in all modes are one
    kinds = {row["kind"] for row in rows}
    assert {"machine", "ceiling", "kernel", "wait", "trace", "launched", "tests"} <= kinds
    assert [row for row in rows if row["kind"] == "failed"] == []
    assert json.loads((tmp_path / "gpu-waits-captured.json").read_text())["traceEvents"]
    assert sorted((ROOT / "benchmarks" / "results").iterdir()) == before


def test_a_dry_run_is_kept_out_of_the_results():
    """What was not measured is not put among the results."""
    done = command("--fake", "--out", "benchmarks/results")
    assert done.returncode == 2
    assert "--fake measures nothing, so its results do not go to benchmarks/results" in done.stderr


@pytest.mark.skipif(minitorch.cuda.gpu_enable, reason="there is a GPU")
def test_without_a_gpu_it_says_so():
    """It writes nothing, and names what is missing."""
    done = command()
    assert done.returncode == 2
    assert "scripts/gpu: Device: 'cuda' was asked for, but CuPy is" in done.stderr


def test_a_section_without_time_is_left_out(tmp_path):
    """The limit of everything holds; what was not reached is listed."""
    done = command("--fake", "--out", str(tmp_path), "--seconds", "4")
    assert "- minitorch: no time was left" in done.stdout


@pytest.mark.slow
def test_tests_do_without_hypothesis():
    """On a machine that lacks it, its examples are skipped, and the other tests of a file run."""
    code = "import sys, pytest; sys.modules['hypothesis'] = None; sys.exit(pytest.main(sys.argv[1:]))"
    run = [sys.executable, "-c", code, "-q", "tests/cuda/test_gemm.py", "tests/ops/test_broadcasting.py"]
    env = os.environ | {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    done = subprocess.run(run, capture_output=True, text=True, cwd=ROOT, env=env, check=False)
    assert done.returncode == 0, done.stdout
    found = counts(done.stdout)
    assert found["passed"] > 50
    assert found["skipped"] > 0


@pytest.mark.parametrize(
    ("said", "found"),
    [
        ("..\n3 failed, 20 passed, 5 skipped in 3.0s\n", (20, 3, 5)),
        ("=== 1 passed, 2 errors in 1s ===\n", (1, 2, 0)),
        ("....F.  [ 10%]\n...", (8, 1, 0)),
    ],
)
def test_the_last_words_of_pytest_are_understood(said, found):
    """Its last line, or its dots where it was stopped."""
    assert tuple(counts(said)[name] for name in ("passed", "failed", "skipped")) == found
