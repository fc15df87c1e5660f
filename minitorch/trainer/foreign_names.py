"""Names that users of Lightning and Keras bring with them, and what stands for them here."""

from typing import Any

from minitorch.errors import ConfigError
from minitorch.foreign import Missing

_DATA = "give loaders to fit(train_loader, validation)"
_EVALUATE = "call evaluate(loader)"
_FIT_EPOCHS, _FIT_STEPS = "give fit(..., epochs=...)", "give fit(..., steps=...)"
_STEP = "override training_step"

# Attributes that these frameworks read: to set one here would change nothing.
SET = {
    "should_stop": "call request_stop(reason)",
    "stop_training": "call request_stop(reason)",
    "max_epochs": _FIT_EPOCHS,
    "max_steps": _FIT_STEPS,
    "max_time": "give fit(..., seconds=...)",
    "current_epoch": "it is state.epoch, which the loop counts",
    "global_step": "it is state.step, which the loop counts",
    "accumulate_grad_batches": "add the callback GradientAccumulation(batches)",
    "gradient_clip_val": "add the callback GradientClipping(norm=...)",
    "check_val_every_n_epoch": "give Trainer(..., validate_every=Every(epochs=...))",
    "log_every_n_steps": "give Trainer(..., log_every=Every(steps=...))",
    "limit_train_batches": "give fit(..., limits=Limits(train_batches=...))",
    "limit_val_batches": "give fit(..., limits=Limits(validation_batches=...))",
}

READ = SET | {
    "callback_metrics": "the metrics of finished epochs are in history, those of this one come from read(name)",
    "logged_metrics": "the metrics of finished epochs are in history, those of this one come from read(name)",
    "log_dict": "call log(name, value) for each",
    "train": "call fit(train_loader, ...)",
    "validate": _EVALUATE,
    "test": _EVALUATE,
    "save_checkpoint": "add the callback Checkpoint(folder)",
    "save": "add the callback Checkpoint(folder), or call model.save_weights(path)",
    "load": "give fit(..., resume=path), or call model.load_weights(path)",
    "load_from_checkpoint": "give fit(..., resume=path), or call model.load_weights(path, prefix='model/')",
    "train_dataloader": "it is train_loader",
    "val_dataloaders": "they are validation_loaders",
    "manual_backward": "override optimizer_step",
    "compile": "give Trainer(model, optimizer, loss=..., metrics={...})",
}

# Methods that these frameworks call: one of this name would never run here.
METHODS = {
    "train_step": _STEP,
    "test_step": "override validation_step, which evaluate(loader) runs",
    "val_step": "override validation_step",
    "eval_step": "override validation_step",
    "configure_optimizers": "give Trainer(model, optimizer), and schedules as the callback LRSchedule",
    "train_dataloader": _DATA,
    "val_dataloader": _DATA,
    "test_dataloader": _EVALUATE,
    "predict_dataloader": "call predict(loader)",
}

