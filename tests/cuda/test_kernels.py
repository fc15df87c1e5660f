"""The CUDA sources compute what their definitions in NumPy say: compiled for the host, with threads in two orders."""

import inspect
import os
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path
from typing import Any

import emulator
import kernel_cases
import numpy as np
import pytest

import fake_cupy
from fake_cupy import cupy, no_transfers
from fake_cupy.kernel import DTYPES, parameters_of
from minitorch.cuda import kernels
from minitorch.cuda.kernels import KERNELS, source
from minitorch.cuda.kernels.kernel import BLOCK, FOLDER
from minitorch.cuda.kernels.sort import TILE
from minitorch.cuda.kernels.tensors import ADDRESSES, CHUNK, TENSORS
from minitorch.errors import DTypeError, ShapeError

Array = np.ndarray[Any, Any]
SEEDS = range(4)


@pytest.fixture(scope="session")
def library(request: pytest.FixtureRequest) -> Any:
    """The kernels compiled for the host, once for each version of their sources."""
    if emulator.COMPILER is None:
        assert os.environ.get("CI") != "true", "CI must have g++, to run the kernels on the host"
        pytest.skip("g++ is not installed: the kernels cannot be run on the host")
    texts = "".join(source(file) for file in sorted({k.file for k in KERNELS.values()})) + emulator.HEADER.read_text()
    return emulator.build(Path(request.config.cache.mkdir(f"kernels-{sha256(texts.encode()).hexdigest()[:16]}")))


@pytest.fixture
def _installed() -> Iterator[None]:
    with fake_cupy.installed():
        yield


def on_host(name: str, seed: int) -> list[Array]:
    """What the definitions give for a case, on arrays of the host."""
    with np.errstate(all="ignore"):
        return list(kernel_cases.CASES[name](np.random.default_rng(seed), lambda a: np.array(a)))


def on_device(name: str, seed: int) -> list[Array]:
    """What the device gives, the stand-in or a real one."""
    return [a.get() for a in kernel_cases.CASES[name](np.random.default_rng(seed), cupy.array)]


def assert_close(actual: list[Array], expected: list[Array]) -> None:
    assert len(actual) == len(expected)
    for i, (a, e) in enumerate(zip(actual, expected, strict=True)):
        assert (a.shape, a.dtype) == (e.shape, e.dtype), i
        if e.dtype.kind == "f":
            np.testing.assert_allclose(
                a, e, rtol=2e-5, atol=2e-5 * max(1, np.abs(np.nan_to_num(e)).max(initial=0)), err_msg=str(i)
            )
        else:
            np.testing.assert_array_equal(a, e, err_msg=str(i))


@pytest.mark.usefixtures("_installed")
@pytest.mark.parametrize("name", kernel_cases.CASES)
def test_sources_compute_their_definitions(name: str, library: Any) -> None:
    """Each source, run on the host, gives what the definition gives, for shapes and addresses drawn at random."""
    for seed in SEEDS:
        with emulator.emulated(library) as run:
            actual = on_device(name, seed)
        assert run.launches
        assert_close(actual, on_host(name, seed))


@pytest.mark.usefixtures("_installed")
@pytest.mark.parametrize("name", kernel_cases.CASES)
def test_the_order_of_threads_changes_no_bit(name: str, library: Any) -> None:
    """With threads and blocks run backwards the bits are the same: no barrier is missing, no sum is left to chance."""
    with emulator.emulated(library):
        forwards = on_device(name, seed=0)
    with emulator.emulated(library, backwards=True):
        backwards = on_device(name, seed=0)
    for f, b in zip(forwards, backwards, strict=True):
        np.testing.assert_array_equal(f, b, strict=True)


@pytest.mark.usefixtures("_installed")
@pytest.mark.parametrize("name", kernel_cases.CASES)
def test_launches_fit_their_declarations(name: str) -> None:
    """On the stand-in, which checks every launch against the source, a case gives the bits of its definition."""
    for actual, expected in zip(on_device(name, seed=1), on_host(name, seed=1), strict=True):
        np.testing.assert_array_equal(actual, expected, strict=True)


def test_every_kernel_is_tried(library: Any) -> None:
    """The cases launch all kernels there are."""
    with fake_cupy.installed(), emulator.emulated(library) as run:
        for name in kernel_cases.CASES:
            on_device(name, seed=0)
    assert set(run.launches) == set(KERNELS)


@pytest.mark.parametrize("name", KERNELS)
def test_definitions_have_the_parameters_of_the_sources(name: str) -> None:
    """Number, names and kinds: a definition says what the source of its name takes."""
    declared = parameters_of(source(KERNELS[name].file), name)
    assert [p for p, _, _ in declared] == list(inspect.signature(KERNELS[name].reference).parameters)
    assert all(
        pointer or ctype in DTYPES or ctype in ("Addresses", "Draw", "Numbers", "Values", "Window")
        for _, ctype, pointer in declared
    )


