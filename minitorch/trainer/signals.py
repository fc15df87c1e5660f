"""SIGINT and SIGTERM while a run is under way: the first asks it to stop at the next safe point."""

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any


@contextmanager
def handled(ask_to_stop: Callable[[str], None]) -> Iterator[None]:
    """Call `ask_to_stop("SIGINT" or "SIGTERM")` on the first of each; a second SIGINT raises KeyboardInterrupt.

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
        ask_to_stop(signal.Signals(number).name)

    before: dict[signal.Signals, Any] = {}
    try:
        for number in (signal.SIGINT, signal.SIGTERM):
            before[number] = signal.signal(number, handle)
        yield
    finally:
        for caught, handler in before.items():
            signal.signal(caught, signal.SIG_DFL if handler is None else handler)
