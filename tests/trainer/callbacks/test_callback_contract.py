"""What every callback must do, checked on all that `minitorch.trainer.callbacks` exports, alone and together."""

import copy
import importlib.util
import inspect
import re

import attrs
import numpy as np
import pytest
import resumed_runs
import small_runs

import fake_cupy
import minitorch
from minitorch import Callback, Every
from minitorch.errors import StateError
from minitorch.optimizers.schedules import Exponential
from minitorch.trainer import Phase, callbacks
from minitorch.trainer.callback import HOOKS, overrides
from minitorch.trainer.callbacks import DevicePlacement

# By name: the settings it is made with, given a folder of its own and where MLflow may log.
SETTINGS = {
    "CSVLogger": lambda folder, uri: {"folder": folder},
    "Chaos": lambda folder, uri: {"steps": [999], "folder": folder},
    "Checkpoint": lambda folder, uri: {"folder": folder, "every": Every(steps=3)},
    "ConfusionMatrix": lambda folder, uri: {"folder": folder, "loader": small_runs.batches(2)},
    "ConsoleLogger": lambda folder, uri: {},
    "CudaGraph": lambda folder, uri: {"steps": 3},
    "CutMix": lambda folder, uri: {"classes": 3, "shape": (2, 3)},
    "DevicePlacement": lambda folder, uri: {"device": "cpu"},
    "DeviceStats": lambda folder, uri: {},
    "EMA": lambda folder, uri: {"decay": 0.8, "at_end": True},
    "EarlyStopping": lambda folder, uri: {"monitor": "loss", "patience": 50, "restore_best": True},
    "EpochTimer": lambda folder, uri: {},
    "Freeze": lambda folder, uri: {"pattern": "l0.*", "epoch": 1},
    "GradientClipping": lambda folder, uri: {"norm": 0.1},
    "GradientAccumulation": lambda folder, uri: {"batches": 1},
    "JSONLLogger": lambda folder, uri: {"folder": folder},
    "LRSchedule": lambda folder, uri: {"schedule": Exponential(0.9)},
    "LabelSmoothing": lambda folder, uri: {"classes": 3},
    "MLflowLogger": lambda folder, uri: {"experiment": folder.name, "tracking_uri": uri},
    "MixedPrecision": lambda folder, uri: {"format": "fp16"},
    "MixUp": lambda folder, uri: {"classes": 3},
    "ModelSummary": lambda folder, uri: {},
    "NaNGuard": lambda folder, uri: {"folder": folder},
    "PlotCurves": lambda folder, uri: {"folder": folder, "every": Every(steps=5)},
    "Profile": lambda folder, uri: {"folder": folder, "steps": range(2, 6)},
    "ProgressBar": lambda folder, uri: {},
    "ReduceLROnPlateau": lambda folder, uri: {"monitor": "loss", "patience": 1, "min_delta": 1.0},
    "SWA": lambda folder, uri: {"start": 1, "every": Every(steps=2)},
    "RunReport": lambda folder, uri: {"folder": folder},
    "SampleImages": lambda folder, uri: {"folder": folder, "loader": small_runs.batches(2), "shape": (2, 3)},
    "TensorBoardLogger": lambda folder, uri: {"folder": folder},
    "ThroughputMonitor": lambda folder, uri: {},
    "Unfreeze": lambda folder, uri: {"pattern": "*.b", "epoch": 1},
    "WandbLogger": lambda folder, uri: {"project": "contract", "folder": folder},
}
# Those whose work it is to change the numbers of a run.
CHANGING = {
    "CutMix", "EMA", "Freeze", "GradientClipping", "LRSchedule", "LabelSmoothing", "MixUp", "ReduceLROnPlateau", "SWA",
    "Unfreeze",
}  # fmt: skip
# Those that run on a GPU alone: tests of their own run them on the stand-in for one.
ON_A_GPU = {"MixedPrecision"}
# Those that cannot be in one run with one before.
APART = {"ReduceLROnPlateau"}
# Those that keep a list of Parameters on the device, or change which are updated, of which the optimizer has one there.
REGROUPING = {"EMA", "Freeze", "MixedPrecision", "SWA", "Unfreeze"}
# Those that have to read from the device what nobody else does.
READING = {"Checkpoint", "ConfusionMatrix", "CudaGraph", "NaNGuard", "SampleImages"}
# The packages without which it cannot be made.
NEEDS = {
    "ConfusionMatrix": "matplotlib",
    "MLflowLogger": "mlflow",
    "PlotCurves": "matplotlib",
    "SampleImages": "matplotlib",
    "TensorBoardLogger": "tensorboard",
    "WandbLogger": "wandb",
}
EXPORTED = {
    name: thing
    for name, thing in ((name, getattr(callbacks, name)) for name in callbacks.__all__)
    if isinstance(thing, type) and issubclass(thing, Callback)
}
MISSING = {name for name, package in NEEDS.items() if importlib.util.find_spec(package) is None}
TOGETHER = [name for name in SETTINGS if name not in MISSING | APART | ON_A_GPU]
each = pytest.mark.parametrize("name", SETTINGS)
each_that_runs_here = pytest.mark.parametrize("name", [name for name in SETTINGS if name not in ON_A_GPU])
each_that_changes_nothing = pytest.mark.parametrize("name", [n for n in SETTINGS if n not in CHANGING | ON_A_GPU])
each_that_changes_numbers = pytest.mark.parametrize("name", sorted(CHANGING))
pytestmark = pytest.mark.filterwarnings("ignore:::(mlflow|wandb|sqlalchemy|google|pydantic)")


