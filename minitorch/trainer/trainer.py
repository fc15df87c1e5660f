"""`Trainer`: the loop over epochs and batches, with hooks for everything that is not the loop."""

import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from os import PathLike
from pathlib import Path
from typing import Any

import attrs

from minitorch.config import no_grad, test_mode
from minitorch.errors import ConfigError
from minitorch.models import Model
from minitorch.optimizers import Optimizer
from minitorch.trainer import batches, snapshot
from minitorch.trainer.callback import Callback, HookLists, check_hooks, checked
from minitorch.trainer.callbacks import default_callbacks, restore
from minitorch.trainer.explain import explanation
from minitorch.trainer.metrics import RunningMeans, check_finite
from minitorch.trainer.signals import handled
from minitorch.trainer.state import FitResult, Status, StepOutputs, TrainState
from minitorch.trainer.step import numbered, train_step
from minitorch.trainer.triggers import Budget, Every, check_every
from minitorch.variable import Variable

LOG_EVERY, VALIDATE_EVERY = Every(steps=50), Every(epochs=1)


class Trainer:
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
        optimizer: updates it; set up for `model` unless it is already. None: only `evaluate` and `predict`.
        loss: `loss(y, t)`, for the default `training_step`.
        metrics: by name `metric(y, t)`, logged by the default `training_step`.
        callbacks: run by phase, then in this order; None: `default_callbacks()`, []: a bare loop.
        log_every: how often means are computed and logged.
        validate_every: how often validation runs, where `fit` is given validation data.

    Attributes:
        state: the counters of the run.
        history: the metrics of each epoch.
        validation: the newest validation metrics of the epoch under way.
        checkpoint: the newest checkpoint written.
        timings: measurements by name (seconds, memory, ...), kept apart from metrics since no two runs have the same.
        stage: "train", "validate", "predict", or "idle".
        ending: how and why the run ends at this safe point; None while it goes on.
        resuming: whether `fit` was asked to go on with an earlier run, even if that left no checkpoint.
    """

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        check_hooks(cls, Trainer)

    def __init__(
        self,
        model: Model,
        optimizer: Optimizer | None = None,
        *,
        loss: Callable[[Any, Any], Variable] | None = None,
        metrics: Mapping[str, Callable[[Any, Any], Any]] | None = None,
        callbacks: Iterable[Callback] | None = None,
        log_every: Every = LOG_EVERY,
        validate_every: Every = VALIDATE_EVERY,
    ) -> None:
        self.model = model
        self.optimizer = optimizer
        if not isinstance(optimizer, Optimizer | None):
            raise ConfigError(f"Trainer: optimizer is {optimizer!r}; give an instance, such as optimizers.SGD(0.01)")
        if optimizer is not None and optimizer.target is None:
            optimizer.setup(model)
        self.loss = loss
        self.metrics = dict(metrics or {})
        self.callbacks = checked(default_callbacks() if callbacks is None else callbacks)
        self.log_every = check_every("Trainer", "log_every", log_every)
        self.validate_every = check_every("Trainer", "validate_every", validate_every)
        self.state = TrainState()
        self.means = RunningMeans()
        self.history: list[dict[str, float]] = []
        self.timings: dict[str, float] = {}
        self.validation: dict[str, float] = {}
        self.checkpoint: Path | None = None
        self.ending: tuple[Status, str] | None = None
        self.stage = "idle"
        self.resuming = False
        self.train_loader: Any = None
        self.hooks = HookLists(self, self.callbacks)
        self._clock = self._logged = self._validated = 0.0

    # ---- steps, to be overridden

    def training_step(self, batch: Any) -> Variable:
        """Compute the loss of `batch`; by default `loss(model(x), t)` of `(x, t)`, and the metrics."""
        if self.loss is None:
            raise ConfigError(
                f"{type(self).__name__} has no training_step and no loss; override training_step, or give loss=..., "
                "such as loss=F.softmax_cross_entropy"
            )
        x, t = batch
        y = self.model(x)
        for name, metric in self.metrics.items():
            self.log(name, metric(y, t))
        return self.loss(y, t)

    def validation_step(self, batch: Any) -> Variable:
        """Compute the loss of `batch` under `no_grad` and `test_mode`; by default as `training_step`."""
        return self.training_step(batch)

    def predict_step(self, batch: Any) -> Any:
        """Compute the output for `batch`; by default `model(x)` of `(x, ...)` or of `x`."""
        return self.model(batch[0] if isinstance(batch, tuple | list) else batch)

    def optimizer_step(self) -> None:
        """Update the Parameters; by default `optimizer.update()`."""
        assert self.optimizer is not None
        self.optimizer.update()

    # ---- what steps and callbacks may call

    def log(self, name: str, value: Any) -> None:
        """Log one number of the batch under way; its mean over samples is what callbacks get.

        On a GPU it stays there until it is needed, so an array that is changed in place later must be copied.

        Raises:
            ConfigError: no batch is under way.
            DTypeError: it is not one number.
        """
        self.means.add(name, value.data if isinstance(value, Variable) else value)

    def read(self, name: str) -> float:
        """The mean of a logged value over the epoch so far; on a GPU this waits for the device.

        Raises:
            ConfigError: nothing was logged under this name.
        """
        return self.means.mean(name)

    def request_stop(self, reason: str, status: Status = "stopped") -> None:
        """End the run at the next safe point, after the step under way and its checkpoint."""
        self.ending = self.ending or (status, reason)

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

    def fit(
        self,
        train_loader: Iterable[Any],
        validation: Any = None,
        *,
        epochs: int | None = None,
        steps: int | None = None,
        seconds: float | None = None,
        resume: str | PathLike[str] | None = None,
    ) -> FitResult:
        """Train until `epochs`, `steps` or `seconds` in all are done, or somebody asks to stop.

        Args:
            train_loader: the batches of an epoch, anew at each pass.
            validation: a loader, or several by name in a dict.
            epochs: epochs in all, those of a resumed run included.
            steps: optimizer updates in all.
            seconds: of training in all.
            resume: a checkpoint's path; "auto": the newest valid one of the Checkpoint callback, if there is one.

        Returns:
            How it ended, with the metrics of every epoch. The first SIGINT or SIGTERM ends it at the next safe point.

        Raises:
            ConfigError: no end is given, or it is not positive, or there is no optimizer.
            DataError: the loader has no batch.
        """
        budget, loaders = Budget(epochs, steps, seconds), batches.by_name(validation)
        if self.optimizer is None:
            raise ConfigError("fit: the Trainer has no optimizer; give one, such as optimizers.SGD(0.01)")
        self.train_loader, self.resuming = train_loader, resume is not None
        self.hooks = HookLists(self, self.callbacks)
        self.ending = None
        try:
            with handled(self.request_stop):
                if resume is not None:
                    restore(self, resume)
                self._logged = self._validated = self.state.elapsed
                self._clock = time.perf_counter() - self.state.elapsed
                for hook in self.hooks.on_fit_start:
                    hook(self)
                ends = self._ends(budget)
                while not ends:
                    ends = self._run_epoch(budget, loaders)
                return self._finish()
        except BaseException as error:
            self.hooks.fail(self, error)
            if isinstance(error, StopIteration):
                raise RuntimeError("fit: a step or a callback raised StopIteration, which ends nothing here") from error
            raise
        finally:
            self.stage, self.means.size = "idle", 0

    def evaluate(self, loader: Iterable[Any]) -> dict[str, float]:
        """The means of what `validation_step` logs over all batches, and of its loss, weighted by samples.

        Raises:
            DataError: the loader has no batch.
        """
        with self._aside("validate"):
            for batch in batches.all_of(loader):
                loss = self.validation_step(self._started(batch))
                if loss is not None:
                    self.log("loss", loss)
            return self.means.end_epoch()

    def predict(self, loader: Iterable[Any]) -> Any:
        """The outputs of `predict_step`, joined along the first axis in the order of the loader, as NumPy arrays.

        Raises:
            DataError: the loader has no batch.
        """
        with self._aside("predict"):
            return batches.joined([self.predict_step(self._started(batch)) for batch in batches.all_of(loader)])

    # ---- the loop

    def _run_epoch(self, budget: Budget, validation: Mapping[str, Any]) -> bool:
        self.stage = "train"
        for hook in self.hooks.on_epoch_start:
            hook(self)
        for batch, last in batches.of_epoch(self.train_loader, self.state.epoch, self.state.batch):
            self._run_batch(batch, last)
            if validation and self.validate_every.due(self.state, self._validated):
                self._validate(validation)
            if last:
                self._end_epoch()
            ends = self._ends(budget)  # now: whoever asks for the end after a hook has run gets one more step
            for hook in self.hooks.on_checkpoint:
                hook(self)
            if ends:
                return True
        return False

    def _run_batch(self, batch: Any, last: bool) -> None:
        state = self.state
        with numbered(state.step):
            batch = self._started(batch)
            loss = train_step(self, batch)
        self.log("loss", loss)
        state.advance(self.means.size, last, time.perf_counter() - self._clock)
        metrics = None
        if self.log_every.due(state, self._logged):
            self._logged = state.elapsed
            metrics = check_finite(self.means.end_interval(), state)
        outputs = StepOutputs(loss, self.means.size, metrics)
        for hook in self.hooks.on_batch_end:
            hook(self, outputs)
        self.means.size = 0

    def _started(self, batch: Any) -> Any:
        """`batch` as the callbacks leave it."""
        batch = self.hooks.start_batch(self, batch)
        self.means.size = batches.size(batch)
        return batch

    def _validate(self, loaders: Mapping[str, Any]) -> None:
        self._validated = self.state.elapsed
        for hook in self.hooks.on_validation_start:
            hook(self)
        metrics = self.validation = {}
        with numbered(self.state.step):  # with validation or without, the training draws the same numbers
            for name, loader in loaders.items():
                metrics.update({f"val_{name}{key}": value for key, value in self.evaluate(loader).items()})
        for hook in self.hooks.on_validation_end:
            hook(self, metrics)

    def _end_epoch(self) -> None:
        metrics = check_finite(self.means.end_epoch(), self.state) | self.validation
        self.validation = {}
        self.history.append(metrics)
        for hook in self.hooks.on_epoch_end:
            hook(self, metrics)

    @contextmanager
    def _aside(self, stage: str) -> Iterator[None]:
        """Apart from the training: no gradients, no dropout, means of its own."""
        outer = self.stage, self.means
        self.stage, self.means = stage, RunningMeans()
        try:
            with no_grad(), test_mode():
                yield
        finally:
            outer[1].host_reads += self.means.host_reads
            self.stage, self.means = outer

    def _ends(self, budget: Budget) -> bool:
        """Whether the run ends at this safe point."""
        ending = budget.reached(self.state)  # asked first: a signal may come meanwhile, and None must not overwrite it
        self.ending = self.ending or ending
        return self.ending is not None

    def _finish(self) -> FitResult:
        assert self.ending is not None
        so_far = check_finite(self.means.so_far(), self.state)
        metrics = self.history[-1] if self.history else so_far | self.validation
        state, history = attrs.evolve(self.state), list(self.history)
        result = FitResult(*self.ending, state, dict(metrics), history, self.checkpoint)
        for hook in self.hooks.on_fit_end:
            hook(self, result)
        return result
