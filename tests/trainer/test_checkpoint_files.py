"""`Checkpoint` and `resume=`: when files are written, which are kept, and what is done about damaged ones."""

import os
import warnings

import numpy as np
import pytest
from small_runs import OTHER_SEED, at, batches, loader, trainer, weights

import minitorch
from minitorch import Every, serialize
from minitorch.errors import CheckpointError, ConfigError, StateError
from minitorch.models import MLP
from minitorch.trainer.callbacks import Checkpoint, JSONLLogger


def steps(folder):
    """The steps whose checkpoints are in the folder of a run."""
    return sorted(int(path.stem[5:]) for path in (folder / "checkpoints").glob("step-*.safetensors"))


def file(folder, step):
    """The path of one checkpoint."""
    return folder / "checkpoints" / f"step-{step:08d}.safetensors"


def finished(folder, end=8, every=2, **settings):
    """A Trainer that has run for `end` steps with four steps in an epoch, and saved every few steps."""
    minitorch.seed(0)
    run = trainer(Checkpoint(folder, every=Every(steps=every), **settings))
    run.fit(loader(), steps=end)
    return run


def damage(path):
    """Change one byte of the arrays of a file."""
    content = bytearray(path.read_bytes())
    content[-3] ^= 1
    path.write_bytes(content)


# Saving --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("every", "saved"),
    [
        (Every(epochs=1), [4, 8, 10]),
        (Every(epochs=2), [8, 10]),
        (Every(steps=3), [3, 6, 9, 10]),
        (Every(steps=99), [10]),
    ],
)
def test_when_it_saves(tmp_path, every, saved):
    """When the trigger fires, and at the end of the run."""
    run = trainer(Checkpoint(tmp_path, every=every, keep=99))
    result = run.fit(batches(4), steps=10)
    assert steps(tmp_path) == saved
    assert result.checkpoint == run.checkpoint == file(tmp_path, 10)


def test_it_keeps_the_newest(tmp_path):
    """Of all checkpoints the newest `keep` stay."""
    finished(tmp_path, end=8, every=1, keep=3)
    assert steps(tmp_path) == [6, 7, 8]


def test_older_files_are_deleted_only_after_the_new_one_is_there(tmp_path, monkeypatch):
    """With `keep=1`, a disk that is full at the second save leaves the first."""
    save, saved = serialize.save, []

    def save_once(path, *content):
        if saved:
            raise CheckpointError("the disk is full")
        saved.append(path)
        save(path, *content)

    monkeypatch.setattr(serialize, "save", save_once)
    with pytest.raises(CheckpointError, match="the disk is full"):
        finished(tmp_path, every=2, keep=1)
    assert steps(tmp_path) == [2]


def test_other_files_in_the_folder_are_left_alone(tmp_path):
    """Only files with the names of checkpoints are listed, counted and deleted."""
    folder = tmp_path / "checkpoints"
    folder.mkdir()
    others = [folder / name for name in ("best.safetensors", "step-best.safetensors", "step-00000001.txt")]
    for path in others:
        path.write_text("mine")
    finished(tmp_path, every=1, keep=1)
    assert [path.read_text() for path in others] == ["mine"] * 3


def test_a_killed_writers_file_is_cleared_away(tmp_path):
    """What a process that is no longer there left half written goes with the next save."""
    finished(tmp_path, end=2)
    with serialize.atomic.replacing(file(tmp_path, 4), 1) as half:
        prefix = os.path.basename(half.name).rsplit("-", 2)[0]
    left = tmp_path / "checkpoints" / f"{prefix}-999999999-0123abcd.tmp"
    left.write_bytes(b"half")
    file(tmp_path, 4).unlink()
    run = trainer(Checkpoint(tmp_path, every=Every(steps=2)))
    run.fit(loader(), steps=4, resume="auto")
    assert not left.exists()


# A second run in the same folder -------------------------------------------------------------------------------------


def test_a_second_run_in_the_same_folder_is_refused(tmp_path):
    """Forgetting `resume` costs nobody his checkpoints."""
    finished(tmp_path)
    remedy = 'pass resume="auto" to fit to go on with it, choose another folder, or pass overwrite=True$'
    message = rf"^Checkpoint: {tmp_path} has files of an earlier run: checkpoints/step-00000008\.safetensors, .*; "
    with pytest.raises(ConfigError, match=message + remedy):
        trainer(Checkpoint(tmp_path)).fit(batches(), epochs=1)
    assert steps(tmp_path) == [4, 6, 8]


def test_overwrite_begins_anew(tmp_path):
    """With `overwrite=True` the earlier checkpoints go before the first step."""
    finished(tmp_path)
    trainer(Checkpoint(tmp_path, overwrite=True)).fit(batches(), steps=1)
    assert steps(tmp_path) == [1]


