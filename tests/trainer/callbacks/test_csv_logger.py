"""CSVLogger: two tables that pandas or a spreadsheet reads, whole after any break."""

import csv
from pathlib import Path
from tempfile import TemporaryDirectory
from types import SimpleNamespace

import pytest
import resumed_runs
import small_runs
from hypothesis import given
from hypothesis import strategies as st

from minitorch import Every
from minitorch.errors import CheckpointError, ConfigError
from minitorch.trainer import TrainState
from minitorch.trainer.callbacks import CSVLogger


def table(path):
    """The rows of a CSV file as dicts."""
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_epochs_and_intervals_are_tables_of_their_own(tmp_path):
    """`epochs.csv` has the history of the run, `steps.csv` the means of the log intervals, all digits of them."""
    run = small_runs.trainer(CSVLogger(tmp_path), log_every=Every(steps=2))
    run.fit(small_runs.batches(), small_runs.batches(2), epochs=2)
    epochs = table(tmp_path / "epochs.csv")
    assert [(row.pop("step"), row.pop("epoch")) for row in epochs] == [("4", "1"), ("8", "2")]
    assert [{name: float(value) for name, value in row.items()} for row in epochs] == run.history
    assert [(row["step"], row["epoch"]) for row in table(tmp_path / "steps.csv")] == [
        ("2", "0"),
        ("4", "1"),
        ("6", "1"),
        ("8", "2"),
    ]


def test_a_metric_that_appears_later_gets_a_column(tmp_path):
    """The rows before it have an empty cell there, those after it without it too."""
    extra = {2: {"b,c": 1.5}, 3: {'"': 2.5}}
    late = small_runs.at("on_epoch_end", lambda trainer, metrics: metrics.update(extra.get(trainer.state.epoch, {})))
    small_runs.trainer(late, CSVLogger(tmp_path)).fit(small_runs.batches(), epochs=3)
    rows = table(tmp_path / "epochs.csv")
    assert list(rows[0]) == ["step", "epoch", "loss", "b,c", '"']
    assert [(row["b,c"], row['"']) for row in rows] == [("", ""), ("1.5", ""), ("", "2.5")]


def test_nan_and_infinity_are_words(tmp_path):
    """What is no number can be read back."""
    odd = small_runs.at("on_epoch_end", lambda trainer, metrics: metrics.update(a=float("nan"), b=float("-inf")))
    small_runs.trainer(odd, CSVLogger(tmp_path)).fit(small_runs.batches(), epochs=1)
    assert [(row["a"], row["b"]) for row in table(tmp_path / "epochs.csv")] == [("nan", "-inf")]


@pytest.mark.parametrize("break_at", range(1, resumed_runs.STEPS + 1))
def test_a_resumed_run_leaves_the_same_files(tmp_path, break_at):
    """Broken off after any step and resumed, the files equal those of a run that went through, byte for byte."""
    resumed_runs.fit(tmp_path / "whole", lambda: [CSVLogger(tmp_path / "whole")])
    resumed_runs.fit(tmp_path / "broken", lambda: [CSVLogger(tmp_path / "broken")], break_at=break_at)
    resumed_runs.fit(tmp_path / "broken", lambda: [CSVLogger(tmp_path / "broken")])
    for name in ("epochs.csv", "steps.csv"):
        assert (tmp_path / "broken" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()
    assert len(table(tmp_path / "whole" / "epochs.csv")) == 3


def test_a_column_that_came_after_the_checkpoint_is_cut_off(tmp_path):
    """The header goes back to what it was at the checkpoint, and a torn last line does not matter."""
    folder = tmp_path / "run"
    resumed_runs.fit(folder, lambda: [CSVLogger(folder)], break_at=9, checkpoint=Every(steps=5))
    with (folder / "epochs.csv").open("a") as file:
        file.write("10,2,0.1")
    assert "late" in (folder / "epochs.csv").read_text()
    logger = CSVLogger(folder)
    seen = []
    look = small_runs.at("on_epoch_start", lambda trainer: seen.append((folder / "epochs.csv").read_text()))
    resumed_runs.fit(folder, lambda: [logger, look], break_at=6, checkpoint=Every(steps=5))
    assert len(seen[0].splitlines()) == 2
    assert seen[0].startswith("step,epoch,loss,val_loss\n4,1,")


characters = st.characters(codec="utf-8", exclude_categories=["Cc"])
names = st.text(characters, min_size=1).filter(lambda name: name not in ("step", "epoch"))
rows = st.lists(st.dictionaries(names, st.floats(allow_nan=False), max_size=3), max_size=6)


@given(rows=rows, cut=st.integers(0, 6))
def test_any_names_and_numbers_come_back_and_a_cut_leaves_what_was_there(rows, cut):
    """Whatever metrics are called, in any script: a reader finds them, and a resumed run what a checkpoint counts."""
    cut = min(cut, len(rows))
    with TemporaryDirectory() as folder:
        path = Path(folder) / "epochs.csv"
        logger = CSVLogger(folder)
        run = SimpleNamespace(state=TrainState(), resuming=False)
        logger.on_fit_start(run)
        for i in range(len(rows) + 1):
            if i == cut:
                state, content = logger.state_dict(), path.read_bytes()
            if i < len(rows):
                logger.on_epoch_end(run, rows[i])
        logger.on_fit_end(run, None)
        expected = [{name: str(value) for name, value in row.items()} for row in rows]
        assert [{name: cell for name, cell in list(row.items())[2:] if cell} for row in table(path)] == expected
        run.state.samples, resumed = 1, CSVLogger(folder)
        resumed.load_state_dict(state)
        resumed.on_fit_start(run)
        resumed.on_fit_end(run, None)
        assert path.read_bytes() == content


def test_a_new_run_does_not_overwrite_an_older_one(tmp_path):
    """It is refused with the ways out; with overwrite=True the older rows are gone."""
    for _ in range(2):
        small_runs.trainer(CSVLogger(tmp_path, overwrite=True)).fit(small_runs.batches(), epochs=1)
        assert len(table(tmp_path / "epochs.csv")) == 1
    with pytest.raises(ConfigError, match=r"^CSVLogger: .* has files of an earlier run: epochs\.csv; pass resume="):
        small_runs.trainer(CSVLogger(tmp_path)).fit(small_runs.batches(), epochs=1)


@pytest.mark.parametrize("content", ["", "step,epoch,loss,val_loss\n", "other,header\n4,1\n8,2\n", None])
def test_a_file_that_lost_rows_is_reported(tmp_path, content):
    """Resumed without the rows that the checkpoint counts, the run says which file, and what is missing."""
    folder = tmp_path / "run"
    resumed_runs.fit(folder, lambda: [CSVLogger(folder)], break_at=7)
    if content is None:
        (folder / "epochs.csv").unlink()
    else:
        (folder / "epochs.csv").write_text(content)
    with pytest.raises(CheckpointError, match=r"epochs\.csv has .* and the resumed run had written 1 of step,"):
        resumed_runs.fit(folder, lambda: [CSVLogger(folder)])


def test_fit_called_twice_goes_on_in_the_same_files(tmp_path):
    """A second `fit` of the same Trainer appends."""
    run = small_runs.trainer(CSVLogger(tmp_path))
    run.fit(small_runs.batches(), epochs=1)
    run.fit(small_runs.batches(), epochs=2)
    assert [row["epoch"] for row in table(tmp_path / "epochs.csv")] == ["1", "2"]