@pytest.fixture(scope="module")
def uri(tmp_path_factory):
    """Where MLflow may log: one place for all tests, since making one takes seconds."""
    return f"sqlite:///{tmp_path_factory.mktemp('mlflow') / 'mlflow.db'}"


@pytest.fixture
def make(tmp_path, uri, monkeypatch):
    """Make a callback by name, with a folder for each; a test of one whose package is missing is skipped."""
    for name in ("CONFIG_DIR", "CACHE_DIR", "DATA_DIR"):
        monkeypatch.setenv(f"WANDB_{name}", str(tmp_path / "wandb" / name))
    for name, value in (("SILENT", "true"), ("CONSOLE", "off"), ("DISABLE_GIT", "true"), ("DISABLE_CODE", "true")):
        monkeypatch.setenv(f"WANDB_{name}", value)

    def made(name, folder="run", **more):
        if name in MISSING:
            pytest.skip(f"{NEEDS[name]} is not installed")
        return EXPORTED[name](**(SETTINGS[name](tmp_path / folder / name, uri) | more))

    return made


def ends_with(*given, epochs=2):
    """The history and the weights that a run with these callbacks ends with."""
    minitorch.seed(0)
    run = small_runs.trainer(*given)
    run.fit(small_runs.loader(seed=3), small_runs.batches(1), epochs=epochs)
    return run.history, small_runs.weights(run)


def equal(a, b):
    """Whether two states are the same, arrays bit for bit."""
    if isinstance(a, dict):
        return isinstance(b, dict) and list(a) == list(b) and all(equal(a[key], b[key]) for key in a)
    if isinstance(a, list | tuple):
        return len(a) == len(b) and all(map(equal, a, b))
    return np.array_equal(a, b, equal_nan=isinstance(a, float))


# What they are --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", EXPORTED)
def test_it_has_a_row_in_the_table(name):
    """A callback that is exported is tested by all tests here."""
    assert name in SETTINGS, f"add a row for {name} to SETTINGS"


def test_the_table_has_no_others():
    """Rows of callbacks that are gone are gone."""
    assert set(NEEDS) <= set(SETTINGS) <= set(EXPORTED)


