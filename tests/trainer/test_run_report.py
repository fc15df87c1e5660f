"""The report of a run: what is in it, that it needs nothing else, and how a real browser takes it.

It was looked at in Chromium 156 at 1280 and 360 pixels, light and dark.
"""

import html
import json
import re
import shutil
import subprocess
import tempfile
import xml.etree.ElementTree as ET
from pathlib import Path

import numpy as np
import pytest
from small_runs import at, batches, loader, trainer

import minitorch
import minitorch.functions as F
from minitorch import Every
from minitorch.errors import MissingFileError
from minitorch.serialize import FolderLock
from minitorch.trainer.callbacks import Checkpoint, EpochTimer, JSONLLogger, RunReport, ThroughputMonitor
from minitorch.trainer.report import report_page
from minitorch.trainer.report.chart import MOST_POINTS, Line, chart, thinned
from minitorch.trainer.run_record import RunRecord

HOSTILE = "<script>document.title='owned'</script>\"'><img src=x onerror=\"document.title='owned'\">&amp;"


def finished(folder, *others, epochs=3, **settings):
    """A run with a report in `folder`."""
    minitorch.seed(0)
    saver = Checkpoint(folder, monitor="val_loss", keep=9)
    run = trainer(
        EpochTimer(), JSONLLogger(folder), saver, *others, RunReport(folder), log_every=Every(steps=1), **settings
    )
    run.config = {"note": "as planned"}
    run.fit(loader(), batches(2, seed=1), epochs=epochs)
    return run


def text_of(page):
    """What a reader sees, without tags, styles and scripts."""
    page = re.sub(r"<(style|script)>.*?</\1>", "", page, flags=re.S)
    return html.unescape(re.sub(r"<[^>]+>", " ", page.replace("<wbr>", "")))


def page_of(folder):
    """The report in a folder."""
    return (folder / "report.html").read_text(encoding="utf-8")


# What is in it -------------------------------------------------------------------------------------------------------


def test_it_shows_the_run(tmp_path):
    """Metrics, curves, bill, checkpoints, configuration, sessions, machine and versions, and how the run ended."""
    run = finished(tmp_path / "mnist" / "001", metrics={"accuracy": F.accuracy})
    text = text_of(page_of(tmp_path / "mnist" / "001"))
    for part in (
        "mnist/001", "completed", "3 epochs done", "epoch 3 · step 12 · samples 60", "seed 0", "Curves", "training",
        "validation", "Callback bill", "Checkpoint.on_checkpoint", "JSONLLogger.on_batch_end", "Checkpoints",
        "checkpoints/step-00000012.safetensors", "best", "Configuration", "SGD", "lr 0.1", "as planned",
        "Sessions", "Machine and versions", "BLAS threads", f"numpy {np.__version__}", "parameters",
    ):  # fmt: skip
        assert part in re.sub(r"\s+", " ", text), part
    for name, value in run.history[-1].items():
        assert re.search(rf"{name}\s+{value:.4g}\s+best", text), name
    assert page_of(tmp_path / "mnist" / "001").count('class="chart"') == 2


def test_it_is_written_at_every_epoch_and_whole(tmp_path):
    """While the run is under way it says so, and knows the epochs so far."""
    seen = []
    look = at("on_epoch_start", lambda run: seen.append(text_of(page_of(tmp_path)) if run.state.epoch else ""))
    finished(tmp_path, look)
    assert [bool(re.search(r"running", text)) for text in seen] == [False, True, True]
    assert "epoch 2 · step 8" in seen[2].replace("\N{NO-BREAK SPACE}", " ")
    assert "epoch\N{NO-BREAK SPACE}2\N{NO-BREAK SPACE}· step" in seen[2]  # lines end between facts, not in one
    assert list(tmp_path.glob(".minitorch-*")) == []


def test_it_says_how_a_run_failed(tmp_path):
    """The error is the reason."""
    fail = at("on_batch_end", lambda run, _: 1 / (run.state.step - 6))
    with pytest.raises(ZeroDivisionError):
        finished(tmp_path, fail)
    text = text_of(page_of(tmp_path))
    assert "failed" in text
    assert "ZeroDivisionError: division by zero" in text


def test_a_killed_run_and_a_running_one(tmp_path):
    """A record without an end is of a run that is under way, if its folder is held, else of one that was killed."""
    finished(tmp_path)
    record = RunRecord.read(tmp_path)
    record.sessions[-1].status = record.sessions[-1].ended = None
    record.sessions[-1].reason = ""
    record.write(tmp_path)
    assert "it ended without saying why: killed, or a power cut" in text_of(report_page(tmp_path))
    lock = FolderLock(tmp_path)
    assert "running" in text_of(report_page(tmp_path))
    lock.release()


