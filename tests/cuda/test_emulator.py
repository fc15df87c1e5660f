"""The emulator of CUDA finds the mistakes that it is there for."""

import os
from pathlib import Path
from typing import Any

import emulator
import numpy as np
import pytest

SOURCE = """
KERNEL reverse(float* x, int with_barrier) {
    __shared__ float copy[BLOCK];
    copy[threadIdx.x] = x[threadIdx.x];
    if (with_barrier) __syncthreads();
    x[threadIdx.x] = copy[BLOCK - 1 - threadIdx.x];
}

KERNEL twice(float* x, int with_barrier) {
    __shared__ float shared;
    for (int i = 0; i < 2; ++i) {
        if (threadIdx.x == 0) shared = i;
        __syncthreads();
        x[threadIdx.x] = 10 * x[threadIdx.x] + shared;
        if (with_barrier) __syncthreads();
    }
}

KERNEL half_waits(float* x) {
    if (threadIdx.x < 128) __syncthreads();
    x[threadIdx.x] = 1;
}

KERNEL past_the_end(float* x, int size) { x[size] = 1; }

KERNEL lanes(float* x) { x[threadIdx.x] = group_sum<32>(x[threadIdx.x]); }

KERNEL blocks(float* x) {
    if (threadIdx.x == 0) x[0] = blockIdx.x + 10 * blockIdx.y;
}
"""


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Any:
    if emulator.COMPILER is None:
        assert os.environ.get("CI") != "true", "CI must have g++"
        pytest.skip("g++ is not installed")
    names = ["reverse", "twice", "half_waits", "past_the_end", "lanes", "blocks"]
    return emulator.compile_for_host({"mistakes": (SOURCE, names)}, tmp_path_factory.mktemp("mistakes"))


def run(library: Any, name: str, *args: Any, grid: tuple[int, ...] = (1,), backwards: bool = False) -> None:
    emulator.Emulator(library, backwards)(name, grid, (256,), args)


def numbers() -> Any:
    return np.arange(256, dtype=np.float32)


@pytest.mark.parametrize("backwards", [False, True])
def test_a_missing_barrier_shows(library: Any, backwards: bool) -> None:
    """With the barrier the order of threads does not matter; without it the result is wrong."""
    x, y = numbers(), numbers()
    run(library, "reverse", x, np.int32(1), backwards=backwards)
    run(library, "reverse", y, np.int32(0), backwards=backwards)
    np.testing.assert_array_equal(x, numbers()[::-1])
    assert (y != x).any()


def test_writing_before_all_have_read_shows(library: Any) -> None:
    """Shared memory that a fast warp writes again, before slow ones have read it, gives them the wrong number."""
    x, y = np.zeros(256, np.float32), np.zeros(256, np.float32)
    run(library, "twice", x, np.int32(1))
    run(library, "twice", y, np.int32(0))
    assert (x == 1).all()
    assert (y != 1).any()


def test_a_barrier_that_some_never_reach_is_an_error(library: Any) -> None:
    """And the emulator works on after it."""
    with pytest.raises(AssertionError, match="half_waits: some threads of a block wait for others that never come"):
        run(library, "half_waits", numbers())
    x = numbers()
    run(library, "lanes", x)
    np.testing.assert_array_equal(x, np.repeat(numbers().reshape(8, 32).sum(axis=1), 32))


def test_writing_past_the_end_is_an_error(library: Any) -> None:
    """Of an array whose neighbour in memory may be another array."""
    x = numbers()
    run(library, "past_the_end", x, np.int32(255))
    assert x[255] == 1
    with pytest.raises(AssertionError, match=r"past_the_end wrote outside an array of shape \(256,\)"):
        run(library, "past_the_end", x, np.int32(256))


def test_arguments_must_fit(library: Any) -> None:
    """Number and size of arguments are compared with those of the kernel."""
    with pytest.raises(AssertionError, match="another number of arguments than the kernel has"):
        run(library, "reverse", numbers())
    with pytest.raises(AssertionError, match="an argument of another size than the kernel's"):
        run(library, "reverse", numbers(), np.int64(1))


def test_blocks_know_their_place(library: Any) -> None:
    """The last block to run is the last of the grid, or the first when run backwards."""
    x = numbers()
    run(library, "blocks", x, grid=(3, 2))
    assert x[0] == 12
    run(library, "blocks", x, grid=(3, 2), backwards=True)
    assert x[0] == 0


def test_builds_are_left_in_the_folder(library: Any) -> None:
    """The library lies where it was asked for, under its final name only once it is whole."""
    assert Path(library._name).name == "kernels.so"