@each
def test_it_says_what_it_does_and_how_to_use_it(name):
    """The docstring begins with a sentence and has an example in which it is given to a Trainer."""
    first, _, rest = inspect.getdoc(EXPORTED[name]).partition("\n\n")
    assert first.endswith((".", ":"))
    assert re.search(rf"\bTrainer\(.*callbacks=\[.*\b{name}\(", rest), f"{name} has no example in its docstring"


@each
def test_it_has_a_phase_and_documents_its_hooks(name):
    """It, or the class that it builds on, chose a phase; each hook says what it does here."""
    cls = EXPORTED[name]
    own = [base for base in cls.__mro__ if base not in Callback.__mro__]
    assert any(isinstance(vars(base).get("phase"), Phase) for base in own)
    written = [hook for hook in HOOKS if any(hook in vars(base) for base in own)]
    assert written
    assert all(getattr(cls, hook).__doc__ for hook in written)


@each
def test_it_is_printed_with_its_settings(make, name):
    """Its repr is one line with its name and settings, and `explain` shows it among the others of its phase."""
    callback = make(name)
    text = repr(callback)
    assert text.startswith(f"{name}(")
    assert not re.search(r"\n| at 0x", text)
    assert len(text.replace(str(callback.folder) if hasattr(callback, "folder") else "", "")) < 200
    shown = [field.name for field in attrs.fields(type(callback)) if field.init and field.repr]
    assert all(f"{setting}=" in text for setting in shown)
    assert not re.search(r"[(, ]_\w+=", text)
    lines = small_runs.trainer(callback).explain().splitlines()
    assert [line.split() for line in lines if text in line] == [[callback.phase.name, *text.split()]]


@each
def test_an_unknown_setting_is_an_error(make, name):
    """A misspelt argument is not swallowed."""
    with pytest.raises(TypeError, match="takes no argument 'no_such_setting'; it takes "):
        make(name, no_such_setting=1)


# What they do ---------------------------------------------------------------------------------------------------------


@each_that_changes_nothing
def test_alone_it_changes_no_number(make, name):
    """A run with it has the history and the weights of a run without."""
    assert ends_with(make(name)) == ends_with()


@each_that_changes_numbers
def test_alone_it_changes_numbers(make, name):
    """What is listed as changing numbers does."""
    assert ends_with(make(name)) != ends_with()


def test_all_together_they_change_no_number(make):
    """All of those that change none alone, as listed and backwards, change none either."""
    names = [name for name in TOGETHER if name not in CHANGING]
    for folder, order in (("forwards", names), ("backwards", names[::-1])):
        assert ends_with(*[make(name, folder) for name in order]) == ends_with()


@each_that_runs_here
def test_a_run_with_it_is_resumed_exactly(make, tmp_path, name):
    """Broken off in the middle of an epoch and resumed, a run ends as one that went through."""
    whole = resumed_runs.fit(tmp_path / "whole", lambda: [make(name, "a")])
    resumed_runs.fit(tmp_path / "broken", lambda: [make(name, "b")], break_at=8)
    resumed = resumed_runs.fit(tmp_path / "broken", lambda: [make(name, "b")])
    assert resumed.history == whole.history
    assert small_runs.weights(resumed) == small_runs.weights(whole)


def test_a_run_with_all_is_resumed_exactly(make, tmp_path):
    """So does a run with all of them."""

    def all_of_them(folder):
        return [make(name, folder) for name in TOGETHER if name != "Checkpoint"]

    whole = resumed_runs.fit(tmp_path / "whole", lambda: all_of_them("a"))
    resumed_runs.fit(tmp_path / "broken", lambda: all_of_them("b"), break_at=8)
    resumed = resumed_runs.fit(tmp_path / "broken", lambda: all_of_them("b"))
    assert resumed.history == whole.history
    assert small_runs.weights(resumed) == small_runs.weights(whole)


