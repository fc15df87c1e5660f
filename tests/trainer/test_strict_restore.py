"""`state_dict` and `load_state_dict` of a Trainer: all of it, strictly, or an error that says what does not fit."""

import copy
import json

import numpy as np
import pytest
from small_runs import batches, loader, trainer, weights

import minitorch
import minitorch.functions as F
from minitorch import Callback, Every
from minitorch.errors import CheckpointError, StateError
from minitorch.models import MLP
from minitorch.optimizers import SGD, Adam
from minitorch.trainer import snapshot
from minitorch.trainer.callbacks import Checkpoint, EarlyStopping, EpochTimer, JSONLLogger


class Counts(Callback):
    """Has a state of numbers, lists and arrays, nested."""

    def __init__(self):
        self.state = {
            "n": 0,
            "seen": [[], {"a/b": None}],
            "arrays": {"last": np.zeros(2), "both": [np.ones(1), np.ones(3)]},
        }

    def on_batch_end(self, trainer, outputs):
        self.state["n"] += 1
        self.state["seen"][0].append(trainer.state.step)
        self.state["arrays"]["last"] = np.full(2, self.state["n"])

    def state_dict(self):
        return self.state

    def load_state_dict(self, state):
        self.state = state


def saved(run, path, **fit):
    """The path of a file with the state of `run` after some training."""
    run.fit(loader(), **(fit or {"steps": 5}))
    snapshot.save(run, path)
    return path


@pytest.fixture
def path(tmp_path):
    """A file to save to."""
    return tmp_path / "state.safetensors"


# Round trips ---------------------------------------------------------------------------------------------------------


def test_all_state_comes_back_from_a_file(path):
    """Model, optimizer, counters, random numbers, loader, means, history and callbacks are as they were."""

    def make():
        return trainer(
            Counts(), EarlyStopping("loss"), model=MLP((4, 3)), optimizer=Adam(), metrics={"acc/train": F.accuracy}
        )

    run, other = make(), make()
    saved(run, path)
    minitorch.seed(5)
    other.train_loader = loader()
    snapshot.load(other, path)
    for mine, restored in zip(flat(run.state_dict()), flat(other.state_dict()), strict=True):
        assert mine == restored


def flat(tree, at=""):
    """The leaves of a state with their paths; arrays as bytes and dtype."""
    if isinstance(tree, dict):
        return [leaf for key, value in tree.items() for leaf in flat(value, f"{at}/{key}")]
    if isinstance(tree, list):
        return [leaf for i, value in enumerate(tree) for leaf in flat(value, f"{at}/{i}")]
    return [(at, (tree.dtype, tree.tobytes()) if isinstance(tree, np.ndarray) else tree)]


def test_a_state_dict_goes_into_another_trainer(path):
    """Without a file, a state restores another Trainer, which then goes on alike."""
    run, other = trainer(), trainer()
    run.fit(loader(), steps=5)
    other.load_state_dict(copy.deepcopy(run.state_dict()))
    for each in (run, other):
        each.fit(loader(), steps=9)
    assert weights(run) == weights(other)
    assert run.history == other.history


def test_a_run_resumed_after_a_validation_in_the_middle_of_its_epoch_has_it(tmp_path):
    """Validation metrics of the epoch under way are part of the state: the resumed epoch ends with them."""
    histories = []
    for stops in ([3, 4], [4]):
        folder = tmp_path / str(len(stops))
        minitorch.seed(0)
        for steps in stops:
            run = trainer(Checkpoint(folder), validate_every=Every(steps=2), log_every=Every(steps=99))
            result = run.fit(loader(n=25), loader(n=5), steps=steps + 1, resume="auto")
        histories.append(result.history)
    assert histories[0] == histories[1]
    assert "val_loss" in histories[0][0]


def test_names_with_slashes_can_be_logged_and_saved(path):
    """`train/accuracy`, as TensorBoard groups names, is a metric like any other."""
    run, other = (trainer(metrics={"train/accuracy": F.accuracy}) for _ in range(2))
    saved(run, path)
    snapshot.load(other, path)
    assert other.history == run.history
    assert "train/accuracy" in other.history[0]


def test_a_key_with_a_slash_on_the_way_to_an_array_is_refused(path):
    """In a file the slash separates the keys of arrays."""
    counts = Counts()
    counts.state["arrays"]["a/b"] = np.zeros(1)
    with pytest.raises(
        StateError, match=r"^state callbacks > Counts > arrays > a/b: a key on the way to an array must not"
    ):
        saved(trainer(counts), path)


# What does not fit ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (
            {"model": MLP((5, 3))},
            r"model: MLP: shapes differ: l0\.W: \(6, 4\) given, \(None, 5\) wanted; .*build the same",
        ),
        ({"model": MLP((4, 4, 3))}, r"model: MLP weights: missing \(2\): l2\.W.*, l2\.b"),
        ({"model": MLP((3,))}, r"model: MLP weights: unexpected \(2\): l1\.W, l1\.b"),
        ({"optimizer": Adam()}, r"optimizer: Adam: the state is of SGD; make the optimizer that was saved"),
        ({"optimizer": SGD(0.5)}, None),
    ],
)
def test_a_state_of_another_model_or_optimizer_is_refused(path, settings, message):
    """The message names the file, the part and the difference; of two learning rates the saved one counts."""
    saved(trainer(), path)
    run = trainer(**settings)
    if message is None:
        with pytest.warns(UserWarning, match=r"SGD\.lr is 0\.1 as saved, not 0\.5 as given here"):
            run.fit(loader(), steps=6, resume=path)
        assert run.optimizer.lr == 0.1
    else:
        with pytest.raises(StateError, match=f"^{path}: {message}"):
            run.fit(loader(), steps=6, resume=path)


