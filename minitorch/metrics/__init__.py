"""Metrics that are exact over batches of any sizes: each adds up a few sums, from which its value is computed."""

from typing import TYPE_CHECKING

from minitorch.lazy import when_used

__all__ = [
    "F1", "Accuracy", "ConfusionMatrix", "MeanAbsoluteError", "Metric", "Part", "TopK",
]  # fmt: skip

if TYPE_CHECKING:
    from minitorch.metrics.accuracy import Accuracy, TopK
    from minitorch.metrics.confusion_matrix import ConfusionMatrix
    from minitorch.metrics.f1 import F1
    from minitorch.metrics.mean_absolute_error import MeanAbsoluteError
    from minitorch.metrics.metric import Metric, Part
else:
    HOMES = {
        "F1": "f1", "Accuracy": "accuracy", "ConfusionMatrix": "confusion_matrix",
        "MeanAbsoluteError": "mean_absolute_error", "Metric": "metric", "Part": "metric", "TopK": "accuracy",
    }  # fmt: skip
    __getattr__, __dir__ = when_used(__name__, HOMES)
