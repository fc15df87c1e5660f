"""`scripts/gpu`, run dry on the stand-in: every section is executed, and nothing is called measured."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

import minitorch
from benchmarks.gpu import table
from benchmarks.gpu.__main__ import ALL, PYTEST, SECTIONS, TELLING, counts, write_page

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


def test_every_section_has_its_time():
    """The limits together are the limit of everything; the tests that are run first are there."""
    assert sum(section.seconds for section in SECTIONS) <= ALL
    assert all((ROOT / path).exists() for path in TELLING)


def test_a_section_without_time_is_left_out(tmp_path):
    """The limit of everything holds; what was not reached is listed."""
    done = command("--fake", "--out", str(tmp_path), "--seconds", "4")
    assert "- minitorch: no time was left" in done.stdout


def test_the_table_comes_also_where_the_command_is_ended(tmp_path):
    """By a limit from outside: what was measured so far is printed and written, and no section goes on."""
    env = os.environ | {"PYTHON": sys.executable, "OPENBLAS_NUM_THREADS": "1"}
    arguments = [ROOT / "scripts" / "gpu", "--fake", "--out", str(tmp_path), "--only", "kernels", "minitorch"]
    with subprocess.Popen(arguments, cwd=ROOT, env=env, stdout=subprocess.PIPE, text=True) as process:
        lines = tmp_path / "gpu-dry-run.jsonl"
        while process.poll() is None and not (lines.exists() and '"training"' in lines.read_text()):
            time.sleep(0.05)
        process.terminate()
        said, _ = process.communicate(timeout=60)
    assert process.returncode == 143
    assert said.startswith("# On a GPU")
    assert "| a, tiny | minitorch, eager |" in said
    assert (tmp_path / "gpu-dry-run.md").read_text() == said[:-1]


def test_a_line_that_was_not_written_to_its_end_is_passed_over(tmp_path):
    """A section may be ended at any time; the rest of its results counts."""
    lines = tmp_path / "gpu-dry-run.jsonl"
    lines.write_text('{"kind": "machine", "gpu": "none"}\n{"kind": "skipped", "what": "x", "why": "y"}\n{"kind": "tra')
    rows, page = write_page(lines, fake=True)
    assert [row["kind"] for row in rows] == ["machine", "skipped"]
    assert "- x: y" in page.read_text()


def test_of_a_section_that_failed_the_last_words_are_on_the_page():
    """Without them nobody knows why it ended with 1; what is said already is not said twice."""
    where = "Traceback\n  File ...\nImportError: libcublas.so.13"
    rows = [{"kind": "failed", "what": "kernels", "why": "ended with 1", "where": where}]
    assert table.notes(rows)[2:] == ["- kernels: ended with 1: ImportError: libcublas.so.13"]
    rows = [{"kind": "failed", "what": "a part", "why": "ImportError: libcublas.so.13", "where": where}]
    assert table.notes(rows)[2:] == ["- a part: ImportError: libcublas.so.13"]


def test_on_a_gpu_the_tests_that_tell_most_come_first():
    """In the time that there is for them."""
    run = [sys.executable, "-m", "pytest", "-q", "-m", "gpu", "--collect-only", "tests/cuda", "tests/trainer/callbacks"]
    done = subprocess.run(run, capture_output=True, text=True, cwd=ROOT, check=False)
    assert done.stdout.startswith("tests/cuda/test_on_a_gpu.py::")


@pytest.mark.slow
def test_tests_of_a_gpu_run_where_there_is_one():
    """The stand-in is taken for a real device: what they need besides is there."""
    own = "tests/cuda/test_on_a_gpu.py::test_a_failed_capture_leaves_the_device_working"  # takes products of CuPy's own
    run = [sys.executable, "-m", "pytest", "-p", "as_on_a_gpu", *PYTEST, "tests/cuda/test_on_a_gpu.py", TELLING[1]]
    env = os.environ | {"PYTHONPATH": str(ROOT / "tests"), "OPENBLAS_NUM_THREADS": "1"}
    done = subprocess.run([*run, "--deselect", own], capture_output=True, text=True, cwd=ROOT, env=env, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert counts(done.stdout)["passed"] > 30


def without_hypothesis(*arguments):
    """What pytest says on a machine that lacks it."""
    code = "import sys, pytest; sys.modules['hypothesis'] = None; sys.exit(pytest.main(sys.argv[1:]))"
    env = os.environ | {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    run = [sys.executable, "-c", code, "-q", *map(str, arguments)]
    done = subprocess.run(run, capture_output=True, text=True, cwd=ROOT, env=env, check=False)
    assert done.returncode == 0, done.stdout
    return done.stdout


@pytest.mark.slow
def test_tests_do_without_hypothesis():
    """Its examples are skipped, and the other tests of a file run."""
    found = counts(without_hypothesis("tests/cuda/test_gemm.py", "tests/ops/test_broadcasting.py"))
    assert found["passed"] > 50
    assert found["skipped"] > 0


def test_every_file_of_tests_imports_without_hypothesis():
    """One that does not would end pytest before its first test."""
    files = [path for path in (ROOT / "tests").rglob("test_*.py") if "from hypothesis" in path.read_text()]
    assert len(files) > 10
    without_hypothesis("--collect-only", *files)


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
