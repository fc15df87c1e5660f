"""`Trainer`: what is trained, by which step, with which callbacks; the loop itself is in `loop.py`."""

from collections.abc import Callable, Iterable, Mapping
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any

from minitorch.errors import ConfigError
from minitorch.foreign import tells_arguments
from minitorch.models import Model
from minitorch.optimizers import Optimizer
from minitorch.trainer import batches, optimizers, snapshot
from minitorch.trainer.accumulation import Accumulation
from minitorch.trainer.bill import Bill
from minitorch.trainer.callback import Callback, HookLists, check_hooks, checked
from minitorch.trainer.callbacks import default_callbacks
from minitorch.trainer.explain import explanation
from minitorch.trainer.fit_checks import check_fit, checked_validation
from minitorch.trainer.foreign_names import ARGUMENTS, FIT_ARGUMENTS
from minitorch.trainer.limits import Limits, check_limits
from minitorch.trainer.loop import Loop, aside, evaluated, started
from minitorch.trainer.metrics import RunningMeans, checked_loss, checked_metrics
from minitorch.trainer.run_folders import RunFolders
from minitorch.trainer.signals import handled, what_is_left
from minitorch.trainer.state import FitResult, Status, TrainState
from minitorch.trainer.step import UNSCALED, Stepper, Steps, checked_model, train_step
from minitorch.trainer.triggers import Budget, Every, check_every
from minitorch.variable import Variable

if TYPE_CHECKING:
    from minitorch.trainer.replay import Replay

LOG_EVERY, VALIDATE_EVERY = Every(steps=50), Every(epochs=1)
ALL = Limits()


