"""`TrainerConfig`: runs as plain settings, made of public names alone."""

import inspect
import json

import numpy as np
import pytest

import minitorch
import minitorch.functions as F
from minitorch import DataLoader, Every, Trainer, optimizers
from minitorch.datasets import MNIST
from minitorch.errors import ConfigError
from minitorch.models import MLP, Sequential
from minitorch.trainer import TrainerConfig
from minitorch.trainer.callbacks import Checkpoint, ConfusionMatrix, JSONLLogger, LRSchedule, Profile
from minitorch.trainer.public_names import make, shelf
from minitorch.trainer.run_record import RunRecord


@pytest.fixture
def settings(small_mnist, tmp_path):
    """The settings of a small run."""
    return {
        "model": {"name": "MLP", "fc_output_sizes": [20, 10], "activation": "relu"},
        "optimizer": {"name": "SGD", "lr": 0.1},
        "train": {"batch_size": 50, "dataset": {"name": "MNIST", "train": True, "root": str(small_mnist)}},
        "validation": {"batch_size": 60, "dataset": {"name": "MNIST", "train": False, "root": str(small_mnist)}},
        "callbacks": [{"name": "JSONLLogger"}, {"name": "Checkpoint", "every": {"epochs": 1}}],
        "metrics": ["accuracy"],
        "folder": str(tmp_path / "runs"),
        "seed": 3,
        "epochs": 2,
    }


def test_it_trains_as_the_program_does(settings, small_mnist, tmp_path):
    """The run of the settings and the same one written as a program have the same weights and files, bit for bit."""
    result = TrainerConfig.from_dict(settings).fit()
    minitorch.seed(3)
    folder = tmp_path / "program"
    trainer = Trainer(
        MLP((20, 10), activation=F.relu),
        optimizers.SGD(0.1),
        loss=F.softmax_cross_entropy,
        metrics={"accuracy": F.accuracy},
        callbacks=[JSONLLogger(folder), Checkpoint(folder)],
    )
    train = DataLoader(MNIST(train=True, root=small_mnist), 50)
    test = DataLoader(MNIST(train=False, root=small_mnist), 60, shuffle=False)
    by_hand = trainer.fit(train, test, epochs=2)
    assert result.history == by_hand.history
    assert (tmp_path / "runs/001/metrics.jsonl").read_bytes() == (folder / "metrics.jsonl").read_bytes()


def test_each_run_has_its_folder_and_its_settings(settings, tmp_path):
    """Runs are numbered; the settings are in the record, and make the same run again; resumed, it goes on."""
    config = TrainerConfig.from_dict(settings)
    config.fit()
    saved = RunRecord.read(tmp_path / "runs" / "001").config
    again = TrainerConfig.from_dict(saved)
    assert again == config
    assert again.as_dict() == json.loads(json.dumps(config.as_dict())) | {
        "metrics": ("accuracy",),
        "callbacks": tuple(settings["callbacks"]),
    }
    again.fit()
    assert len(list((tmp_path / "runs").iterdir())) == 2
    longer = TrainerConfig.from_dict(settings | {"epochs": 3})
    assert longer.fit(resume="auto").checkpoint.parent.parent.name == "002"


def test_nested_things_are_made(tmp_path):
    """Layers of a Sequential, functions, schedules, triggers, ranges, hooks and transforms."""
    model = make(
        "model",
        {
            "name": "Sequential",
            "layers": [{"name": "Linear", "out_size": 5}, {"name": "Dropout", "dropout_ratio": 0.2}],
        },
        "model",
    )
    assert isinstance(model, Sequential)
    assert [type(layer).__name__ for layer in model.layers] == ["Linear", "Dropout"]
    assert make("model", {"name": "Sequential", "layers": ["relu"]}, "model").layers == (F.relu,)
    schedule = {
        "name": "Chained",
        "schedules": [{"name": "WarmUp", "length": 5}, {"name": "Cosine", "length": 95}],
        "lengths": [5],
    }
    made = make("callback", {"name": "LRSchedule", "schedule": schedule, "every": {"steps": 10}}, "callbacks[0]")
    assert isinstance(made, LRSchedule)
    assert made.every == Every(steps=10)
    assert made.schedule(50) == pytest.approx(0.5, abs=0.1)
    made = make("callback", {"name": "Profile", "steps": [3, 9]}, "callbacks[0]", {"folder": tmp_path, "loader": 1})
    assert isinstance(made, Profile)
    assert (made.steps, made.folder) == (range(3, 9), tmp_path)
    transform = {"name": "Compose", "transforms": [{"name": "Flatten"}, {"name": "Normalize", "mean": 0.0, "std": 2.0}]}
    made = make("part", transform, "x")
    np.testing.assert_array_equal(made(np.ones((1, 2, 2), np.float32)), np.full(4, 0.5))


def test_hooks_of_the_optimizer(settings):
    """They are added in order."""
    settings["optimizer"]["hooks"] = [{"name": "WeightDecay", "rate": 0.1}, {"name": "ClipGrad", "max_norm": 1.0}]
    trainer = TrainerConfig.from_dict(settings).trainer(folder="unused")
    assert [type(hook).__name__ for hook in trainer.optimizer.hooks] == ["WeightDecay", "ClipGrad"]


def test_pictures_look_at_the_validation_samples(settings, tmp_path):
    """A callback with a setting `loader` gets that of validation."""
    pytest.importorskip("matplotlib")
    settings["callbacks"] = [{"name": "ConfusionMatrix"}]
    config = TrainerConfig.from_dict(settings)
    _, validation = config.loaders()
    (callback,) = config.trainer(tmp_path, validation).callbacks
    assert isinstance(callback, ConfusionMatrix)
    assert callback.loader is validation


