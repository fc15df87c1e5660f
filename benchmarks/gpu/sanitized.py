"""Launches every raw kernel on small arrays, for compute-sanitizer to watch."""

import sys
from pathlib import Path

import cupy
import numpy as np

from benchmarks.gpu.record import section

sys.path.insert(0, str(Path(__file__).parents[2] / "tests" / "cuda"))

from kernel_cases import CASES  # the shapes that the tests try


def main() -> None:
    with section() as record:
        for name, case in CASES.items():

            def launch(case: object = case) -> None:
                for array in case(np.random.default_rng(0), cupy.array):  # type: ignore[operator]
                    array.get()

            record.attempt(f"launches of {name}", launch)
        record.add("launched", cases=len(CASES))


if __name__ == "__main__":
    main()
