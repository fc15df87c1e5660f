"""SIGINT and SIGTERM while a run is under way: the first asks it to stop at the next safe point."""

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

from minitorch.trainer.state import Status

STATUS: dict[int, Status] = {signal.SIGINT: "interrupted", signal.SIGTERM: "terminated"}


@contextmanager
def handled(request_stop: Callable[[str, Status], None]) -> Iterator[None]:
    """Call `request_stop(reason, status)` on the first of each; a second SIGINT raises KeyboardInterrupt.

    Handlers are installed in the main thread only, and the ones before are put back at the end.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    seen: set[int] = set()

    def handle(number: int, frame: FrameType | None) -> None:
        if number in seen and number == signal.SIGINT:
            raise KeyboardInterrupt
        seen.add(number)
        request_stop(f"received {signal.Signals(number).name}", STATUS[number])

    before: dict[int, Any] = {}
    try:
        for number in STATUS:
            before[number] = signal.signal(number, handle)
        yield
    finally:
        for caught, handler in before.items():
            signal.signal(caught, signal.SIG_DFL if handler is None else handler)