@pytest.mark.parametrize(
    ("at", "value", "message"),
    [
        (("modle",), {}, r"TrainerConfig: there is no setting 'modle'; did you mean model\?"),
        (("model",), 3, r"TrainerConfig: model is 3; it must be a table"),
        (("model",), {}, r"model is \{\}; it must be a table with the name of a model"),
        (("model", "name"), "MPL", r"model: no model is named 'MPL'; did you mean MLP\?"),
        (("model", "name"), "mlp", r"model: no model is named 'mlp'; did you mean MLP\?"),
        (("model", "name"), 7, r"model: the name of a model is 7; it must be a string, such as '"),
        (("model", "name"), "os.system", r"model: no model is named 'os\.system'; there is GPT, MLP, "),
        (("model", "activation"), "rellu", r"model\.activation: no function is named 'rellu'; did you mean relu"),
        (("model", "depth"), 3, r"model: MLP has no setting 'depth'; there is activation, fc_output_sizes"),
        (("model", "fc_output_sizes"), [], r"model: MLP: fc_output_sizes is \[\]; give the output size of each layer"),
        (("optimizer", "lr"), "high", r"optimizer: .*lr"),
        (("optimizer", "name"), "WeightDecay", r"optimizer: no optimizer is named 'WeightDecay'; there is AdaDelta"),
        (("train", "dataset"), {"name": "ArrayDataset"}, r"train\.dataset: ArrayDataset needs x"),
        (("train", "bach_size"), 3, r"train: DataLoader has no setting 'bach_size'; did you mean batch_size\?"),
        (("train", "name"), "Loader", r"train: no loader is named 'Loader'; there is DataLoader, SeqDataLoader"),
        (("train",), {"batch_size": 1}, r"train: its dataset is missing; give a table with the name of one"),
        (("callbacks",), [{"name": "Chekpoint"}], r"callbacks\[0\]: no callback is named 'Chekpoint'; did you mean"),
        (("callbacks",), [{"name": "Checkpoint", "every": 3}], r"callbacks\[0\]: Checkpoint: every is 3; a bare"),
        (("callbacks",), [{"name": "Checkpoint", "every": {"epochs": 0}}], r"callbacks\[0\]\.every: Every: epochs"),
        (("callbacks",), {"name": "Checkpoint"}, r"TrainerConfig: .* is given where a list is wanted"),
        (("metrics",), "accuracy", r"TrainerConfig: 'accuracy' is given where a list is wanted: \['accuracy'\]"),
        (("metrics",), ["acuracy"], r"TrainerConfig: no function is named 'acuracy'; did you mean accuracy\?"),
        (("loss",), "__import__", r"TrainerConfig: no function is named '__import__'; there is abs, "),
        (("seed",), -1, r"TrainerConfig: seed is -1; it must be an int of at least 0"),
        (("epochs",), 0, r"fit: epochs is 0; it must be a positive int"),
        (("log_every",), {"step": 5}, r"log_every: Every has no setting 'step'; did you mean steps"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_named(settings, tmp_path, at, value, message):
    """The error says where in the file, what, and what may have been meant."""
    inner = settings
    for key in at[:-1]:
        inner = inner[key]
    inner[at[-1]] = value

    def make_all():
        config = TrainerConfig.from_dict(settings)
        config.loaders()
        config.trainer(tmp_path)

    with pytest.raises(ConfigError, match=f"^{message}"):
        make_all()


def test_a_file_that_is_no_toml(tmp_path):
    """The file and the line are named."""
    (tmp_path / "a.toml").write_text("epochs = = 3")
    with pytest.raises(ConfigError, match=r"^.*a\.toml: Invalid value \(at line 1, column 10\)"):
        TrainerConfig.read(tmp_path / "a.toml")
    with pytest.raises(ConfigError, match=r"^.*b\.toml: cannot be read: No such file"):
        TrainerConfig.read(tmp_path / "b.toml")
    (tmp_path / "c.toml").write_text("epochs = 3")
    with pytest.raises(ConfigError, match=r"^.*c\.toml: TrainerConfig: model, train, optimizer must be given$"):
        TrainerConfig.read(tmp_path / "c.toml")


def test_settings_cannot_be_changed(settings):
    """A config is frozen."""
    with pytest.raises(AttributeError):
        TrainerConfig.from_dict(settings).seed = 4


@pytest.mark.parametrize("kind", ["model", "data set", "optimizer", "hook", "callback", "function", "part"])
def test_only_public_things_can_be_named(kind):
    """Every name leads to a class or function of minitorch itself, under its own name."""
    for name, thing in shelf(kind).items():
        assert callable(thing)
        assert thing.__module__.startswith("minitorch.")
        assert not name.startswith("_")
        assert not inspect.isabstract(thing)


def test_no_name_is_imported_or_evaluated(settings, monkeypatch):
    """Neither what is imported nor what is evaluated depends on a string of a file."""
    import builtins
    import importlib

    TrainerConfig.from_dict(settings)
    calls = []
    for module, name in ((builtins, "eval"), (builtins, "exec"), (importlib, "import_module")):
        monkeypatch.setattr(module, name, lambda *args, **more: calls.append(args))
    for hostile in ("os.system", "minitorch.random.seed", "__import__('os')", "../../x"):
        for at in ("model", "optimizer"):
            with pytest.raises(ConfigError):
                TrainerConfig.from_dict(settings | {at: {"name": hostile}}).trainer("unused")
    assert calls == []