def test_a_run_resumed_from_elsewhere_is_refused_where_another_one_was(tmp_path):
    """Going on from a file of run a in the folder of run b would mix the two."""
    finished(tmp_path / "a", end=2)
    finished(tmp_path / "b")
    with pytest.raises(ConfigError, match="b has files of an earlier run"):
        trainer(Checkpoint(tmp_path / "b")).fit(loader(), steps=4, resume=file(tmp_path / "a", 2))
    assert steps(tmp_path / "b") == [4, 6, 8]


def test_the_same_trainer_goes_on_in_its_folder(tmp_path):
    """A second `fit` of one Trainer is the same run."""
    run = finished(tmp_path, end=4)
    run.fit(loader(), steps=8)
    assert steps(tmp_path) == [4, 6, 8]


def test_two_checkpoint_callbacks_resume_together(tmp_path):
    """A second Checkpoint, with its own folder and rhythm, goes on too."""

    def run():
        return trainer(
            Checkpoint(tmp_path / "often", every=Every(steps=1), keep=1),
            Checkpoint(tmp_path / "rarely", every=Every(steps=4)),
        )

    run().fit(loader(), steps=5)
    assert run().fit(loader(), steps=9, resume="auto").state.step == 9
    assert (steps(tmp_path / "often"), steps(tmp_path / "rarely")) == ([9], [5, 8, 9])


# Resuming ------------------------------------------------------------------------------------------------------------


@OTHER_SEED
def test_resume_auto_goes_on_from_the_newest(tmp_path):
    """The newest checkpoint is restored, and the run ends as if it had not been interrupted."""
    finished(tmp_path / "a", end=5)
    run = trainer(Checkpoint(tmp_path / "a"))
    minitorch.seed(99)  # what was drawn before in the new process does not matter
    result = run.fit(loader(), steps=8, resume="auto")
    whole = finished(tmp_path / "b", end=8)
    assert weights(run) == weights(whole)
    assert result.history == whole.history


def test_resume_auto_without_checkpoints_starts_afresh(tmp_path):
    """A program that always says `resume="auto"` can be started the first time too."""
    result = trainer(Checkpoint(tmp_path)).fit(batches(4), epochs=1, resume="auto")
    assert (result.status, result.state.step) == ("completed", 4)


def test_resume_auto_after_a_death_before_the_first_checkpoint_starts_afresh(tmp_path):
    """A run that left metrics but no checkpoint is begun again, and its metrics with it."""

    def run(*more):
        return trainer(*more, JSONLLogger(tmp_path), Checkpoint(tmp_path), log_every=Every(steps=1))

    with pytest.raises(ZeroDivisionError):
        run(at("on_batch_end", lambda trainer, outputs: trainer.state.step < 3 or 1 / 0)).fit(batches(4), epochs=1)
    assert (tmp_path / "metrics.jsonl").stat().st_size > 0
    run().fit(batches(4), epochs=1, resume="auto")
    assert len((tmp_path / "metrics.jsonl").read_text().splitlines()) == 4 + 1


def test_resume_auto_needs_a_checkpoint_callback():
    """Where to look is told by the callback."""
    with pytest.raises(
        ConfigError, match=r'^fit: resume="auto" needs a Checkpoint callback, whose folder it looks in; or'
    ):
        trainer().fit(batches(), epochs=1, resume="auto")


@pytest.mark.parametrize("resume", [True, 3])
def test_resume_takes_a_path_or_auto(resume):
    """`resume=True` does not say what to resume."""
    with pytest.raises(ConfigError, match=rf'^fit: resume is {resume}; give the path of a checkpoint, or "auto"'):
        trainer().fit(batches(), epochs=1, resume=resume)


@pytest.mark.parametrize("kind", [str, lambda path: path])
def test_resume_from_a_path(tmp_path, kind):
    """A certain checkpoint is restored, as text or Path, without a Checkpoint callback too."""
    finished(tmp_path / "a")
    run = trainer()
    run.fit(loader(), steps=8, resume=kind(file(tmp_path / "a", 6)))
    assert weights(run) == weights(finished(tmp_path / "b"))


@pytest.mark.parametrize("keep", [1, 2, 9])
def test_resuming_an_earlier_checkpoint_gives_up_what_came_after(tmp_path, keep):
    """The run is what `resume="auto"` finds afterwards; its own new checkpoints are not taken for the oldest."""
    finished(tmp_path, end=8, every=2, keep=9)
    run = trainer(Checkpoint(tmp_path, every=Every(steps=1), keep=keep))
    result = run.fit(loader(), steps=3, resume=file(tmp_path, 2))
    assert result.checkpoint.exists()
    assert steps(tmp_path) == [2, 3][-keep:]


def test_a_missing_path_names_its_neighbours(tmp_path):
    """A mistyped path is answered with the checkpoints that there are."""
    finished(tmp_path)
    with pytest.raises(
        FileNotFoundError, match=r"step-00000007\.safetensors does not exist; in its folder .*step-00000006"
    ):
        trainer().fit(loader(), steps=9, resume=file(tmp_path, 7))