@pytest.mark.parametrize(
    ("other", "message"),
    [
        (lambda: loader(batch_size=4), r"train loader: .*batch_size is 5 in the state, 4 here"),
        (lambda: loader(shuffle=False), r"train loader: .*shuffle is 1 in the state, 0 here"),
        (lambda: loader(n=25), r"train loader: .*samples is 20 in the state, 25 here"),
        (batches, r"train loader: the state is of a loader with epoch, samples, .* but list keeps no state; make the"),
    ],
)
def test_a_state_of_another_loader_is_refused(path, other, message):
    """Batches that would be others make no exact resume, and so an error."""
    saved(trainer(), path)
    with pytest.raises(StateError, match=f"^{path}: {message}"):
        trainer().fit(other(), steps=6, resume=path)


@pytest.mark.parametrize(
    ("before", "after", "message"),
    [
        ([EarlyStopping("loss")], [], r"unexpected \(1\): EarlyStopping"),
        ([], [EarlyStopping("loss")], r"missing \(1\): EarlyStopping"),
        ([Counts()], [EarlyStopping("loss")], r"missing \(1\): EarlyStopping; unexpected \(1\): Counts"),
        ([Counts()], [Counts(), Counts()], r"missing \(1\): Counts-2"),
        ([EpochTimer()], [], None),
    ],
)
def test_callbacks_with_state_must_be_the_same(path, before, after, message):
    """State without its callback, and a callback without its state, are listed; those without state do not matter."""
    saved(trainer(*before), path)
    run = trainer(*after)
    if message is None:
        run.fit(loader(), steps=6, resume=path)
    else:
        with pytest.raises(StateError, match=rf"^{path}: callbacks with state: {message}.*\. Give the Trainer the"):
            run.fit(loader(), steps=6, resume=path)


def test_two_callbacks_of_one_class_keep_their_own_state(path):
    """The second of a class is told from the first by its place in the list."""
    run = trainer(
        EarlyStopping("loss", patience=9), EarlyStopping("acc", patience=9, mode="max"), metrics={"acc": F.accuracy}
    )
    saved(run, path, epochs=2)
    both = EarlyStopping("loss", patience=9), EarlyStopping("acc", patience=9, mode="min")
    other = trainer(*both, metrics={"acc": F.accuracy})
    other.fit(loader(), epochs=2, resume=path)
    assert [c.progress for c in other.callbacks] == [c.progress for c in run.callbacks]
    assert other.callbacks[0].progress != other.callbacks[1].progress


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda s: s.pop("means"), r"^checkpoint: missing \(1\): means"),
        (lambda s: s.update(extra=1), r"^checkpoint: unexpected \(1\): extra"),
        (lambda s: s["state"].pop("step"), r"^counters: missing \(1\): step"),
        (lambda s: s["state"].update(steps=1), r"^counters: unexpected \(1\): steps"),
        (lambda s: s["means"].pop("epoch"), r"^running means: missing \(1\): epoch"),
        (lambda s: s["callbacks"]["EarlyStopping"].pop("best"), r"EarlyStopping: missing \(1\): best"),
        (lambda s: s["callbacks"]["JSONLLogger"].update(x=1), r"JSONLLogger: unexpected \(1\): x"),
        (lambda s: s["optimizer"].pop("class"), r"^optimizer: SGD state: missing \(1\): class"),
        (lambda s: s["model"].pop("l0.W"), r"^model: MLP weights: missing \(1\): l0\.W"),
    ],
)
def test_missing_and_unexpected_keys_are_listed(tmp_path, change, message):
    """Every level of the tree is checked, and the message says which key is wrong where."""
    run = trainer(EarlyStopping("loss"), JSONLLogger(tmp_path))
    run.fit(batches(), epochs=1)
    state = copy.deepcopy(run.state_dict())
    change(state)
    other = trainer(EarlyStopping("loss"), JSONLLogger(tmp_path))
    with pytest.raises(StateError, match=message):
        other.load_state_dict(state)


@pytest.mark.parametrize("version", [None, 0, 2, "1"])
def test_a_checkpoint_of_another_format_version_is_refused(version):
    """What another version wrote is not guessed at."""
    run = trainer()
    run.fit(batches(), epochs=1)
    state = run.state_dict() | {"format_version": version}
    message = (
        rf"^the checkpoint has format version {version}, this minitorch reads 1; load it with the version of minitorch"
    )
    with pytest.raises(CheckpointError, match=message):
        run.load_state_dict(state)


def test_nothing_in_a_checkpoint_is_executed(path):
    """The metadata of a file is plain JSON, with format version 1 and no class to import."""
    saved(trainer(EarlyStopping("loss")), path)
    raw = path.read_bytes()
    header = json.loads(raw[8 : 8 + int.from_bytes(raw[:8], "little")])
    tree = json.loads(header["__metadata__"]["meta"])["checkpoint"]
    assert tree["format_version"] == 1
    assert list(tree["callbacks"]) == ["EarlyStopping"]
    assert b"pickle" not in raw
    assert b"minitorch." not in raw


@pytest.mark.parametrize("given", ["runs/mnist", None, [1]])
def test_a_path_is_no_state(given):
    """`load_state_dict` takes a dict; a file is for `fit`."""
    with pytest.raises(
        StateError, match=r"^load_state_dict: got .*; give what state_dict\(\) returned, or a file to fit"
    ):
        trainer().load_state_dict(given)