def test_of_a_run_without_the_callback(tmp_path):
    """Any run has a report, from its files: with a JSONLLogger, with a Checkpoint alone, and with neither."""
    a, b, c = (tmp_path / name for name in "abc")
    trainer(JSONLLogger(a), log_every=Every(steps=1)).fit(batches(), epochs=2)
    trainer(Checkpoint(b)).fit(batches(), epochs=2)
    trainer(JSONLLogger(c)).fit(batches(), steps=2)
    assert report_page(a).count('class="chart"') == report_page(b).count('class="chart"') == 1
    assert "No epoch is finished yet." in report_page(c)
    (b / "checkpoints" / "step-00000008.safetensors").write_bytes(b"damaged")
    assert report_page(b).count('class="chart"') == 1  # of the one before
    with pytest.raises(MissingFileError, match=r"has no run\.json; name the folder of a run"):
        report_page(tmp_path)


def test_a_resumed_run_has_all_its_epochs_and_sessions(tmp_path):
    """The curves go on, and both processes are listed, with dates that are not broken at their hyphens."""
    finished(tmp_path, epochs=2)
    resumed = trainer(
        EpochTimer(), JSONLLogger(tmp_path), Checkpoint(tmp_path, monitor="val_loss", keep=9), RunReport(tmp_path),
        log_every=Every(steps=1),
    )  # fmt: skip
    resumed.fit(loader(), batches(2, seed=1), epochs=4, resume="auto")
    page = page_of(tmp_path)
    data = json.loads(html.unescape(re.search(r'data-chart="([^"]*)"', page)[1]))
    assert [len(line["points"]) for line in data["lines"]] == [16, 4, 4]
    assert page.count("<span>process</span>") == 2
    assert len(re.findall(r"<span>\d{4}-\d\d-\d\d</span> <span>\d\d:\d\d:\d\d</span>", page)) == 2


def test_the_legend_names_the_faint_line(tmp_path):
    """The means of the log intervals, behind those of the epochs, have a key of their own, the last."""
    trainer(JSONLLogger(tmp_path), log_every=Every(steps=1)).fit(batches(), epochs=2)
    keys = re.findall(r'<span class="key (c0[ a-z]*)">([a-z ]+)</span>', report_page(tmp_path))
    assert keys == [("c0", "training"), ("c0 faint", "log interval")]


def test_a_learning_rate_is_neither_better_nor_worse(tmp_path):
    """Its tile has the newest value alone."""

    def rate(trainer, metrics):
        metrics["lr"] = 0.125

    trainer(at("on_epoch_end", rate), JSONLLogger(tmp_path)).fit(batches(), epochs=2)
    tiles = re.findall(r'<div class="tile"><span>(\w+)</span><b>[\d.]+</b>(<i>best)?', report_page(tmp_path))
    assert tiles == [("loss", "<i>best"), ("lr", "")]


def test_the_step_budget(tmp_path):
    """What a ThroughputMonitor measured is one bar, with the share of each part; other timings stand below it."""
    finished(tmp_path / "a", ThroughputMonitor())
    page = page_of(tmp_path / "a")
    assert "Step budget" in page
    shares = [float(share) for share in re.findall(r'<span class="key c\d">[\w ]+ ([\d.]+)%</span>', page)]
    assert len(shares) >= 4
    assert sum(shares) == pytest.approx(100, abs=0.5)
    assert re.search(r"forward [\d.]+%", text_of(page))
    assert re.search(r"samples/s\s+[\d,.]+", text_of(page))
    finished(tmp_path / "b")
    assert "Step budget" not in page_of(tmp_path / "b")
    assert re.search(r"Timings\s+the newest epoch:\s+seconds\s+[\d.]+", text_of(page_of(tmp_path / "b")))


# Charts --------------------------------------------------------------------------------------------------------------


def test_a_chart_is_well_formed_and_in_its_frame():
    """Parsed as XML, with every point of the lines inside the picture, whatever the numbers are."""
    for values in ([1.0, 2.0], [5.0], [0.0, 0.0], [1e-9, 3e9], [-1e30, 1e30], [float("nan"), 1.0, float("inf"), 2.0]):
        points = list(enumerate(values, 1))
        root = ET.fromstring(chart("a & b <c>", "epoch", [Line("x", 0, points), Line("", 1, points, faint=True)]))
        for line in root.iter("polyline"):
            for pair in line.get("points").split():
                x, y = map(float, pair.split(","))
                assert -1 <= x <= 401
                assert -1 <= y <= 251
    assert chart("empty", "epoch", [Line("x", 0, [(1, float("nan"))])]) == ""