def test_a_model_takes_its_weights_from_a_checkpoint(tmp_path):
    """By the prefix of the model in it, which the error without it names; no Trainer is needed."""
    run = finished(tmp_path)
    other = MLP((4, 3))
    with pytest.raises(
        StateError,
        match=r"step-00000008\.safetensors: MLP weights: missing .*; keys of these names begin with 'model/': pass "
        r"prefix='model/'$",
    ):
        other.load_weights(file(tmp_path, 8))
    other.load_weights(file(tmp_path, 8), prefix="model/")
    assert {path: array.tobytes() for path, array in other.state_dict().items()} == weights(run)


def test_a_file_of_weights_is_no_checkpoint(tmp_path):
    """A file of `save_weights` says what it is not, and what to do with it."""
    run = finished(tmp_path)
    path = tmp_path / "weights.safetensors"
    run.model.save_weights(path)
    with pytest.raises(
        CheckpointError, match=r"holds no checkpoint of a Trainer; for a file of weights use model\.load_w"
    ):
        trainer().fit(loader(), steps=9, resume=path)


# Damage --------------------------------------------------------------------------------------------------------------


def test_a_damaged_newest_checkpoint_is_passed_over_with_a_warning(tmp_path):
    """The newest valid one is resumed; the warning names both, and the run ends where it would have ended."""
    finished(tmp_path / "a", end=7)
    damage(file(tmp_path / "a", 7))
    run = trainer(Checkpoint(tmp_path / "a"))
    with pytest.warns(UserWarning, match="are damaged") as caught:
        run.fit(loader(), steps=8, resume="auto")
    (warning,) = caught
    good, bad = file(tmp_path / "a", 6), file(tmp_path / "a", 7)
    assert str(warning.message) == (
        f"resumed from {good}, because newer ones are damaged: {bad} is damaged: its content does not fit its "
        "checksum; restore it from a copy, or use an older checkpoint"
    )
    assert warning.filename == __file__
    assert weights(run) == weights(finished(tmp_path / "b"))


@pytest.mark.parametrize("left", [0, 7, 100, -1])
def test_a_truncated_checkpoint_is_passed_over(tmp_path, left):
    """Wherever a file was cut, it is not taken for whole."""
    finished(tmp_path)
    content = file(tmp_path, 8).read_bytes()
    file(tmp_path, 8).write_bytes(content[:left])
    run = trainer(Checkpoint(tmp_path))
    with pytest.warns(
        UserWarning, match=r"step-00000006.* because newer ones are damaged: .*step-00000008.* is damaged"
    ):
        assert run.fit(loader(), steps=7, resume="auto").state.step == 7


def test_a_truncated_checkpoint_given_by_path_is_an_error(tmp_path):
    """A checkpoint asked for by name is not silently another one."""
    finished(tmp_path)
    content = file(tmp_path, 8).read_bytes()
    file(tmp_path, 8).write_bytes(content[: len(content) // 2])
    with pytest.raises(CheckpointError, match=r"step-00000008\.safetensors is damaged: it is truncated"):
        trainer().fit(loader(), steps=9, resume=file(tmp_path, 8))


def test_where_all_checkpoints_are_damaged_it_is_an_error(tmp_path):
    """Nothing is begun anew over the ruins of a run."""
    finished(tmp_path)
    for step in steps(tmp_path):
        damage(file(tmp_path, step))
    with pytest.raises(
        CheckpointError,
        match=rf"^none of the 3 checkpoints in {tmp_path} is valid; the newest: .*step-00000008.* damaged",
    ):
        trainer(Checkpoint(tmp_path)).fit(loader(), steps=9, resume="auto")
    assert steps(tmp_path) == [4, 6, 8]


def test_a_checkpoint_of_something_else_is_not_passed_over(tmp_path):
    """A valid file that does not fit is a mistake of the user; an older one would not fit either."""
    finished(tmp_path)
    run = trainer(Checkpoint(tmp_path))
    with warnings.catch_warnings(), pytest.raises(StateError, match=rf"^{file(tmp_path, 8)}: train loader: "):
        run.fit(loader(batch_size=4), steps=9, resume="auto")


def test_a_checkpoint_is_readable_by_any_tool(tmp_path):
    """The file is a .safetensors file with the weights under `model/` and the moments under `optimizer/`."""
    from safetensors.numpy import load_file

    minitorch.seed(0)
    run = trainer(Checkpoint(tmp_path), optimizer=minitorch.optimizers.Adam())
    result = run.fit(batches(), epochs=1)
    arrays = load_file(result.checkpoint)
    assert {"model/l0.W", "model/l1.b", "optimizer/state/l0.W/m", "optimizer/state/l1.b/v"} <= set(arrays)
    np.testing.assert_array_equal(arrays["model/l0.W"], run.model.l0.W.data)
