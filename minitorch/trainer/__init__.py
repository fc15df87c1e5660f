"""The Trainer: the loop over epochs and batches, callbacks for all the rest, and exact resume."""

from typing import TYPE_CHECKING

from minitorch.lazy import when_used

__all__ = [
    "BatchSizeFinder", "Callback", "Every", "FitResult", "LRFinder", "Limits", "Phase", "Replay", "StepOutputs",
    "TrainState", "Trainer", "TrainerConfig", "callbacks", "check_resumable", "run_folder",
]  # fmt: skip

if TYPE_CHECKING:
    from minitorch.trainer import callbacks
    from minitorch.trainer.batch_size_finder import BatchSizeFinder
    from minitorch.trainer.callback import Callback, Phase
    from minitorch.trainer.limits import Limits
    from minitorch.trainer.lr_finder import LRFinder
    from minitorch.trainer.replay import Replay
    from minitorch.trainer.resumable import check_resumable
    from minitorch.trainer.run_folders import run_folder
    from minitorch.trainer.state import FitResult, StepOutputs, TrainState
    from minitorch.trainer.trainer import Trainer
    from minitorch.trainer.trainer_config import TrainerConfig
    from minitorch.trainer.triggers import Every
else:
    HOMES = {
        "BatchSizeFinder": "batch_size_finder", "Callback": "callback", "Every": "triggers", "FitResult": "state",
        "LRFinder": "lr_finder", "Limits": "limits", "Phase": "callback", "Replay": "replay", "StepOutputs": "state",
        "TrainState": "state", "Trainer": "trainer", "TrainerConfig": "trainer_config", "callbacks": "",
        "check_resumable": "resumable", "run_folder": "run_folders",
    }  # fmt: skip
    __getattr__, __dir__ = when_used(__name__, HOMES)