@each_that_runs_here
def test_its_state_goes_round_after_every_step(make, name):
    """Whenever a checkpoint may be saved, another one takes the state and gives it back."""
    callback = make(name)
    states = []
    note = small_runs.at("on_checkpoint", lambda trainer: states.append(copy.deepcopy(callback.state_dict())))
    small_runs.trainer(callback, note, log_every=Every(steps=1)).fit(small_runs.batches(), epochs=2)
    assert len(states) == 8
    for state in states:
        other = make(name, "other")
        other.load_state_dict(copy.deepcopy(state))
        assert equal(other.state_dict(), state)


@each
def test_a_state_that_is_not_its_own_is_an_error(make, name):
    """A state with a key more than it writes is refused, not half loaded."""
    callback = make(name)
    with pytest.raises(StateError, match="no_such_key"):
        callback.load_state_dict({**callback.state_dict(), "no_such_key": 1})


@each_that_runs_here
def test_after_a_run_that_failed_it_works_again(make, name):
    """A run that fails in the middle of an epoch leaves it, and all it had touched, fit for the next one."""
    fails = [True]
    fail = small_runs.at("on_batch_end", lambda trainer, _: 1 / (trainer.state.step != 6 or not fails.pop()))
    run = small_runs.trainer(make(name), fail)
    own = set(vars(run))
    with pytest.raises(ZeroDivisionError):
        run.fit(small_runs.batches(), epochs=3)
    assert set(vars(run)) == own
    result = run.fit(small_runs.batches(), epochs=3)
    assert (result.status, result.state.epoch) == ("completed", 3)


def test_all_states_go_round_after_every_step(make):
    """So do the states of all of them in one run."""
    those = [make(name) for name in TOGETHER]
    states = []
    note = small_runs.at(
        "on_checkpoint", lambda trainer: states.append(copy.deepcopy([one.state_dict() for one in those]))
    )
    small_runs.trainer(*those, note, log_every=Every(steps=1)).fit(small_runs.batches(), epochs=2)
    assert len(states) == 8
    for taken in states:
        others = [make(name, "other") for name in TOGETHER]
        for other, state in zip(others, taken, strict=True):
            other.load_state_dict(copy.deepcopy(state))
            assert equal(other.state_dict(), state)


@each
def test_one_that_never_began_survives_the_failure_of_another(make, name):
    """If another callback fails at the very start, its clean-up works, and the error is that of the other."""
    fail = small_runs.at("on_fit_start", lambda trainer: 1 / 0, phase=Phase.DEVICE)
    with pytest.raises(ZeroDivisionError) as raised:
        small_runs.trainer(fail, make(name)).fit(small_runs.batches(), epochs=1)
    assert not getattr(raised.value, "__notes__", [])


@each
def test_on_a_gpu_it_makes_nobody_wait(make, name):
    """A run on a device with it waits and moves data no more often, unless that is its work."""

    def traffic(*given):
        minitorch.seed(0)
        run = small_runs.trainer(DevicePlacement("cuda"), *given)
        with fake_cupy.counting() as counted:
            run.fit(small_runs.loader(seed=3), small_runs.batches(1), epochs=2)
        return counted

    with fake_cupy.installed():
        callback = make(name, **({"device": "cuda"} if name == "DevicePlacement" else {}))
        if name in READING:
            assert traffic(callback).to_host > traffic().to_host
        else:
            with_it, without = traffic(callback), traffic()
            if name not in REGROUPING:
                assert with_it.to_device_bytes == without.to_device_bytes
            assert (with_it.to_host, with_it.synchronisations) == (without.to_host, without.synchronisations)
            assert with_it.to_host_bytes == without.to_host_bytes


@each
def test_it_costs_no_hook_that_it_does_not_need(make, name):
    """Hooks that it does not write are not called for it."""
    callback = make(name)
    run = small_runs.trainer(callback)
    assert {hook for hook in HOOKS if getattr(run.hooks, hook)} == {hook for hook in HOOKS if overrides(callback, hook)}
