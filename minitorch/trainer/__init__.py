"""The Trainer: the loop over epochs and batches, callbacks for all the rest, and exact resume."""

from minitorch.trainer.callback import Callback, Phase
from minitorch.trainer.limits import Limits
from minitorch.trainer.run_folder import run_folder
from minitorch.trainer.state import FitResult, StepOutputs, TrainState
from minitorch.trainer.trainer import Trainer
from minitorch.trainer.triggers import Every

__all__ = ["Callback", "Every", "FitResult", "Limits", "Phase", "StepOutputs", "TrainState", "Trainer", "run_folder"]
