"""`report_page`: the report of a run, from the files in its folder.

Every text that comes from a user passes `escape`. The page may load nothing and run no script but its own, whose digest
stands in the page's policy: so even a text that was forgotten could do nothing.
"""

import base64
import hashlib
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any

from minitorch import serialize
from minitorch.errors import CheckpointError, MissingFileError
from minitorch.trainer.report.chart import CLIP, Line, chart, number
from minitorch.trainer.report.cost import bill_table, budget
from minitorch.trainer.run_history import Row, panels, run_history, run_intervals
from minitorch.trainer.run_record import NAME, RunRecord, Session

HERE = Path(__file__).parent
TONES = {"completed": "good", "stopped": "good", "interrupted": "busy", "terminated": "busy", "failed": "bad"}
MIB = 2**20


def report_page(folder: Path, record: RunRecord | None = None) -> str:
    """The report of the run in `folder`, as HTML.

    Args:
        folder: of the run.
        record: of the run; None: that in the folder.

    Raises:
        MissingFileError: there is none.
        CheckpointError: it cannot be read.
    """
    record = RunRecord.read(folder) if record is None else record
    if record is None:
        raise MissingFileError(f"{folder} has no {NAME}; name the folder of a run, such as runs/mnist/001")
    history, last = run_history(folder), record.sessions[-1]
    parts = [
        _header(folder, record, serialize.is_held(folder)),
        _tiles(history),
        _section("Curves", f'<div class="panels">{"".join(_charts(history, run_intervals(folder)))}</div>')
        if history
        else "",
        _section("Step budget" if last.budget else "Timings", budget(last.budget, last.timings)),
        _section("Callback bill", bill_table(last.bill, last.seconds)),
        _section("Checkpoints", _checkpoints(folder)),
        _section("Configuration", _configuration(record)),
        _section("Sessions", _sessions(record.sessions)),
        _section("Machine and versions", _facts({**last.machine, **last.versions, "host": last.host})),
    ]
    return _page(_name(folder), "".join(parts))


def _page(title: str, body: str) -> str:
    style, script = ((HERE / name).read_text(encoding="utf-8") for name in ("report.css", "report.js"))
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    policy = f"default-src 'none'; style-src 'unsafe-inline'; script-src 'sha256-{digest}'"
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{escape(title)}</title>\n<style>\n{style}</style></head>\n<body>\n{CLIP}{body}"
        f"<footer>A report of minitorch; it needs no network.</footer>\n<script>{script}</script></body></html>\n"
    )


def _header(folder: Path, record: RunRecord, running: bool) -> str:
    last = record.sessions[-1]
    status = last.status or ("running" if running else "killed")
    tone = TONES.get(status, "busy" if running else "bad")
    reason = last.reason or ("under way" if running else "it ended without saying why: killed, or a power cut")
    state = last.state
    facts = [f"{name} {int(state[name]):,}" for name in ("epoch", "step", "samples") if name in state]
    if "elapsed" in state:
        facts.append(_duration(state["elapsed"]))
    facts += [f"seed {last.seed}", f"begun {record.sessions[0].started.replace('T', ' ')[:16]}"]
    space = "\N{NO-BREAK SPACE}"  # a line ends between facts, and not in one
    line = f"{space}· ".join([fact.replace(" ", space) for fact in facts])
    return (
        f'<header><h1>{escape(_name(folder))}</h1><span class="status {tone}">{escape(status)}</span></header>'
        f'<p class="about">{escape(reason)}</p><p class="about">{escape(line)}</p>'
    )


def _name(folder: Path) -> str:
    """The folder and the one it is in: enough to know a run by."""
    return "/".join(folder.resolve().parts[-2:])


def _tiles(history: Sequence[Row]) -> str:
    """The metrics of the last epoch, each with its best."""
    if not history:
        return '<p class="about">No epoch is finished yet.</p>'
    tiles = []
    for name, value in history[-1].items():
        if name == "lr":  # it is set, and not better or worse
            tiles.append(f'<div class="tile"><span>lr</span><b>{number(value)}</b></div>')
            continue
        values = [(row[name], epoch) for epoch, row in enumerate(history, 1) if name in row]
        best, epoch = (
            max(values, key=lambda pair: pair[0])
            if _more_is_better(name, values)
            else min(values, key=lambda pair: pair[0])
        )
        tiles.append(
            f'<div class="tile"><span>{escape(name)}</span><b>{number(value)}</b>'
            f"<i>best {number(best)}, epoch {epoch}</i></div>"
        )
    return f'<div class="tiles">{"".join(tiles)}</div>'


def _more_is_better(name: str, values: Sequence[tuple[float, int]]) -> bool:
    """Whether more is better: of a loss or an error it is not, and of others what training does with it tells."""
    return not re.search("loss|error", name) and values[-1][0] > values[0][0]


def _charts(history: Sequence[Row], intervals: Sequence[tuple[int, Row]]) -> Iterable[str]:
    """A chart for each metric, over epochs; the means of log intervals, where they are known, faint behind it."""
    per_epoch = _steps_of_an_epoch(history, intervals)
    for title, curves in panels(list(history)).items():
        lines = []
        noise = [(step / per_epoch, row[title]) for step, row in intervals if title in row] if per_epoch else []
        if len(noise) > 2 * len(history):
            lines.append(Line("log interval", 0, noise, faint=True))
        others = 1
        for label, (epochs, values) in curves.items():
            colour = 0 if label == "training" else others
            others += label != "training"
            lines.append(Line(label, min(colour, 5), list(zip(map(float, epochs), values, strict=True))))
        yield chart(title, "epoch", lines)


