"""What a resumed run says: from which file it goes on, and what of its program does not count."""

import pytest
from small_runs import at, batches, loader, trainer

import minitorch
from minitorch.errors import StateError
from minitorch.optimizers import SGD, MomentumSGD
from minitorch.optimizers.schedules import Cosine
from minitorch.trainer import run_folder
from minitorch.trainer.callbacks import Checkpoint, ConsoleLogger, LRSchedule


def go(folder, epochs, optimizer, *callbacks):
    """A run in `folder` that goes on with what is there."""
    run = trainer(*callbacks, Checkpoint(folder), optimizer=optimizer)
    run.fit(batches(), epochs=epochs, resume="auto")
    return run


def test_another_learning_rate_is_named(tmp_path):
    """What was saved counts, and the warning says so, with the way to change it."""
    go(tmp_path, 1, SGD(0.01))
    with pytest.warns(UserWarning, match="as saved") as told:
        run = go(tmp_path, 2, SGD(0.5))
    assert [str(warning.message) for warning in told] == [
        f"the run goes on as it was in {tmp_path}/checkpoints/step-00000004.safetensors: SGD.lr is 0.01 as saved, not "
        "0.5 as given here; set trainer.optimizer.lr in on_fit_start, or begin in another folder"
    ]
    assert run.optimizer.lr == 0.01
    with pytest.warns(UserWarning, match=r"SGD\.lr is 0\.01 as saved, not 0\.5"):  # what it saved says 0.01 as well
        go(tmp_path, 3, SGD(0.5))
    go(tmp_path, 4, SGD(0.01))


def test_the_remedy_is_one(tmp_path):
    """Set in `on_fit_start` the learning rate counts, and the next run with it has nothing to say."""
    go(tmp_path, 1, SGD(0.01))

    def change(run):
        run.optimizer.lr = 0.5

    with pytest.warns(UserWarning, match=r"set trainer\.optimizer\.lr in on_fit_start"):
        assert go(tmp_path, 2, SGD(0.5), at("on_fit_start", change)).optimizer.lr == 0.5
    assert go(tmp_path, 3, SGD(0.5)).optimizer.lr == 0.5


def test_a_schedule_is_no_difference(tmp_path):
    """The saved learning rate is another one than was given, as it should be; another one given is named still.

    Set in `on_fit_start` it would not count here.
    """
    go(tmp_path, 1, SGD(0.1), LRSchedule(Cosine(100)))
    run = go(tmp_path, 2, SGD(0.1), LRSchedule(Cosine(100)))
    assert run.optimizer.lr < 0.1
    with pytest.warns(
        UserWarning, match=r"SGD\.lr is 0\.09\d* as saved, not 0\.2 as given here; begin in another folder$"
    ):
        go(tmp_path, 3, SGD(0.2), LRSchedule(Cosine(100)))


def test_of_several_optimizers_each_is_named(tmp_path):
    """The remedy is that of the one whose setting differs."""
    go(tmp_path, 1, {"l0": SGD(0.1), "l1": MomentumSGD(0.1)})
    remedy = r"set trainer\.optimizers\['l1'\]\.momentum in on_fit_start, or begin in another folder$"
    with pytest.warns(
        UserWarning, match=rf"safetensors: MomentumSGD\.momentum is 0\.9 as saved, not 0\.5 as given here; {remedy}"
    ):
        go(tmp_path, 2, {"l0": SGD(0.1), "l1": MomentumSGD(0.1, momentum=0.5)})


def test_one_trainer_that_goes_on_is_no_difference(tmp_path):
    """Between two `fit` of one Trainer its hyperparameters may change."""
    run = go(tmp_path, 1, SGD(0.1))
    run.optimizer.lr = 0.05
    run.fit(batches(), epochs=2, resume=run.checkpoint)
    assert run.optimizer.lr == 0.1


def test_another_seed_is_named(tmp_path):
    """The saved one holds, unless it is set in `on_fit_start`; that of the program counts as the program's else."""
    minitorch.seed(3)
    go(tmp_path, 1, SGD(0.1))
    minitorch.seed(5)
    with pytest.warns(UserWarning, match="the seed is") as told:
        go(tmp_path, 2, SGD(0.1))
    assert [str(warning.message) for warning in told] == [
        f"the run goes on as it was in {tmp_path}/checkpoints/step-00000004.safetensors: the seed is 3 as saved, not 5 "
        "as here; call minitorch.seed(5) in on_fit_start, or begin in another folder"
    ]
    assert minitorch.random.get_state().seed == 3
    minitorch.seed(5)
    with pytest.warns(UserWarning, match=r"lr is 0\.1 as saved.* folder\. the seed is 3 as saved, not 5 as here"):
        go(tmp_path, 3, SGD(0.2), at("on_fit_start", lambda run: minitorch.seed(5)))
    go(tmp_path, 4, SGD(0.1))
    assert minitorch.random.get_state().seed == 5


def test_another_seed_of_the_loader_is_an_error(tmp_path):
    """The rest of the epoch would be of another order; the file and both seeds are named, and the remedy."""
    run = trainer(Checkpoint(tmp_path))
    run.fit(loader(seed=3), steps=2)
    with pytest.raises(StateError) as info:
        trainer(Checkpoint(tmp_path)).fit(loader(seed=5), epochs=1, resume="auto")
    assert str(info.value) == (
        f"{run.checkpoint}: train loader: DataLoader.load_state_dict: seed is 3 in the state, 5 here. Make the loader "
        "as it was when the state was saved, or start afresh without the state"
    )


def test_a_state_of_before_does_not_say_what_was_given(tmp_path):
    """It is loaded, and nothing is said that is not known."""
    first = trainer(optimizer=MomentumSGD(0.1))
    first.fit(batches(), epochs=1)
    state = first.state_dict()
    assert state["optimizer"]["given"] == {"lr": 0.1, "momentum": 0.9, "nesterov": False}
    del state["optimizer"]["given"]
    second = trainer(Checkpoint(tmp_path), optimizer=MomentumSGD(0.5))
    second.load_state_dict(state)
    second.fit(batches(), epochs=2)
    go(tmp_path, 3, MomentumSGD(0.7))


def test_the_first_of_many_resumes_says_that_there_is_nothing(tmp_path, capsys):
    """Whoever expects to go on sees that a new run begins, and where the old one was looked for."""
    go(tmp_path, 1, SGD(0.1), ConsoleLogger())
    assert capsys.readouterr().out.splitlines()[0] == f"nothing to resume in {tmp_path}: the run begins"
    trainer(ConsoleLogger()).fit(batches(), epochs=1)
    assert "resume" not in capsys.readouterr().out


def test_the_newest_folder_with_a_checkpoint_is_resumed(tmp_path):
    """One that failed before its first checkpoint is passed over, unless none has any."""
    first, second = run_folder(tmp_path), run_folder(tmp_path)
    assert run_folder(tmp_path, "auto") == second
    go(first, 1, SGD(0.1))
    assert run_folder(tmp_path, "auto") == first
