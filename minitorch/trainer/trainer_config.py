"""`TrainerConfig`: a whole run as plain settings, read from a TOML file, checked, and saved with the run."""

import inspect
from collections.abc import Iterable, Mapping
from os import PathLike, fspath
from pathlib import Path
from typing import Any

import attrs

from minitorch import random
from minitorch.dataloader import DataLoader, SeqDataLoader
from minitorch.errors import ConfigError
from minitorch.trainer.callbacks import Checkpoint, JSONLLogger, RunReport, default_callbacks
from minitorch.trainer.public_names import call, find, make, near
from minitorch.trainer.run_folders import run_folder
from minitorch.trainer.settings import check_number
from minitorch.trainer.state import FitResult
from minitorch.trainer.trainer import LOG_EVERY, VALIDATE_EVERY, Trainer
from minitorch.trainer.triggers import Budget, Every

Table = Mapping[str, Any]
LOADERS = {"DataLoader": DataLoader, "SeqDataLoader": SeqDataLoader}


def _check_table(config: Any, attribute: Any, value: Any) -> None:
    if not isinstance(value, Mapping):
        raise ConfigError(f"TrainerConfig: {attribute.name} is {value!r}; it must be a table")


def _check_table_or_none(config: Any, attribute: Any, value: Any) -> None:
    if value is not None:
        _check_table(config, attribute, value)


def _listed(value: Any) -> tuple[Any, ...]:
    if isinstance(value, str | Mapping) or not isinstance(value, Iterable):
        raise ConfigError(f"TrainerConfig: {value!r} is given where a list is wanted: [{value!r}]")
    return tuple(value)


def _as_str(path: str | PathLike[str]) -> str:
    """`fspath(path)`: as a function, since attrs reads signatures, and that of a built-in one takes it long."""
    return fspath(path)


