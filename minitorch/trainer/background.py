"""`BackgroundWrite`: a checkpoint on its way to the disk, while training goes on."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from minitorch import serialize
from minitorch.cuda import as_numpy, xp_of

Array = Any


class BackgroundWrite:
    """Copies arrays to the host and lets a thread write them, with `meta`, to `path`, whole or not at all.

    The copy is made before the thread begins, so that training may change the arrays at once, and no other thread ever
    uses a GPU. A program that ends waits for the thread.
    """

    def __init__(self, path: Path, arrays: Mapping[str, Array], meta: Mapping[str, Any]) -> None:
        copies = {name: _copied(array) for name, array in arrays.items()}
        from concurrent.futures import ThreadPoolExecutor  # here, since few programs write in the background

        executor = ThreadPoolExecutor(1, "checkpoint")
        self._future = executor.submit(serialize.save, path, copies, meta)
        executor.shutdown(wait=False)  # it takes no other work
        self._path = path

    def done(self) -> bool:
        """Whether it is over, well or not."""
        return self._future.done()

    def result(self) -> Path:
        """The path, when the file is there; raises what the write raised."""
        self._future.result()
        return self._path


def _copied(array: Array) -> Array:
    return np.array(array) if xp_of(array) is np else as_numpy(array)
