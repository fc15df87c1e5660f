"""Runs a section on the stand-in for CuPy, where no time means anything: `python -m benchmarks.gpu.dry kernels ...`."""

import runpy
import sys

import fake_cupy  # of the folder tests, which a dry run has on its path

if __name__ == "__main__":
    name = sys.argv.pop(1)
    with fake_cupy.installed():
        runpy.run_module(f"benchmarks.gpu.{name}", run_name="__main__")
