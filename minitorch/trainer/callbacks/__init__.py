"""Callbacks, one concept a file."""

from typing import TYPE_CHECKING

from minitorch.lazy import when_used

__all__ = [
    "EMA", "SWA", "CSVLogger", "Chaos", "Checkpoint", "ConfusionMatrix", "ConsoleLogger", "CudaGraph", "CutMix",
    "DevicePlacement", "DeviceStats", "EarlyStopping", "EpochTimer", "Freeze", "GradientAccumulation",
    "GradientClipping", "JSONLLogger", "LRSchedule", "LabelSmoothing", "MLflowLogger", "MixUp", "MixedPrecision",
    "ModelSummary", "NaNGuard", "PlotCurves", "Profile", "ProgressBar", "ReduceLROnPlateau", "RunReport",
    "SampleImages", "StepBudget", "Summary", "TensorBoardLogger", "ThroughputMonitor", "Unfreeze", "WandbLogger",
    "default_callbacks", "model_summary", "restore",
]  # fmt: skip

if TYPE_CHECKING:
    from minitorch.trainer.callbacks.chaos import Chaos
    from minitorch.trainer.callbacks.checkpoint import Checkpoint, restore
    from minitorch.trainer.callbacks.confusion_matrix import ConfusionMatrix
    from minitorch.trainer.callbacks.console_logger import ConsoleLogger
    from minitorch.trainer.callbacks.csv_logger import CSVLogger
    from minitorch.trainer.callbacks.cuda_graph import CudaGraph
    from minitorch.trainer.callbacks.defaults import default_callbacks
    from minitorch.trainer.callbacks.device_placement import DevicePlacement
    from minitorch.trainer.callbacks.device_stats import DeviceStats
    from minitorch.trainer.callbacks.early_stopping import EarlyStopping
    from minitorch.trainer.callbacks.ema import EMA
    from minitorch.trainer.callbacks.epoch_timer import EpochTimer
    from minitorch.trainer.callbacks.freeze import Freeze, Unfreeze
    from minitorch.trainer.callbacks.gradient_accumulation import GradientAccumulation
    from minitorch.trainer.callbacks.gradient_clipping import GradientClipping
    from minitorch.trainer.callbacks.jsonl_logger import JSONLLogger
    from minitorch.trainer.callbacks.label_smoothing import LabelSmoothing
    from minitorch.trainer.callbacks.lr_schedule import LRSchedule
    from minitorch.trainer.callbacks.mixed_precision import MixedPrecision
    from minitorch.trainer.callbacks.mixing import CutMix, MixUp
    from minitorch.trainer.callbacks.mlflow_logger import MLflowLogger
    from minitorch.trainer.callbacks.nan_guard import NaNGuard
    from minitorch.trainer.callbacks.plot_curves import PlotCurves
    from minitorch.trainer.callbacks.profile import Profile
    from minitorch.trainer.callbacks.progress_bar import ProgressBar
    from minitorch.trainer.callbacks.reduce_lr_on_plateau import ReduceLROnPlateau
    from minitorch.trainer.callbacks.run_report import RunReport
    from minitorch.trainer.callbacks.sample_images import SampleImages
    from minitorch.trainer.callbacks.summary import ModelSummary, Summary, model_summary
    from minitorch.trainer.callbacks.swa import SWA
    from minitorch.trainer.callbacks.tensorboard_logger import TensorBoardLogger
    from minitorch.trainer.callbacks.throughput_monitor import StepBudget, ThroughputMonitor
    from minitorch.trainer.callbacks.wandb_logger import WandbLogger
else:
    HOMES = {
        "EMA": "ema", "SWA": "swa", "CSVLogger": "csv_logger", "Chaos": "chaos", "Checkpoint": "checkpoint",
        "ConfusionMatrix": "confusion_matrix", "ConsoleLogger": "console_logger", "CudaGraph": "cuda_graph",
        "CutMix": "mixing", "DevicePlacement": "device_placement", "DeviceStats": "device_stats",
        "EarlyStopping": "early_stopping", "EpochTimer": "epoch_timer", "Freeze": "freeze",
        "GradientAccumulation": "gradient_accumulation", "GradientClipping": "gradient_clipping",
        "JSONLLogger": "jsonl_logger", "LRSchedule": "lr_schedule", "LabelSmoothing": "label_smoothing",
        "MLflowLogger": "mlflow_logger", "MixUp": "mixing", "MixedPrecision": "mixed_precision",
        "ModelSummary": "summary", "NaNGuard": "nan_guard", "PlotCurves": "plot_curves", "Profile": "profile",
        "ProgressBar": "progress_bar", "ReduceLROnPlateau": "reduce_lr_on_plateau", "RunReport": "run_report",
        "SampleImages": "sample_images", "StepBudget": "throughput_monitor", "Summary": "summary",
        "TensorBoardLogger": "tensorboard_logger", "ThroughputMonitor": "throughput_monitor", "Unfreeze": "freeze",
        "WandbLogger": "wandb_logger", "default_callbacks": "defaults", "model_summary": "summary",
        "restore": "checkpoint",
    }  # fmt: skip
    __getattr__, __dir__ = when_used(__name__, HOMES)