ARGUMENTS = SET | {
    "train_dataloaders": "give train_loader",
    "val_dataloaders": "give validation",
    "validation_data": "give validation",
    "validation_loader": "give validation",
    "val_loader": "give validation",
    "ckpt_path": "give resume=...",
    "batch_size": "it is the loader's: DataLoader(data, batch_size)",
    "shuffle": "it is the loader's: DataLoader(data, batch_size, shuffle=...)",
    "verbose": "add the callbacks ProgressBar() and ConsoleLogger(), or leave them out",
    "enable_progress_bar": "add the callback ProgressBar(), or leave it out",
    "logger": "add a callback: JSONLLogger, CSVLogger, TensorBoardLogger, WandbLogger or MLflowLogger",
    "accelerator": "add the callback DevicePlacement('auto')",
    "devices": "add the callback DevicePlacement('cuda:0')",
    "precision": "add the callback MixedPrecision('bf16')",
    "val_check_interval": "give Trainer(..., validate_every=Every(steps=...))",
    "fast_dev_run": "give fit(..., limits=Limits(fast_dev_run=True))",
    "overfit_batches": "give fit(..., limits=Limits(overfit_batches=...))",
    "default_root_dir": "each callback that writes is given its folder",
    "optimizers": "give optimizer, several of them in a dict by name",
    "strategy": "leave it out: a run is one process",
    "num_nodes": "leave it out: a run is one process",
    "deterministic": "leave it out: the same seed gives the same bits",
    "profiler": "add the callback Profile(folder, steps)",
    "detect_anomaly": "add the callback NaNGuard(folder)",
    "enable_checkpointing": "add the callback Checkpoint(folder), or leave it out",
    "enable_model_summary": "add the callback ModelSummary(), or leave it out",
    "num_sanity_val_steps": "give fit(..., limits=Limits(fast_dev_run=True)) for a trial of everything",
    "datamodule": _DATA,
    "validation_split": "split the data: validation is a loader of its own",
    "validation_freq": "give Trainer(..., validate_every=Every(epochs=...))",
    "validation_steps": "give fit(..., limits=Limits(validation_batches=...))",
    "steps_per_epoch": "give fit(..., limits=Limits(train_batches=...))",
    "class_weight": "give a loss that has them: F.softmax_cross_entropy(y, t, class_weights=...)",
    "criterion": "give loss",
    "loss_fn": "give loss",
    "initial_epoch": "give resume=..., and epochs= in all",
}

FIT_ARGUMENTS = ARGUMENTS | {
    name: f"give Trainer(..., {name}=...)" for name in ("callbacks", "loss", "metrics", "optimizer")
}

# Methods of Lightning's callbacks and modules, where they take its `stage`: other ones of these names are the user's.
WITH_STAGE = {
    "setup": "write on_fit_start",
    "teardown": "write on_fit_end, and on_exception for a run that fails",
}

# Hooks that these frameworks have, and that are too unlike those here for a guess by spelling.
HOOKS_ELSEWHERE = {
    "on_before_backward": "change the loss in training_step",
    "on_before_optimizer_step": "it is on_after_backward",
    "on_before_zero_grad": "it is on_batch_end",
    "on_save_checkpoint": "write state_dict(self) and load_state_dict(self, state)",
    "on_load_checkpoint": "write state_dict(self) and load_state_dict(self, state)",
    "on_keyboard_interrupt": "it is on_fit_end, where result.status is 'interrupted'",
    "on_sanity_check_start": "there is no such pass; fit(..., limits=Limits(fast_dev_run=True)) is a trial",
    "on_sanity_check_end": "there is no such pass; fit(..., limits=Limits(fast_dev_run=True)) is a trial",
    **{
        f"on_{what}_{when}": f"{call}(loader) calls no hook but on_batch_start, for callbacks with its stage in stages"
        for what, call in (("test", "evaluate"), ("predict", "predict"))
        for when in ("begin", "start", "end", "epoch_start", "epoch_end", "batch_begin", "batch_start", "batch_end")
    },
}

_MEANS = "means over each log interval and each epoch come without asking; the interval is Trainer(..., log_every=...)"

LOG_ARGUMENTS = {
    "prog_bar": "leave it out: ProgressBar shows all that is logged",
    "logger": "leave it out: all loggers among the callbacks get what is logged",
    "on_step": f"leave it out: {_MEANS}",
    "on_epoch": f"leave it out: {_MEANS}",
    "reduce_fx": "it is the mean over samples; what is none can be a Metric of minitorch.metrics",
    "batch_size": "leave it out: the samples of a batch are counted",
    "sync_dist": "leave it out: a run is one process",
    "rank_zero_only": "leave it out: a run is one process",
    "add_dataloader_idx": "leave it out: validation loaders are named in fit(train_loader, {name: loader})",
}


class ForeignName(Missing):
    """An attribute that may not be set either."""

    def __set__(self, owner: Any, value: Any) -> None:
        raise ConfigError(f"{type(owner).__name__}: to set {self.name} does nothing; {self.remedy}")


def refuse_setting(cls: type) -> None:
    """Have instances of `cls`, and of subclasses that do not define them, refuse what would change nothing."""
    for name, remedy in SET.items():
        setattr(cls, name, ForeignName(name, remedy))
