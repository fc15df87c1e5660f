"""SIGINT and SIGTERM while a run is under way: the first asks it to stop at the next safe point."""

import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import TYPE_CHECKING, Any

from minitorch.trainer.state import Status

if TYPE_CHECKING:
    from minitorch.trainer.trainer import Trainer

STATUS: dict[int, Status] = {signal.SIGINT: "interrupted", signal.SIGTERM: "terminated"}


ANSWER = b"\nthe run ends after this step and its checkpoint; Ctrl-C once more ends it at once\n"


@contextmanager
def handled(request_stop: Callable[[str, Status], None]) -> Iterator[None]:
    """Call `request_stop(reason, status)` on the first of each; a second SIGINT raises KeyboardInterrupt.

    At a terminal the first SIGINT is answered at once, since the step under way may take long. Handlers are installed
    in the main thread only, and the ones before are put back at the end.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    seen: set[int] = set()

    def handle(number: int, frame: FrameType | None) -> None:
        if number in seen and number == signal.SIGINT:
            raise KeyboardInterrupt
        seen.add(number)
        if number == signal.SIGINT and sys.stderr is not None and sys.stderr.isatty():
            os.write(2, ANSWER)  # print could be in the middle of a line of its own
        request_stop(f"received {signal.Signals(number).name}", STATUS[number])

    before: dict[int, Any] = {}
    try:
        for number in STATUS:
            before[number] = signal.signal(number, handle)
        yield
    finally:
        for caught, handler in before.items():
            signal.signal(caught, signal.SIG_DFL if handler is None else handler)


def what_is_left(trainer: "Trainer") -> str:
    """Where a run stands that was ended at once, and what it can be resumed from."""
    newest = "there is none" if trainer.checkpoint is None else str(trainer.checkpoint)
    return f"the run was ended at once, after {trainer.state.step} steps; the last checkpoint to resume from: {newest}"
