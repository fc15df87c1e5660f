"""The exception tree: every error that minitorch raises on purpose is a `MinitorchError`.

Each class also inherits the built-in exception that a caller would have expected, so `except ValueError` goes on
working. A message names the thing, the value, the rule that was broken and the remedy.
"""


class MinitorchError(Exception):
    """Base of all errors raised by minitorch."""


class ConfigError(MinitorchError, ValueError):
    """An argument or a setting has a value that is not allowed."""


class ShapeError(MinitorchError, ValueError):
    """Array shapes do not fit the operation."""


class DTypeError(MinitorchError, TypeError):
    """An array or object has a type that the operation does not take."""


class GraphError(MinitorchError, RuntimeError):
    """The computational graph cannot be walked as asked (already freed, no gradient wanted, ...)."""


class DeviceError(MinitorchError, RuntimeError):
    """A device was asked for that is not there, or host and device arrays were mixed."""


class MissingExtraError(MinitorchError, ImportError):
    """An optional dependency is needed; the message names the extra that installs it."""


class DataError(MinitorchError, ValueError):
    """A data set, a batch or a label breaks a rule."""


class DownloadError(DataError, OSError):
    """A file could be neither found nor downloaded; the message lists the places tried."""


class StateError(MinitorchError, ValueError):
    """A state to load does not fit: missing keys, unexpected keys, or wrong shapes, all listed."""


class CheckpointError(MinitorchError, ValueError):
    """A file of weights or a checkpoint is damaged, truncated, or of another format version."""


class MissingFileError(CheckpointError, FileNotFoundError):
    """There is no checkpoint or file of weights of that name; the message lists its neighbours."""


class InUseError(MinitorchError, BlockingIOError):
    """A folder of a run is held by another run; the message says by which process."""


class HookError(MinitorchError, TypeError):
    """A class defines a method that would never run, as an `on_...` that is no hook, or one with other arguments."""


class InjectedError(MinitorchError, RuntimeError):
    """What the callback `Chaos` raises, and nothing else does."""


class NonFiniteError(MinitorchError, ArithmeticError):
    """A loss or metric became NaN or infinite."""


class SyncError(MinitorchError, RuntimeError):
    """In the strict mode `cuda.no_sync`, something waited for a device, or moved data between it and the host."""