def _steps_of_an_epoch(history: Sequence[Row], intervals: Sequence[tuple[int, Row]]) -> float:
    """How many updates an epoch has, from what is logged; 0 where it cannot be told."""
    return 0.0 if not history or not intervals else intervals[-1][0] / len(history)


def _checkpoints(folder: Path) -> str:
    files = sorted((folder / "checkpoints").glob("step-*.safetensors"))
    if not files:
        return ""
    best = _best_steps(files[-1])
    rows = []
    for path in files:
        step = int(path.stem[5:]) if path.stem[5:].isdigit() else -1
        mark = "best" if step in best else ""
        rows.append([(f"checkpoints/{path.name}", "w"), (_size(path.stat().st_size), "n"), (mark, "")])
    return _table(["file", ("size", "n"), ""], rows)


def _size(nbytes: int) -> str:
    return f"{nbytes / MIB:,.1f} MiB" if nbytes >= MIB else f"{nbytes / 1024:.0f} KiB"


def _best_steps(newest: Path) -> set[int]:
    """The steps that a Checkpoint with `monitor` has kept as the best, by the state in the newest file."""
    try:
        states = serialize.describe(newest).meta["checkpoint"]["callbacks"]
        return {int(step) for name in states if name.startswith("Checkpoint") for _, step in states[name]["best"]}
    except (CheckpointError, LookupError, TypeError, ValueError):
        return set()


def _configuration(record: RunRecord) -> str:
    trainer = record.trainer
    facts: dict[str, Any] = {"trainer": trainer.get("class"), "model": trainer.get("model")}
    if record.sessions[-1].parameters:
        facts["parameters"] = f"{record.sessions[-1].parameters:,}"
    for name, settings in dict(trainer.get("optimizers") or {}).items():
        facts[name] = ", ".join(f"{key} {value}" for key, value in settings.items() if value not in ({}, None))
    callbacks = "".join(f"<div><code>{escape(_short(str(text)))}</code></div>" for text in trainer.get("callbacks", ()))
    rows = _rows(facts) + f'<tr><th>callbacks</th><td class="w">{callbacks}</td></tr>'
    rows += _rows({"command": " ".join(record.sessions[-1].command)}, code=True)
    config = ""
    if record.config:
        text = escape(json.dumps(record.config, indent=2, ensure_ascii=False))
        config = f"<details><summary>all settings</summary><pre><code>{text}</code></pre></details>"
    return f'<div class="card"><table class="facts">{rows}</table>{config}</div>'


def _short(text: str) -> str:
    """The repr of a callback without what says nothing: classes of paths, and units that were not chosen."""
    text = re.sub(r"\w+Path\(('[^']*')\)", r"\1", text)
    return re.sub(r"(?:, )?\b(?:steps|epochs|seconds)=None\b", "", text).replace("Every(, ", "Every(")


def _sessions(sessions: Sequence[Session]) -> str:
    rows = []
    for session in sessions:
        to = session.state.get("step")
        rows.append(
            [
                (session.started.replace("T", " ")[:19], "d"),
                (f"{session.from_step:,}", "n wide"),
                ("" if to is None else f"{int(to):,}", "n"),
                (session.status or "no end noted", ""),
                (f"{session.host}, process {session.process}", "d"),
            ]
        )
    return _table(["begun", ("from step", "n wide"), ("to step", "n"), "ended", "where"], rows)


def _facts(facts: Mapping[str, Any]) -> str:
    return f'<div class="card"><table class="facts">{_rows(facts)}</table></div>'


def _rows(facts: Mapping[str, Any], code: bool = False) -> str:
    cells = {name: escape("unknown" if value is None else str(value)) for name, value in facts.items()}
    return "".join(
        f'<tr><th>{escape(name)}</th><td class="w">{f"<code>{text}</code>" if code else text}</td></tr>'
        for name, text in cells.items()
    )


def _table(heads: Sequence[str | tuple[str, str]], rows: Iterable[Sequence[tuple[str, str]]]) -> str:
    named = [(head, "") if isinstance(head, str) else head for head in heads]
    head = "".join(f'<th class="{kind}">{escape(text)}</th>' for text, kind in named)
    body = "".join(
        "<tr>" + "".join(f'<td class="{kind}">{_words(text, kind)}</td>' for text, kind in row) + "</tr>"
        for row in rows
    )
    return f'<div class="card"><table><tr>{head}</tr>{body}</table></div>'


def _words(text: str, kind: str) -> str:
    """A text to show; of kind "d", lines end at spaces alone, and not at the hyphens of a date."""
    return " ".join(f"<span>{escape(word)}</span>" for word in text.split()) if kind == "d" else escape(text)


def _section(title: str, content: str) -> str:
    return f"<section><h2>{title}</h2>{content}</section>\n" if content else ""


def _duration(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes:02d} min" if hours else f"{minutes} min {rest:02d} s" if minutes else f"{seconds:.1f} s"
