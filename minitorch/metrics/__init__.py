"""Metrics that are exact over batches of any sizes: each adds up a few sums, from which its value is computed."""

from minitorch.metrics.accuracy import Accuracy, TopK
from minitorch.metrics.confusion_matrix import ConfusionMatrix
from minitorch.metrics.f1 import F1
from minitorch.metrics.mean_absolute_error import MeanAbsoluteError
from minitorch.metrics.metric import Metric, Part

__all__ = ["F1", "Accuracy", "ConfusionMatrix", "MeanAbsoluteError", "Metric", "Part", "TopK"]
