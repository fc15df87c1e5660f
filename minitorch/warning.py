"""`warn`: a warning at the line of the user that led to it, however deep in minitorch it is given."""

import contextlib
import functools
import os
import sys
import warnings

_OURS = (os.path.dirname(__file__) + os.sep, contextlib.__file__, functools.__file__)


def warn(message: str) -> None:
    """Give a UserWarning at the first line up the calls that is no line of minitorch.

    `warnings.warn(..., skip_file_prefixes=)` does this from Python 3.12 on.
    """
    frame, level = sys._getframe(1), 2
    while frame.f_back is not None and frame.f_code.co_filename.startswith(_OURS):
        frame, level = frame.f_back, level + 1
    warnings.warn(message, stacklevel=level)
