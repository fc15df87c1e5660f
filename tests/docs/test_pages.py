"""What the pages say: their Python runs, their links lead somewhere, and the reference can be built."""

import inspect
import re
import subprocess
import sys
from pathlib import Path

import pytest

import minitorch
from small_mnist import write_small_mnist

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", ROOT / "docs" / "tutorial.md", ROOT / "docs" / "coming_from_dezero.md"]
PAGES.append(ROOT / "docs" / "coming_from_lightning.md")


@pytest.fixture
def at_home(tmp_path, monkeypatch):
    """A folder of one's own to work in, and a small MNIST where the data sets look first."""
    write_small_mnist(tmp_path / "data" / "mnist", 500, 100)
    monkeypatch.setenv("MINITORCH_DATA", str(tmp_path / "data" / "mnist"))
    monkeypatch.chdir(tmp_path)


def blocks(page):
    """The blocks of Python of a page, each with the number of its first line; not those marked `python gpu`."""
    text = page.read_text()
    return [
        (text[: match.start(1)].count("\n"), match[1])
        for match in re.finditer(r"^```python\n(.*?)^```", text, re.M | re.S)
    ]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_python_on_pages_runs(page, at_home, capsys):
    """All blocks of a page, in order, as one program."""
    namespace = {"__name__": "page"}
    assert blocks(page)
    for line, code in blocks(page):
        exec(compile("\n" * line + code, str(page), "exec"), namespace)  # so that an error names the line of the page


def test_the_tutorial_ends_where_it_says(at_home, capsys):
    """The resumed run of the tutorial ends with all steps done, five on this small data set."""
    namespace = {"__name__": "page"}
    for _, code in blocks(PAGES[1])[:6]:
        exec(code, namespace)
    printed = capsys.readouterr().out
    assert "completed after 3 steps; checkpoint runs/tutorial" in printed
    assert printed.rstrip().endswith("in all 5 steps")


@pytest.mark.parametrize(
    "page",
    [*PAGES, *sorted((ROOT / "docs").glob("*.md")), ROOT / "benchmarks" / "README.md"],
    ids=lambda page: page.name,
)
def test_links_lead_somewhere(page):
    """Every relative link of a page is to a file or a folder that is there."""
    links = [link.split("#")[0] for link in re.findall(r"\]\(([^)\s]+)\)", page.read_text()) if "://" not in link]
    assert [link for link in links if not (page.parent / link).exists()] == []


def test_scripts_that_pages_name_are_there():
    """A script that a page tells people to run exists and can be run."""
    for page in PAGES:
        for name in re.findall(r"\bscripts/(\w+)", page.read_text()):
            script = ROOT / "scripts" / name
            assert script.is_file(), (page, name)
            assert script.stat().st_mode & 0o100, (page, name)


@pytest.mark.slow
def test_the_reference_is_built(tmp_path):
    """Every public module gets a page, without a warning."""
    pytest.importorskip("pdoc")
    done = subprocess.run(
        [sys.executable, "-W", "error", ROOT / "docs" / "build_reference.py", tmp_path],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    for name in minitorch.__all__:
        if inspect.ismodule(getattr(minitorch, name)):
            assert (tmp_path / "minitorch" / f"{name}.html").exists(), name
    assert "EarlyStopping" in (tmp_path / "minitorch" / "trainer" / "callbacks.html").read_text()
    assert "stay on their device" in (tmp_path / "minitorch" / "layers.html").read_text()
