"""`Trainer`: the loop over epochs and batches, with hooks for everything that is not the loop."""

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from os import PathLike
from pathlib import Path
from typing import Any

import attrs

from minitorch import random
from minitorch.config import no_grad, test_mode
from minitorch.errors import ConfigError
from minitorch.models import Model
from minitorch.optimizers import Optimizer
from minitorch.trainer import batches, snapshot
from minitorch.trainer.callback import Callback, HookLists, check_hooks
from minitorch.trainer.callbacks import default_callbacks, restore
from minitorch.trainer.explain import explanation
from minitorch.trainer.metrics import RunningMeans, check_finite
from minitorch.trainer.signals import handled
from minitorch.trainer.state import Budget, Every, FitResult, Status, StepOutputs, TrainState, check_every
from minitorch.trainer.step import train_step
from minitorch.variable import Variable, as_variable

LOG_EVERY = Every(steps=50)
VALIDATE_EVERY = Every(epochs=1)


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
        timings: measured seconds by name, kept apart from metrics since no two runs have the same.
        stage: "train", "validate", "predict", or "idle".
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
        callbacks: Sequence[Callback] | None = None,
        log_every: Every = LOG_EVERY,
        validate_every: Every = VALIDATE_EVERY,
    ) -> None:
        self.model = model
        self.optimizer = optimizer
        if optimizer is not None and optimizer.target is None:
            optimizer.setup(model)
        self.loss = loss
        self.metrics = dict(metrics or {})
        self.callbacks = list(default_callbacks() if callbacks is None else callbacks)
        for callback in self.callbacks:
            if not isinstance(callback, Callback):
                raise ConfigError(
                    f"Trainer: callback {callback!r} is no Callback; give an instance of a subclass of it"
                )
        check_every("Trainer", "log_every", log_every)
        check_every("Trainer", "validate_every", validate_every)
        self.log_every = log_every
        self.validate_every = validate_every
        self.state = TrainState()
        self.means = RunningMeans()
        self.history: list[dict[str, float]] = []
        self.timings: dict[str, float] = {}
        self.validation: dict[str, float] = {}
        self.checkpoint: Path | None = None
        self.stage = "idle"
        self.train_loader: Any = None
        self.hooks = HookLists(self, self.callbacks)
        self._size = 0
        self._clock = self._logged = 0.0
        self._ending: tuple[Status, str] | None = None

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
        """Log one number of the batch under way, a mean over its samples; it stays on its device until it is needed."""
        self.means.add(name, as_variable(value).data, self._size)

    def read(self, name: str) -> float:
        """The mean of a logged value over the epoch so far; on a GPU this waits for the device.

        Raises:
            ConfigError: nothing was logged under this name.
        """
        means = self.means.so_far()
        if name not in means:
            raise ConfigError(f"read: nothing is logged as {name!r}; there is {', '.join(means) or 'nothing yet'}")
        return means[name]

    def request_stop(self, reason: str, status: Status = "stopped") -> None:
        """End the run at the next safe point, after the step under way and its checkpoint."""
        self._ending = self._ending or (status, reason)

    @property
    def ending(self) -> bool:
        """Whether the run ends at this safe point."""
        return self._ending is not None

    def explain(self) -> str:
        """What runs, and in which order."""
        return explanation(self)

    def state_dict(self) -> dict[str, Any]:
        """Everything that a resumed run needs, as one tree of dicts, lists, numbers and arrays."""
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
        budget = Budget(epochs, steps, seconds)
        if self.optimizer is None:
            raise ConfigError("fit: the Trainer has no optimizer; give one, such as optimizers.SGD(0.01)")
        self.train_loader = train_loader
        self.hooks = HookLists(self, self.callbacks)
        self._ending = None
        try:
            with handled(self._on_signal):
                if resume is not None:
                    restore(self, resume)
                self._clock = time.perf_counter() - self.state.elapsed
                for hook in self.hooks.on_fit_start:
                    hook()
                self._ending = self._ending or budget.reached(self.state)
                while self._ending is None:
                    self._run_epoch(budget, batches.by_name(validation))
                return self._finish(*self._ending)
        except BaseException as error:
            self._fail(error)
            if isinstance(error, StopIteration):
                raise RuntimeError("fit: a step or a callback raised StopIteration, which ends nothing here") from error
            raise
        finally:
            self.stage = "idle"

    def evaluate(self, loader: Iterable[Any]) -> dict[str, float]:
        """The means of what `validation_step` logs over all batches, and of its loss, weighted by samples."""
        outer = self.stage, self.means, self._size, random.get_state()
        self.stage, self.means = "validate", RunningMeans()
        try:
            with no_grad(), test_mode():
                for batch in batches.all_of(loader):
                    loss = self.validation_step(self._started(batch))
                    if loss is not None:
                        self.log("loss", loss)
            return self.means.end_epoch()
        finally:
            outer[1].host_reads += self.means.host_reads
            self.stage, self.means, self._size, state = outer
            random.set_state(state)  # no random number of the training is used up

    def predict(self, loader: Iterable[Any]) -> Any:
        """The outputs of `predict_step` for all batches, joined along the first axis, as NumPy arrays."""
        outer, self.stage = self.stage, "predict"
        try:
            with no_grad(), test_mode():
                return batches.joined([self.predict_step(self._started(batch)) for batch in batches.all_of(loader)])
        finally:
            self.stage = outer

    # ---- the loop

    def _run_epoch(self, budget: Budget, validation: Mapping[str, Any]) -> None:
        self.stage = "train"
        for hook in self.hooks.on_epoch_start:
            hook()
        for batch, last in batches.of_epoch(self.train_loader, self.state.epoch, self.state.batch):
            self._run_batch(batch, last)
            if validation and self.validate_every.due(self.state):
                self._validate(validation)
            if last:
                self._end_epoch()
            self._ending = self._ending or budget.reached(self.state)
            for hook in self.hooks.on_checkpoint:
                hook()
            if self._ending is not None:
                return

    def _run_batch(self, batch: Any, last: bool) -> None:
        state = self.state
        random.begin_step(state.step + 1)
        batch = self._started(batch)
        loss = train_step(self, batch)
        self.log("loss", loss)
        state.step += 1
        state.samples += self._size
        state.batch = 0 if last else state.batch + 1
        state.epoch += last
        state.elapsed = time.perf_counter() - self._clock
        metrics = None
        if self.log_every.due(state, self._logged):
            self._logged = state.elapsed
            metrics = check_finite(self.means.end_interval(), state)
        outputs = StepOutputs(loss, self._size, metrics)
        for hook in self.hooks.on_batch_end:
            hook(outputs)

    def _started(self, batch: Any) -> Any:
        """`batch` as the callbacks leave it."""
        for who, hook in self.hooks.batch_start[self.stage]:
            batch = hook(batch)
            if batch is None:
                raise ConfigError(f"{type(who).__name__}.on_batch_start returned None; it must return the batch")
        self._size = batches.size(batch)
        return batch

    def _validate(self, loaders: Mapping[str, Any]) -> None:
        for hook in self.hooks.on_validation_start:
            hook()
        metrics = {}
        for name, loader in loaders.items():
            metrics.update({f"val_{name}{key}": value for key, value in self.evaluate(loader).items()})
        self.validation = metrics
        for hook in self.hooks.on_validation_end:
            hook(metrics)

    def _end_epoch(self) -> None:
        metrics = check_finite(self.means.end_epoch(), self.state) | self.validation
        self.validation = {}
        self.history.append(metrics)
        for hook in self.hooks.on_epoch_end:
            hook(metrics)

    def _finish(self, status: Status, reason: str) -> FitResult:
        metrics = dict(self.history[-1]) if self.history else {}
        result = FitResult(status, reason, attrs.evolve(self.state), metrics, list(self.history), self.checkpoint)
        for hook in self.hooks.on_fit_end:
            hook(result)
        return result

    def _fail(self, error: BaseException) -> None:
        for hook in self.hooks.on_exception:
            try:
                hook(error)
            except Exception as second:  # every hook gets its turn, and the first error is the one that is raised
                error.add_note(f"while handling it, {hook} raised {second!r}")

    def _on_signal(self, name: str) -> None:
        self.request_stop(f"received {name}", "interrupted" if name == "SIGINT" else "terminated")