@attrs.frozen
class TrainerConfig:
    """All settings of a run, plain as they stand in a file; names are those of the public packages.

        config = TrainerConfig.read("examples/mnist.toml")
        result = config.fit()

    Tables with a `name` are things to be made: `model`, `optimizer`, the `dataset` of `train` and `validation`, each of
    `callbacks`, the layers of a Sequential, a schedule, a transform. Strings where a function is wanted name one of
    `minitorch.functions`. `{epochs = 1}` where a trigger is wanted is `Every(epochs=1)`.

    Args:
        model: of `minitorch.models`.
        train: the settings of a DataLoader, with its `dataset`, one of `minitorch.datasets`.
        optimizer: of `minitorch.optimizers`, perhaps with `hooks`.
        loss: a function of (y, t).
        metrics: functions of (y, t), logged under their names.
        validation: as `train`; it is not shuffled unless it says so. None: no validation.
        callbacks: of `minitorch.trainer.callbacks`; those that write files do so in the folder of the run. None: the
            default ones, JSONLLogger, Checkpoint and RunReport.
        folder: where each run gets a new folder.
        seed: of all random numbers.
        epochs: epochs in all.
        steps: optimizer updates in all.
        seconds: of training in all.
        log_every: as `{steps = 50}`.
        validate_every: as `{epochs = 1}`.

    Raises:
        ConfigError: a setting is missing, unknown or not allowed.
    """

    model: Table = attrs.field(validator=_check_table)
    train: Table = attrs.field(validator=_check_table)
    optimizer: Table = attrs.field(validator=_check_table)
    loss: str = "softmax_cross_entropy"
    metrics: tuple[str, ...] = attrs.field(default=(), converter=_listed)
    validation: Table | None = attrs.field(default=None, validator=_check_table_or_none)
    callbacks: tuple[Table, ...] | None = attrs.field(default=None, converter=attrs.converters.optional(_listed))
    folder: str = attrs.field(default="runs", converter=_as_str)
    seed: int = 0
    epochs: int | None = None
    steps: int | None = None
    seconds: float | None = None
    log_every: Table | None = attrs.field(default=None, validator=_check_table_or_none)
    validate_every: Table | None = attrs.field(default=None, validator=_check_table_or_none)

    def __attrs_post_init__(self) -> None:
        check_number("TrainerConfig: seed", self.seed, int, 0)
        Budget(self.epochs, self.steps, self.seconds)
        for name in (self.loss, *self.metrics):
            find("function", name, "TrainerConfig")

    @classmethod
    def read(cls, path: str | PathLike[str]) -> "TrainerConfig":
        """The settings in a TOML file.

        Raises:
            ConfigError: the file cannot be read, or a setting is missing, unknown or not allowed.
        """
        import tomllib  # here, since settings may come from elsewhere

        try:
            return cls.from_dict(tomllib.loads(Path(path).read_text(encoding="utf-8")))
        except (OSError, ValueError) as error:  # ours are ValueErrors too
            reason = f"cannot be read: {error.strerror}" if isinstance(error, OSError) else str(error)
            raise ConfigError(f"{fspath(path)}: {reason}") from error

    @classmethod
    def from_dict(cls, settings: Table) -> "TrainerConfig":
        """The settings in a dict, such as that of a `run.json`.

        Raises:
            ConfigError: a setting is missing, unknown or not allowed.
        """
        fields = attrs.fields_dict(cls)
        for name in settings:
            if name not in fields:
                raise ConfigError(f"TrainerConfig: there is no setting {name!r}; {near(name, fields)}")
        missing = [name for name, field in fields.items() if field.default is attrs.NOTHING and name not in settings]
        if missing:
            raise ConfigError(f"TrainerConfig: {', '.join(missing)} must be given")
        return cls(**settings)

    def as_dict(self) -> dict[str, Any]:
        """The settings as `from_dict` takes them, without those that are None."""
        return {name: value for name, value in attrs.asdict(self).items() if value is not None}

    def loaders(self) -> tuple[Any, Any]:
        """The loaders of training and validation, the latter perhaps None."""
        validation = None if self.validation is None else _loader({"shuffle": False, **self.validation}, "validation")
        return _loader(self.train, "train"), validation

    def trainer(self, folder: Path, loader: Any = None, kind: type[Trainer] = Trainer) -> Trainer:
        """The Trainer, with callbacks that write to `folder` and look at the samples of `loader`.

        Args:
            folder: of the run.
            loader: for callbacks that show samples.
            kind: a subclass of Trainer that is made as Trainer is. A file can name none: whoever runs it says so.

        Raises:
            ConfigError: a thing is not there, or has other settings; or `kind` takes other arguments.
        """
        settings = {
            "loss": find("function", self.loss, "loss"),
            "metrics": {name: find("function", name, "metrics") for name in self.metrics},
            "callbacks": self._callbacks({"folder": folder, "loader": loader}),
            "log_every": _trigger(self.log_every, LOG_EVERY, "log_every"),
            "validate_every": _trigger(self.validate_every, VALIDATE_EVERY, "validate_every"),
        }
        model, optimizer = make("model", self.model, "model"), _optimizer(self.optimizer)
        try:
            inspect.signature(kind).bind(model, optimizer, **settings)
        except TypeError as error:
            raise ConfigError(
                f"{kind.__name__} cannot be made from settings: {error}; its __init__ must take what that of "
                "Trainer does"
            ) from None
        trainer = kind(model, optimizer, **settings)
        trainer.config = self.as_dict()
        return trainer

    def fit(self, resume: str | PathLike[str] | None = None, kind: type[Trainer] = Trainer) -> FitResult:
        """Make everything, and train; to resume, in the folder of the newest run or of the checkpoint given.

        Args:
            resume: as for `Trainer.fit`.
            kind: as for `trainer`.
        """
        random.seed(self.seed)
        train, validation = self.loaders()
        folder = run_folder(self.folder, resume)
        trainer = self.trainer(folder, train if validation is None else validation, kind)
        return trainer.fit(train, validation, epochs=self.epochs, steps=self.steps, seconds=self.seconds, resume=resume)

    def _callbacks(self, given: Table) -> list[Any]:
        if self.callbacks is None:
            return [*default_callbacks(), *[kind(given["folder"]) for kind in (JSONLLogger, Checkpoint, RunReport)]]
        return [make("callback", table, f"callbacks[{i}]", given) for i, table in enumerate(self.callbacks)]


def _trigger(table: Table | None, default: Every, where: str) -> Any:
    return default if table is None else call(Every, table, where)


def _optimizer(table: Table) -> Any:
    optimizer = make("optimizer", {key: value for key, value in table.items() if key != "hooks"}, "optimizer")
    for i, hook in enumerate(table.get("hooks", ())):
        optimizer.add_hook(make("hook", hook, f"optimizer.hooks[{i}]"))
    return optimizer


def _loader(table: Table, where: str) -> Any:
    kind = table.get("name", "DataLoader")
    if kind not in LOADERS:
        raise ConfigError(f"{where}: no loader is named {kind!r}; there is {', '.join(LOADERS)}")
    if "dataset" not in table:
        raise ConfigError(f"{where}: its dataset is missing; give a table with the name of one, such as MNIST")
    dataset = make("data set", table["dataset"], f"{where}.dataset")
    settings = {key: value for key, value in table.items() if key not in ("name", "dataset")}
    return call(LOADERS[kind], settings, where, {"dataset": dataset})