class Trainer(Steps):
    """Trains a model: subclass it and write `training_step`, or give it a loss.

        class MnistTrainer(Trainer):
            def training_step(self, batch):
                x, t = batch
                y = self.model(x)
                self.log("accuracy", F.accuracy(y, t))
                return F.softmax_cross_entropy(y, t)

        trainer = MnistTrainer(MLP((1000, 10)), SGD(0.01), callbacks=[EpochTimer(), ConsoleLogger()])
        result = trainer.fit(train_loader, test_loader, epochs=5)

    A subclass may override the steps (`training_step`, `validation_step`, `predict_step`, `optimizer_step`) and any
    hook of `Callback`, without the argument `trainer`.

    Args:
        model: what is trained.
        optimizer: updates it; set up for `model` unless it is already. Several by name, `{"generator": Adam(), ...}`,
            are set up for the parts of the model with these names, `model.generator`. None: only `evaluate` and
            `predict`.
        loss: `loss(y, t)`, for the default `training_step`.
        metrics: by name `metric(y, t)`, a function or one of `minitorch.metrics`, logged by the default
            `training_step`.
        callbacks: run by phase, then in this order; None: `default_callbacks()`, []: a bare loop.
        log_every: how often means are computed and logged.
        validate_every: how often validation runs, where `fit` is given validation data.

    Attributes:
        optimizers: all of them by name.
        stepper: runs one batch, `stepper(trainer, batch) -> loss`; see `minitorch.trainer.step.Stepper`.
        accumulation: what of an update is there already, where several batches make one.
        loss_scale: what the gradients are multiplied by, a number or an array of one element on the device: whoever
            sets it must divide them again in an `on_after_backward` of phase DEVICE, before anybody reads them.
        state: the counters of the run.
        history: the metrics of each epoch.
        validation: the newest validation metrics of the epoch under way.
        checkpoint: the newest checkpoint written.
        timings: measurements by name (seconds, memory, ...), kept apart from metrics since no two runs have the same.
        stage: "train", "validate", "predict", or "idle".
        ending: how and why the run ends at this safe point; None while it goes on.
        config: settings to note down with the run, in the `run.json` of its folder; plain JSON.
        resuming: whether `fit` was asked to go on with an earlier run, even if that left no checkpoint.
    """

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        check_hooks(cls, Trainer)

    @tells_arguments(ARGUMENTS)
    def __init__(
        self,
        model: Model,
        optimizer: Optimizer | Mapping[str, Optimizer] | None = None,
        *,
        loss: Callable[[Any, Any], Variable] | None = None,
        metrics: Mapping[str, Callable[[Any, Any], Any]] | None = None,
        callbacks: Iterable[Callback] | None = None,
        log_every: Every = LOG_EVERY,
        validate_every: Every = VALIDATE_EVERY,
    ) -> None:
        self.model = checked_model(model)
        self.optimizers = optimizers.by_name(optimizer, model)
        self.loss = checked_loss(loss)
        self.metrics = checked_metrics({} if metrics is None else metrics)
        self.callbacks = checked(default_callbacks() if callbacks is None else callbacks)
        self.log_every = check_every("Trainer", "log_every", log_every)
        self.validate_every = check_every("Trainer", "validate_every", validate_every)
        self.stepper: Stepper = train_step
        self.accumulation = Accumulation()
        self.loss_scale: Any = UNSCALED
        self.state = TrainState()
        self.means = RunningMeans(self.metrics)
        self.history: list[dict[str, float]] = []
        self.timings: dict[str, float] = {}
        self.validation: dict[str, float] = {}
        self.checkpoint: Path | None = None
        self.ending: tuple[Status, str] | None = None
        self.stage = "idle"
        self.resuming = False
        self.train_loader: Any = None
        self.config: dict[str, Any] = {}
        self.validation_loaders: dict[str, Any] = {}
        self.limits = Limits()
        self.hooks = HookLists(self, self.callbacks)

    # ---- what callbacks may call

    def read(self, name: str) -> float:
        """The mean of a logged value over the epoch so far; on a GPU this waits for the device.

        Raises:
            ConfigError: nothing was logged under this name.
        """
        return self.means.mean(name)

    def request_stop(self, reason: str, status: Status = "stopped") -> None:
        """End the run at the next safe point, after the step under way and its checkpoint."""
        self.ending = self.ending or (status, reason)

    @property
    def optimizer(self) -> Optimizer | None:
        """The optimizer, where there is one.

        Raises:
            ConfigError: there are several.
        """
        return optimizers.only(self.optimizers)

    @property
    def bill(self) -> Bill:
        """What each hook of the newest run took of its time, and moved between host and device; print it."""
        return self.hooks.bill

    @property
    def batches_per_epoch(self) -> int | None:
        """The batches of an epoch of training, where the loader knows its length."""
        if not hasattr(self.train_loader, "__len__"):
            return None
        return min(len(self.train_loader), self.limits.train_batches or len(self.train_loader))

    def explain(self) -> str:
        """What runs, and in which order."""
        return explanation(self)

    def state_dict(self) -> dict[str, Any]:
        """Everything that a resumed run needs, as one tree; the arrays in it are the Trainer's own, not copies."""
        return snapshot.state_dict(self)

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from what `state_dict` returned."""
        snapshot.load_state_dict(self, state)

    # ---- entry points

    @tells_arguments(FIT_ARGUMENTS)
    def fit(
        self,
        train_loader: Iterable[Any],
        validation: Any = None,
        *,
        epochs: int | None = None,
        steps: int | None = None,
        seconds: float | None = None,
        resume: str | PathLike[str] | None = None,
        limits: Limits = ALL,
    ) -> FitResult:
        """Train until `epochs`, `steps` or `seconds` in all are done, or somebody asks to stop.

        Args:
            train_loader: the batches of an epoch, anew at each pass.
            validation: a loader, or several by name in a dict.
            epochs: epochs in all, those of a resumed run included.
            steps: optimizer updates in all.
            seconds: of training in all.
            resume: a checkpoint's path; "auto": the newest valid one of the Checkpoint callback, if there is one.
            limits: of the data, for a trial.

        Returns:
            How it ended, with the metrics of every epoch. The first SIGINT or SIGTERM ends it at the next safe point.

        Raises:
            ConfigError: no end is given, or it is not positive, or there is no optimizer; or the Trainer is under way;
                or a loader is none; or a callback watches a metric that nobody logs; or a folder has files of an
                earlier run, which this one neither goes on with nor may overwrite.
            DataError: the loader has no batch, or lasts for one pass where several are needed.
            InUseError: another run is writing to a folder of this one.
        """
        if self.stage != "idle":
            raise ConfigError("fit: this Trainer is under way already; for a run inside of its hooks make another one")
        if not self.optimizers:
            raise ConfigError("fit: the Trainer has no optimizer; give one, such as optimizers.SGD(0.01)")
        self.limits = check_limits(limits)
        if limits.fast_dev_run:
            epochs, steps, seconds, resume = self.state.epoch + 1, None, None, None
        if limits.overfit_batches:
            train_loader = batches.first(train_loader, limits.overfit_batches)
            validation = train_loader
        self.validation_loaders = batches.by_name(checked_validation(validation))
        budget, callbacks = Budget(epochs, steps, seconds), limits.running(self.callbacks)
        self.train_loader, self.resuming, self.ending = train_loader, resume is not None, None
        self.hooks = HookLists(self, callbacks)
        check_fit(self, callbacks, None if epochs is None or self.resuming else epochs - self.state.epoch)
        with RunFolders(self, callbacks) as folders:
            try:
                with handled(self.request_stop):
                    folders.begin(resume)
                    return Loop(self, budget, validation).run()
            except BaseException as error:
                self.hooks.fail(self, error)
                self.state.waiting = 0  # a failed batch may be half in the gradients that wait: the next begins anew
                if isinstance(error, KeyboardInterrupt):
                    error.add_note(what_is_left(self))
                if isinstance(error, StopIteration):
                    raise RuntimeError(
                        "fit: a step or a callback raised StopIteration, which ends nothing here"
                    ) from error
                raise
            finally:
                self.stage, self.means.size = "idle", 0
                self.hooks.bill.end()

    def evaluate(self, loader: Any, limit: int | None = None) -> dict[str, float]:
        """The means of what `validation_step` logs over all batches, and of its loss, weighted by samples.

        Args:
            loader: the batches; or several loaders by name in a dict, whose metrics then carry their names.
            limit: of each loader no more than so many batches.

        Raises:
            DataError: the loader has no batch.
        """
        return evaluated(self, batches.by_name(loader), limit)

    def predict(self, loader: Iterable[Any]) -> Any:
        """The outputs of `predict_step`, joined along the first axis in the order of the loader, as NumPy arrays.

        Raises:
            DataError: the loader has no batch.
        """
        with aside(self, "predict"):
            return batches.joined([self.predict_step(started(self, batch)) for batch in batches.in_order(loader)])

    def replay(self, step: int, train_loader: Any = None, validation: Any = None) -> "Replay":
        """Do one step of an earlier run once more, from the nearest checkpoint before it, to look into it.

            step = trainer.replay(14302, train_loader, test_loader)
            print(step.loss, {path: abs(g).max() for path, g in step.gradients.items()})

        The steps between the checkpoint and it are done with all callbacks but those that write files or are of the
        phases LOG and CHECKPOINT, so nothing of the run is touched; afterwards the Trainer is as it was. The step
        itself is done eagerly: `training_step` may have a breakpoint.

        Args:
            step: its number: the one that makes `state.step` this.
            train_loader: as in the run; None: that of the newest `fit`.
            validation: as in the run; needed where a callback changes the training by metrics of validation.

        Raises:
            ConfigError: there is no Checkpoint callback, no checkpoint from before the step, or no loader.
            CheckpointError: all checkpoints from before it are damaged.
        """
        from minitorch.trainer.replay import replay  # here, as few programs replay a step

        return replay(self, step, train_loader, validation)
