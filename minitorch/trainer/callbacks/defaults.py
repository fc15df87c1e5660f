"""The callbacks of a Trainer that is given none."""

from minitorch.trainer.callback import Callback
from minitorch.trainer.callbacks.console_logger import ConsoleLogger
from minitorch.trainer.callbacks.device_placement import DevicePlacement
from minitorch.trainer.callbacks.epoch_timer import EpochTimer
from minitorch.trainer.callbacks.progress_bar import ProgressBar


def default_callbacks() -> list[Callback]:
    """What a Trainer runs unless it is told otherwise: placement on a GPU if one works, timing, a bar, and rows."""
    return [DevicePlacement("auto"), EpochTimer(), ProgressBar(), ConsoleLogger()]
