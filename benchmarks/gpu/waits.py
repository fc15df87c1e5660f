"""What the host waits for in an epoch of the MNIST workload: every call of CuPy that may wait, with its time and place.

The result is a trace to open in ui.perfetto.dev, and the sum for each place.
"""

import functools
import json
import sys
import time
from collections import defaultdict
from pathlib import Path
from typing import Any

import cupy

import minitorch
from benchmarks.gpu.record import Record, section
from benchmarks.gpu.specs import specs
from benchmarks.gpu.with_minitorch import trainer_of
from minitorch import Callback
from minitorch.trainer.callbacks import CudaGraph, DevicePlacement

WAITING: tuple[tuple[Any, tuple[str, ...]], ...] = (
    (cupy.ndarray, ("get", "set", "item")),
    (cupy.cuda.Event, ("synchronize",)),
    (cupy.cuda.Stream, ("synchronize",)),
    (cupy.cuda.runtime, ("deviceSynchronize",)),
)
LIBRARY = str(Path(minitorch.__file__).parents[1])


class Waits:
    """The calls noted while `on`."""

    def __init__(self) -> None:
        self.on, self.events = False, []  # type: ignore[var-annotated]
        self.start = time.perf_counter()
        for owner, names in WAITING:
            for name in names:
                setattr(
                    owner, name, self.clocked(getattr(owner, name), f"{getattr(owner, '__name__', 'runtime')}.{name}")
                )

    def clocked(self, call: Any, name: str) -> Any:
        @functools.wraps(call)
        def timed(*args: Any, **kwargs: Any) -> Any:
            began = time.perf_counter()
            try:
                return call(*args, **kwargs)
            finally:
                if self.on:
                    self.note(name, sys._getframe(1), began)

        return timed

    def note(self, name: str, frame: Any, began: float) -> None:
        place = f"{frame.f_code.co_filename.removeprefix(LIBRARY + '/')}:{frame.f_lineno} {frame.f_code.co_name}"
        span = {"ts": (began - self.start) * 1e6, "dur": (time.perf_counter() - began) * 1e6}
        self.events.append({"name": name, "cat": "wait", "ph": "X", "pid": 1, "tid": 1, **span, "args": {"at": place}})


class Last(Callback):
    """Notes the waits of the last epoch."""

    needs_host = ()

    def __init__(self, waits: Waits, epochs: int) -> None:
        self.waits, self.epochs, self.began, self.took = waits, epochs, 0.0, 0.0

    def on_epoch_start(self, trainer: Any) -> None:
        self.waits.on = trainer.state.epoch == self.epochs - 1
        self.began = time.perf_counter()

    def on_epoch_end(self, trainer: Any, metrics: dict[str, float]) -> None:
        self.took = time.perf_counter() - self.began


def run(record: Record, waits: Waits, name: str, callbacks: list[Callback]) -> None:
    waits.events.clear()
    last = Last(waits, epochs := 4)
    trainer, loader = trainer_of(specs(record.fake)[0], [DevicePlacement("cuda"), *callbacks, last])
    trainer.fit(loader, epochs=epochs)
    waits.on = False
    path = record.file.with_name(f"gpu-waits-{name}.json")
    path.write_text(json.dumps({"traceEvents": waits.events, "displayTimeUnit": "ms"}))
    places: dict[str, list[float]] = defaultdict(list)
    for event in waits.events:
        places[f"{event['name']} at {event['args']['at']}"].append(event["dur"])
    for place, times in places.items():
        record.add("wait", run=name, what=place, times=len(times), microseconds=sum(times), epoch=last.took * 1e6)
    record.add("trace", run=name, file=path.name, waits=len(waits.events))


def main() -> None:
    with section() as record:
        waits = Waits()
        record.attempt("waits, eager", lambda: run(record, waits, "eager", []))
        record.attempt("waits, captured", lambda: run(record, waits, "captured", [CudaGraph()]))


if __name__ == "__main__":
    main()