def test_constants_agree() -> None:
    """Sizes that Python and CUDA both know are the same."""
    assert f"#define BLOCK {BLOCK} " in source("sums")
    assert f"#define CHUNK {CHUNK}\n#define TENSORS {TENSORS}\n" in source("update")
    assert f"#define TILE {TILE} " in source("sort")
    assert "enum { " + ", ".join(kernels.ACTIVATIONS).upper() + " }" in source("activation")
    assert f"#define VALUES {kernels.VALUES}\n" in source("totals")
    assert ADDRESSES.itemsize + 14 * 8 < 4096  # the arguments of a launch


def test_sources_include_nothing_and_add_without_atomics() -> None:
    """NVRTC has no headers to include, and atomics on floats would add in another order each time."""
    for file in FOLDER.glob("*.cu*"):
        assert "#include" not in file.read_text(), file.name
        assert "atomic" not in file.read_text(), file.name


@pytest.mark.usefixtures("_installed")
def test_launchers_move_nothing() -> None:
    """A launch neither copies between host and device nor waits, gradients at new addresses included."""
    x, t = cupy.zeros((4, 6), np.float32), cupy.zeros(4, np.int64)
    tensors = kernels.Tensors([x])
    lr, step = cupy.full((), 0.1, np.float32), cupy.ones((), np.int64)
    with no_transfers():
        loss, p = kernels.softmax_cross_entropy_forward(x, t)
        g = kernels.softmax_cross_entropy_backward(loss, p, t)
        _, clip = kernels.gradient_norm(tensors, [g], 1.0)
        kernels.sgd(tensors, [g], lr=lr, clip=clip)
        kernels.dropped(x, 0.5, seed=0, step=step, draw=0)
        kernels.add_rows(x, t, 3)
    assert fake_cupy.machine.launches[0] == "cross_entropy_small"


@pytest.mark.usefixtures("_installed")
def test_what_kernels_take() -> None:
    """float32 on a device; None is passed over. What is not in C order is copied."""
    a = cupy.zeros((2, 3), np.float32)
    assert kernels.takes(a, None, a.T)
    assert not kernels.takes(a, a.get())
    assert not kernels.takes(a.astype(np.float64))
    assert not kernels.takes(a[:0])
    one = cupy.zeros(1, np.float32)  # threads that step past the end still count in 32 bits
    assert kernels.takes(cupy.broadcast_to(one, (2**31 - 2**23,)))
    assert not kernels.takes(cupy.broadcast_to(one, (2**31 - 2**23 + 1,)))
    assert kernels.contiguous(a) is a
    assert kernels.contiguous(a.T).flags.c_contiguous


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (
            lambda a: kernels.Tensors([a], [a[0]]), ShapeError,
            r"Tensors: got float32 \(3,\) beside a parameter \(2, 3\); .* must be float32, in C order and of one shape",
        ),
        (lambda a: kernels.Tensors([a.astype(float)]), ShapeError, r"Tensors: got float64 \(2, 3\)"),
        (
            lambda a: kernels.sgd(kernels.Tensors([a]), [], lr=a[0, 0]), ShapeError,
            r"Tensors: 0 gradients for 1 parameters; give one for each",
        ),
        (lambda a: kernels.sgd(kernels.Tensors([a]), [a.T], lr=a[0, 0]), ShapeError, r"got float32 \(3, 2\) beside"),
        (
            lambda a: kernels.max_pool(a[None, None], (4, 4), (1, 1), (0, 0)), ShapeError,
            r"a window of \(4, 4\) with dilation \(1, 1\) does not fit into images of \(2, 3\) padded by \(0, 0\)",
        ),
        (
            lambda a: kernels.gather_batch(a.astype(float), a[0], a, a, rows=1, scale=a, shift=a), DTypeError,
            r"data float64 with labels float32; data must be uint8, float32, int32 or int64 and labels int32, int64, f",
        ),
    ],
)  # fmt: skip
def test_errors_say_what_is_wrong(call: Any, error: type[Exception], message: str) -> None:
    """The thing, the value and the rule."""
    with pytest.raises(error, match=message):
        call(np.zeros((2, 3), np.float32))


@pytest.mark.gpu
@pytest.mark.parametrize("name", kernel_cases.CASES)
def test_a_device_computes_the_definitions(name: str) -> None:
    """On a real device each case gives what the definition gives, and twice the same bits."""
    import cupy as real

    first, second = (
        [a.get() for a in kernel_cases.CASES[name](np.random.default_rng(2), real.array)] for _ in range(2)
    )
    assert_close(first, on_host(name, seed=2))
    for a, b in zip(first, second, strict=True):
        np.testing.assert_array_equal(a, b, strict=True)