def test_long_lines_keep_their_spikes():
    """Of a million points few are drawn, in order, the highest and the lowest among them."""
    points = [(float(i), float(i % 7)) for i in range(100_000)]
    points[77_777] = (77_777.0, 1e6)
    points[33_333] = (33_333.0, -1e6)
    kept = thinned(points)
    assert len(kept) <= MOST_POINTS
    assert {points[77_777], points[33_333]} <= set(kept)
    assert kept == sorted(kept)
    assert thinned(points[:100]) == points[:100]


# What users write ----------------------------------------------------------------------------------------------------


def hostile_run(folder):
    """A run with script in all that a user may name."""
    run = trainer(
        JSONLLogger(folder),
        Checkpoint(folder),
        type(HOSTILE, (RunReport,), {})(folder),
        log_every=Every(steps=1),
        metrics={HOSTILE: F.accuracy},
    )
    run.config = {HOSTILE: HOSTILE}
    run.timings = {HOSTILE: 1.0}
    run.request_stop(HOSTILE)
    run.fit(batches(), {HOSTILE: batches(1)}, epochs=1)
    record = RunRecord.read(folder)
    session = record.sessions[-1]
    session.host = session.status = session.reason = session.started = HOSTILE
    session.command, session.versions, session.machine = [HOSTILE], {HOSTILE: HOSTILE}, {HOSTILE: HOSTILE}
    session.budget = {HOSTILE: 1.0}
    session.bill = [{"name": HOSTILE, "calls": 1, "seconds": 1.0, "reads": 1, "bytes": 1}]
    record.trainer = {
        "class": HOSTILE,
        "model": HOSTILE,
        "optimizers": {HOSTILE: {HOSTILE: HOSTILE}},
        "callbacks": [HOSTILE],
    }
    record.write(folder)
    (folder / "checkpoints" / f"step-{HOSTILE.replace('/', '')[:40]}.safetensors").write_bytes(b"x")
    return report_page(folder)


def test_texts_of_users_are_text(tmp_path):
    """Script in names of metrics, loaders, settings, hosts, folders and errors is shown, not run."""
    page = hostile_run(tmp_path / HOSTILE.replace("/", "")[:60])
    assert page.count("<script") == 1  # its own
    assert "<img" not in page
    assert not re.search(r"\son\w+\s*=", re.sub(r"<script>.*?</script>|&[#\w]+;[^<]*", "", page, flags=re.S))
    assert HOSTILE in text_of(page)


def test_it_needs_nothing_else(tmp_path):
    """No address in it is fetched, and its policy forbids all that is not in the file."""
    finished(tmp_path)
    page = page_of(tmp_path)
    assert not re.search(r"""(src|href)\s*=|url\((?!#)|@import|https?:""", page)
    policy = re.search(r'Content-Security-Policy" content="([^"]*)"', page)[1]
    assert re.fullmatch(r"default-src 'none'; style-src 'unsafe-inline'; script-src 'sha256-[\w+/]{43}='", policy)


# In a browser --------------------------------------------------------------------------------------------------------

BROWSER = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
in_a_browser = pytest.mark.skipif(BROWSER is None, reason="no chromium is installed")
OPTIONS = [
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-component-update",
    "--disable-background-networking", "--disable-sync", "--disable-dev-shm-usage", "--hide-scrollbars",
    "--virtual-time-budget=2000",
]  # fmt: skip


def browser(tmp_path, *arguments, starts=3):
    """What a real browser prints: one that hangs or dies at its start tells nothing of the page, and is started again.

    Each has a profile of its own, since another may still hold its while it ends.
    """
    command = [BROWSER, *OPTIONS, f"--user-data-dir={tempfile.mkdtemp(dir=tmp_path)}", *arguments]
    try:
        return subprocess.run(command, capture_output=True, text=True, timeout=60, check=True).stdout
    except subprocess.SubprocessError:
        if starts == 1:
            raise
    return browser(tmp_path, *arguments, starts=starts - 1)


def opened(path, tmp_path, *options):
    """The document that a browser has made of a page, after its scripts have run."""
    return browser(tmp_path, *options, "--dump-dom", path.as_uri())


