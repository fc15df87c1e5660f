"""The Trainer: the loop over epochs and batches, callbacks for all the rest, and exact resume."""

from typing import TYPE_CHECKING, Any

from minitorch.trainer.batch_size_finder import BatchSizeFinder
from minitorch.trainer.callback import Callback, Phase
from minitorch.trainer.limits import Limits
from minitorch.trainer.lr_finder import LRFinder
from minitorch.trainer.replay import Replay
from minitorch.trainer.resumable import check_resumable
from minitorch.trainer.run_folder import run_folder
from minitorch.trainer.state import FitResult, StepOutputs, TrainState
from minitorch.trainer.trainer import Trainer
from minitorch.trainer.triggers import Every

if TYPE_CHECKING:
    from minitorch.trainer.trainer_config import TrainerConfig

__all__ = [
    "BatchSizeFinder",
    "Callback",
    "Every",
    "FitResult",
    "LRFinder",
    "Limits",
    "Phase",
    "Replay",
    "StepOutputs",
    "TrainState",
    "Trainer",
    "TrainerConfig",
    "check_resumable",
    "run_folder",
]


if not TYPE_CHECKING:  # or type checkers would believe that there is every name

    def __getattr__(name: str) -> Any:
        if name == "TrainerConfig":  # it needs the data sets and a reader of TOML, which most programs do without
            from minitorch.trainer.trainer_config import TrainerConfig

            return TrainerConfig
        raise AttributeError(f"module 'minitorch.trainer' has no attribute {name!r}")