def with_script(path, script):
    """A copy of a page with a script of the test in it, and no policy that would forbid that."""
    page = re.sub(r"<meta http-equiv[^>]*>", "", path.read_text(encoding="utf-8"))
    copy = path.with_name("with_script.html")
    copy.write_text(page.replace("</body>", f"<script>{script}</script></body>"), encoding="utf-8")
    return copy


@in_a_browser
def test_a_browser_shows_values_under_the_pointer(tmp_path):
    """Moved over the right end of a chart, the pointer shows the last epoch, with the value of each line."""
    run = finished(tmp_path)
    script = """
        const svg = document.querySelector(".chart"), box = svg.getBoundingClientRect();
        const at = { clientX: box.right - 13 * box.width / 400, clientY: box.top + 50, bubbles: true };
        svg.dispatchEvent(new PointerEvent("pointermove", at));
        document.title = document.querySelector(".tip").hidden + "|" + document.querySelector(".tip").innerText;
    """
    title = html.unescape(
        re.search(r"<title>(.*?)</title>", opened(with_script(tmp_path / "report.html", script), tmp_path), re.S)[1]
    )
    hidden, tip = title.split("|")
    assert hidden == "false"
    assert "epoch 3" in tip
    assert f"training {run.history[-1]['loss']:.4g}" in tip
    assert "NaN" not in title
    assert f"validation {run.history[-1]['val_loss']:.4g}" in tip


@in_a_browser
@pytest.mark.parametrize("width", [360, 1280])
def test_a_browser_shows_it_at_any_width(tmp_path, width):
    """In a frame as narrow as a telephone nothing sticks out, wherever the pointer is, and all charts can be seen."""
    finished(tmp_path, metrics={"accuracy": F.accuracy})
    inner = with_script(tmp_path / "report.html", "")
    outer = tmp_path / "frame.html"
    outer.write_text(
        f'<title></title><iframe src="{inner.name}" width="{width}" height="900" style="border:0"></iframe><script>'
        "onload = () => { const d = frames[0].document, charts = [...d.querySelectorAll('.chart')], tips = [];"
        "for (const c of charts) for (let i = 0; i <= 20; i++) { const b = c.getBoundingClientRect();"
        "c.dispatchEvent(new frames[0].PointerEvent('pointermove', {clientX: b.left + b.width * i / 20}));"
        "const t = c.parentElement.querySelector('.tip').getBoundingClientRect();"
        "tips.push(t.left, frames[0].innerWidth - t.right); }"
        "document.title = [Math.min(...tips) >= 0 ? 1 : Math.min(...tips), d.documentElement.scrollWidth,"
        "...charts.map((c) => Math.round(c.getBoundingClientRect().width))].join(); }</script>"
    )
    dom = opened(outer, tmp_path, "--allow-file-access-from-files")
    inside, scroll, *charts = map(float, re.search(r"<title>(.*?)</title>", dom)[1].split(","))
    assert inside == 1
    assert scroll <= width
    assert len(charts) == 2
    assert all(250 <= chart <= width for chart in charts)


@in_a_browser
def test_a_browser_runs_no_script_of_users(tmp_path):
    """Neither with the page's policy nor without it does a name become script."""
    folder = tmp_path / "run"
    (tmp_path / "report.html").write_text(hostile_run(folder), encoding="utf-8")
    for page in (tmp_path / "report.html", with_script(tmp_path / "report.html", "")):
        dom = opened(page, tmp_path)
        assert "<title>owned" not in dom
        assert "owned" in dom


@in_a_browser
def test_a_browser_draws_it(tmp_path):
    """A picture of the page has the colours of both lines in it."""
    image = pytest.importorskip("PIL.Image")
    finished(tmp_path)
    picture = tmp_path / "page.png"
    page = (tmp_path / "report.html").as_uri()
    browser(tmp_path, f"--screenshot={picture}", "--window-size=1280,900", page)
    pixels = np.asarray(image.open(picture).convert("RGB")).reshape(-1, 3)
    for colour in ("0072b2", "c8500a"):
        wanted = [int(colour[i : i + 2], 16) for i in (0, 2, 4)]
        assert (np.abs(pixels.astype(int) - wanted).max(axis=1) < 8).sum() > 100


def test_the_files_of_the_page_are_in_the_package():
    """Style and script lie beside the module, and the script puts nothing in as HTML."""
    folder = Path(report_page.__code__.co_filename).parent
    script = (folder / "report.js").read_text()
    assert (folder / "report.css").stat().st_size > 1000
    assert not re.search(r"innerHTML|outerHTML|insertAdjacent|document\.write|eval|fetch|XMLHttp", script)
