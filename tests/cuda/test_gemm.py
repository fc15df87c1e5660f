"""Matrix products on a device: how they are asked of cuBLAS, which is tried out on the stand-in for it."""

import importlib
import itertools
import math
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import fake_cupy
from fake_cupy import cupy
from minitorch.cuda import cublas
from minitorch.cuda.cublas import check, load, prepare
from minitorch.cuda.gemm import computing, gemm
from minitorch.cuda.layout import Operand, Plan, plan
from minitorch.errors import ConfigError, DeviceError, DTypeError, ShapeError

Array = np.ndarray[Any, Any]

LAYOUTS = ("rows", "columns", "padded rows", "padded columns")


def laid_out(shape: tuple[int, ...], layout: str, numbers: Iterator[int]) -> Array:
    """An array of small whole numbers, as a view of memory in which its rows or columns are contiguous."""
    *batch, rows, columns = shape
    extra = 2 if layout.startswith("padded") else 0
    if layout.endswith("rows"):
        a = np.full((*batch, rows, columns + extra), 99.0)[..., :columns]
    else:
        a = np.full((*batch, columns, rows + extra), 99.0)[..., :rows].swapaxes(-1, -2)
    a[...] = np.fromiter(itertools.islice(numbers, math.prod(shape)), float).reshape(shape)
    return a


def owner(a: Array) -> Array:
    """The memory of a view, flat."""
    while a.base is not None:
        a = a.base
    return a.reshape(-1)


def at(memory: Array, start: int, o: Operand, number: int, rows: int, columns: int) -> Array:
    """Matrix `number` of a batch, read in columns, element by element; rows and columns are those after transposing."""
    if o.transposed:
        return at(memory, start, Operand(False, o.leading, o.stride), number, columns, rows).T
    assert o.leading >= max(1, rows), "cuBLAS refuses this"
    places = [start + number * o.stride + i + j * o.leading for i in range(rows) for j in range(columns)]
    return memory[places].reshape(rows, columns)


def by_columns(p: Plan, a: Array, b: Array, out: Array) -> Array:
    """What cuBLAS would write to the memory of `out`, computed from the flat memory of all three."""
    first, second = (b, a) if p.swapped else (a, b)
    result, start = owner(out).copy(), offset(out)
    for n in range(p.batch):
        product = at(owner(first), offset(first), p.first, n, p.m, p.k) @ at(
            owner(second), offset(second), p.second, n, p.k, p.n
        )
        for i, j in np.ndindex(p.m, p.n):
            result[start + n * p.out.stride + i + j * p.out.leading] = product[i, j]
    return result


def offset(a: Array) -> int:
    return (a.ctypes.data - owner(a).ctypes.data) // a.itemsize


def planned(a: Array, b: Array, out: Array) -> Plan | None:
    layout = [(x.shape, tuple(s // x.itemsize for s in x.strides)) for x in (a, b, out)]
    return plan(*layout[0], *layout[1], *layout[2])


def check_plan(a: Array, b: Array, out: Array) -> Plan:
    """The plan gives NumPy's product, and touches nothing beside it."""
    p = planned(a, b, out)
    assert p is not None
    expected = owner(out).copy()
    written = by_columns(p, a, b, out)
    out[...] = a @ b
    np.testing.assert_array_equal(written, owner(out))
    owner(out)[:] = expected
    return p


@pytest.mark.parametrize("sizes", list(itertools.product((1, 2, 3), (1, 2, 4), (0, 1, 3))))
def test_a_plan_computes_the_product(sizes: tuple[int, int, int]) -> None:
    """Rows or columns contiguous, padded or not, in each operand and the result: all are products without a copy."""
    m, n, k = sizes
    for layouts in itertools.product(LAYOUTS, repeat=3):
        numbers = itertools.count(1)
        check_plan(*(laid_out(s, x, numbers) for s, x in zip(((m, k), (k, n), (m, n)), layouts, strict=True)))


@pytest.mark.parametrize("batch", [(1,), (3,), (2, 2), (1, 2, 1, 3)])
@pytest.mark.parametrize("shared", ["neither", "a", "b", "b of length 1"])
def test_a_plan_computes_batches(batch: tuple[int, ...], shared: str) -> None:
    """Leading axes become one stride, also where one operand has none."""
    m, n, k = 2, 3, 4
    one = (1,) * len(batch)
    of_a, of_b = {"neither": (batch, batch), "a": ((), batch), "b": (batch, ()), "b of length 1": (batch, one)}[shared]
    for layouts in itertools.product(LAYOUTS, repeat=3):
        numbers = itertools.count(1)
        shapes = ((*of_a, m, k), (*of_b, k, n), (*batch, m, n))
        check_plan(*(laid_out(s, x, numbers) for s, x in zip(shapes, layouts, strict=True)))


@pytest.mark.parametrize("gap", ["a", "out"])
def test_gaps_between_matrices_keep_them_apart(gap: str) -> None:
    """Batches whose matrices do not follow each other at once stay batches, also with shared weights."""
    numbers = itertools.count(1)
    a, b = laid_out((5, 3 if gap == "a" else 2, 3), "rows", numbers)[:, :2], laid_out((3, 4), "rows", numbers)
    p = check_plan(a, b, np.zeros((5, 3 if gap == "out" else 2, 4))[:, :2])
    assert (p.m, p.n, p.k, p.batch) == (4, 2, 3, 5)


def test_shared_weights_are_one_product() -> None:
    """(B, M, K) @ (K, N) in rows is one product of B * M rows, also with weights that are a transposed view."""
    numbers = itertools.count(1)
    a, b = laid_out((5, 2, 3), "rows", numbers), laid_out((3, 4), "columns", numbers)
    p = check_plan(a, b, np.zeros((5, 2, 4)))
    assert (p.m, p.n, p.k, p.batch) == (4, 10, 3, 1)


def test_the_gradients_of_a_layer_are_not_copied() -> None:
    """x.T @ g and g @ W.T, as the backward of a linear layer has them, are products of the arrays as they lie."""
    x, W, g = np.ones((5, 3)), np.ones((3, 2)), np.ones((5, 2))
    dW, dx = check_plan(x.T, g, np.zeros((3, 2))), check_plan(g, W.T, np.zeros((5, 3)))
    assert (dW.first.transposed, dW.second.transposed) == (False, True)
    assert (dx.first.transposed, dx.second.transposed) == (True, False)


@given(st.data())
def test_a_plan_is_right_or_none(data: st.DataObject) -> None:
    """For any view with any strides there is a plan that is right, or none."""
    batch = data.draw(st.sampled_from([(), (2,), (2, 3)]))
    m, n, k = (data.draw(st.integers(1, 3)) for _ in range(3))
    of_a, of_b = data.draw(st.sampled_from([(batch, batch), (batch, ()), ((), batch)]))
    arrays = []
    for shape in ((*of_a, m, k), (*of_b, k, n), (*batch, m, n)):
        order = data.draw(st.permutations(range(len(shape))))
        steps = data.draw(st.lists(st.integers(1, 2), min_size=len(shape), max_size=len(shape)))
        memory = np.arange(math.prod(s * t for s, t in zip(shape, steps, strict=True)), dtype=float)
        memory = memory.reshape([shape[i] * steps[i] for i in order]).transpose(np.argsort(order))
        arrays.append(memory[tuple(slice(None, None, t) for t in steps)])
    if planned(*arrays) is not None:
        check_plan(*arrays)


@pytest.mark.parametrize(
    "shapes_and_strides",
    [
        ((4, 3), (6, 2), (3, 2), (2, 1), (4, 2), (2, 1)),
        ((4, 3), (0, 1), (3, 2), (2, 1), (4, 2), (2, 1)),
        ((4, 3), (3, 1), (3, 2), (2, 1), (4, 2), (4, 2)),
        ((4, 3), (-3, 1), (3, 2), (2, 1), (4, 2), (2, 1)),
        ((2, 3, 4, 3), (12, 24, 3, 1), (3, 2), (2, 1), (2, 3, 4, 2), (24, 8, 2, 1)),
        ((3, 1, 4, 3), (12, 12, 3, 1), (3, 2), (2, 1), (3, 5, 4, 2), (40, 8, 2, 1)),
        ((3, 4, 3), (12, 3, 1), (3, 2), (2, 1), (3, 4, 2), (0, 2, 1)),
    ],
)
def test_what_has_no_plan(shapes_and_strides: Any) -> None:
    """Gaps between elements, rows that are repeated or run backwards, batches that vary: None, so they are copied."""
    assert plan(*shapes_and_strides) is None


# on the stand-in


@pytest.fixture(autouse=True)
def _installed() -> Iterator[None]:
    with fake_cupy.installed(devices=2):
        yield


@pytest.fixture
def library() -> Any:
    return cublas.load()


def put(*shape: int, dtype: Any = np.float32, seed: int = 0) -> tuple[Any, Array]:
    """A device array of small whole numbers, so that any order of sums gives the same bits; and a copy on the host."""
    host = np.random.default_rng(seed).integers(-4, 5, shape).astype(dtype)
    return cupy.asarray(host), host


SHAPES = [
    ((3, 4), (4, 5)), ((4,), (4, 5)), ((3, 4), (4,)), ((4,), (4,)), ((2, 3, 4), (4, 5)), ((2, 3, 4), (2, 4, 5)),
    ((3, 4), (2, 4, 5)), ((2, 1, 3, 4), (1, 5, 4, 2)), ((2, 3, 4), (4,)), ((4,), (2, 4, 5)), ((0, 4), (4, 5)),
    ((3, 0), (0, 5)), ((1, 1), (1, 1)),
]  # fmt: skip


@pytest.mark.parametrize("shapes", SHAPES, ids=str)
def test_products_are_those_of_matmul(shapes: Any, library: Any) -> None:
    """With vectors and with leading axes that are broadcast it is NumPy's matmul, and cuBLAS is asked if need be."""
    (a, host_a), (b, host_b) = put(*shapes[0]), put(*shapes[1], seed=1)
    y = gemm(a, b)
    assert bool(library.calls) == bool(y.size and a.shape[-1])
    np.testing.assert_array_equal(cupy.asnumpy(y), host_a @ host_b, strict=True)


def test_a_sum_of_nothing(library: Any) -> None:
    """With an inner dimension of 0 the product is 0, and what was in `out` counts as beta says."""
    (a, _), (b, _), (out, host_out) = put(3, 0), put(0, 5), put(3, 5)
    np.testing.assert_array_equal(gemm(a, b, out=out, beta=2.0).get(), 2 * host_out)
    out.fill(np.nan)
    np.testing.assert_array_equal(gemm(a, b, out=out).get(), np.zeros((3, 5)))
    assert not library.calls


def test_integers_are_multiplied_by_cupy(library: Any) -> None:
    """Which has a kernel for them; cuBLAS has not."""
    (a, host_a), (b, host_b) = put(3, 4, dtype=np.int32), put(4, 2, dtype=np.int64)
    np.testing.assert_array_equal(gemm(a, b).get(), host_a @ host_b, strict=True)
    assert not library.calls


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
@pytest.mark.parametrize(("transpose_a", "transpose_b"), list(itertools.product([False, True], repeat=2)))
def test_accumulating_transposed_products(dtype: Any, transpose_a: bool, transpose_b: bool, library: Any) -> None:
    """alpha, beta, `out` and both flags, in every dtype: one call of cuBLAS, no copy."""
    a, host_a = put(*((4, 3) if transpose_a else (3, 4)), dtype=dtype)
    b, host_b = put(*((5, 4) if transpose_b else (4, 5)), dtype=dtype, seed=1)
    out, host_out = put(3, 5, dtype=dtype, seed=2)
    y = gemm(a, b, out=out, alpha=-0.5, beta=2.0, transpose_a=transpose_a, transpose_b=transpose_b)
    assert y is out
    product = (host_a.T if transpose_a else host_a) @ (host_b.T if transpose_b else host_b)
    np.testing.assert_array_equal(cupy.asnumpy(out), (-0.5 * product + 2 * host_out).astype(dtype), strict=True)
    assert [name for name, _ in library.calls] == ["cublasGemmEx"]


@pytest.mark.parametrize(
    ("shapes", "call"),
    [
        (((2, 3, 4), (2, 4, 5)), "cublasGemmStridedBatchedEx"),
        (((2, 3, 4), (4, 5)), "cublasGemmEx"),
        (((3, 4), (2, 4, 5)), "cublasGemmStridedBatchedEx"),
    ],
)
def test_accumulating_batches(shapes: Any, call: str, library: Any) -> None:
    """A batch is one call; with weights shared by all it is one plain product."""
    (a, host_a), (b, host_b), (out, host_out) = put(*shapes[0]), put(*shapes[1], seed=1), put(2, 3, 5, seed=2)
    gemm(a, b, out=out, beta=1.0)
    np.testing.assert_array_equal(cupy.asnumpy(out), host_a @ host_b + host_out)
    assert [name for name, _ in library.calls] == [call]


def test_views_as_operands_and_result(library: Any) -> None:
    """Slices of rows and columns, transposes, steps and repeated rows give the right product; results too."""
    a, host_a = put(6, 8)
    b, host_b = put(8, 6, seed=1)
    views = [lambda x: x[1:4, 2:6], lambda x: x[:4, :3].T, lambda x: x[::2, ::2], lambda x: x[:3, ::-2]]
    for of_a, of_b in itertools.product(views, repeat=2):
        x, y = of_a(host_a), of_b(host_b)
        if x.shape[1] == y.shape[0]:
            np.testing.assert_array_equal(cupy.asnumpy(gemm(of_a(a), of_b(b), alpha=2.0)), 2 * (x @ y))
    out, host_out = put(6, 8, seed=2)
    gemm(a[:3, :4], b[:4, :5], out=out[2:5, 1:6], beta=1.0)
    gemm(a[:2, :4], b[:4, :3], out=out[:3, :2].T, alpha=3.0)
    host_out[2:5, 1:6] += host_a[:3, :4] @ host_b[:4, :5]
    host_out[:3, :2].T[...] = 3 * (host_a[:2, :4] @ host_b[:4, :3])
    np.testing.assert_array_equal(cupy.asnumpy(out), host_out)
    repeated = cupy.broadcast_to(a[0], (5, 8))
    np.testing.assert_array_equal(cupy.asnumpy(gemm(repeated, b, alpha=2.0)), np.tile(2 * (host_a[0] @ host_b), (5, 1)))


@pytest.mark.parametrize(("compute", "number"), [("fp32", 68), ("tf32", 77), ("bf16", 75), ("fp16", 74)])
def test_compute_modes(compute: str, number: int, library: Any) -> None:
    """The mode reaches cuBLAS for float32; float64 stays float64, float16 has sums in float32."""
    for dtype, expected in ((np.float32, number), (np.float64, 70), (np.float16, 68)):
        gemm(put(2, 2, dtype=dtype)[0], put(2, 2, dtype=dtype)[0], alpha=2.0, compute=compute)
        assert library.calls[-1] == ("cublasGemmEx", expected)


def test_the_mode_of_a_block(library: Any) -> None:
    """Inside `computing` products of float32 are computed so, unless they say otherwise; afterwards as before."""
    a, _ = put(2, 2)
    with computing("bf16"):
        gemm(a, a)
        gemm(a, a, compute="tf32")
        with computing("fp16"):
            gemm(a, a)
        gemm(a.astype(np.float64), a)
    gemm(a, a)
    assert [number for _, number in library.calls] == [75, 77, 74, 70, 68]
    with pytest.raises(ConfigError, match=r"computing: compute is 'int8'; it must be one of fp32, tf32, bf16, fp16"):
        computing("int8").__enter__()


def test_mixed_dtypes_are_promoted() -> None:
    """As by matmul."""
    y = gemm(put(2, 3)[0], put(3, 2, dtype=np.float64)[0], alpha=1.5)
    assert y.dtype == np.float64


def test_inside_a_capture_cublas_is_asked(library: Any) -> None:
    """A capture, in which CuPy refuses, holds the product; each launch computes it anew, in memory of its own."""
    prepare()
    (a, _), (b, _), (W, host_W) = put(3, 4), put(4, 5, seed=1), put(3, 5, seed=2)
    stream, pool = cupy.cuda.Stream(non_blocking=True), cupy.cuda.MemoryPool()
    with stream, cupy.cuda.using_allocator(pool.malloc):
        stream.begin_capture()
        y = gemm(a, b)
        gemm(a, b, out=W, alpha=-1.0, beta=1.0)
        graph = stream.end_capture()
    assert graph.shared_bytes == 0
    np.testing.assert_array_equal(W.get(), host_W)
    a += 1
    graph.launch()
    graph.launch()
    np.testing.assert_array_equal(y.get(), a.get() @ b.get())
    np.testing.assert_array_equal(W.get(), host_W - 2 * (a.get() @ b.get()))
    assert len(library.handles) == 1


def test_each_device_has_its_handle(library: Any) -> None:
    """A handle belongs to one device."""
    gemm(put(2, 2)[0], put(2, 2)[0], alpha=2.0)
    with cupy.cuda.Device(1):
        gemm(put(2, 2)[0], put(2, 2)[0], alpha=2.0)
        gemm(put(2, 2)[0], put(2, 2)[0], alpha=3.0)
    assert len(library.handles) == 2


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda a: gemm(a, a, compute="int8"), ConfigError, r"compute is 'int8'; it must be one of fp32, tf32"),
        (lambda a: gemm(a, a, beta=1.0), ConfigError, r"beta is 1.0 and there is no out"),
        (lambda a: gemm(a, a[:2], alpha=2.0), ShapeError, r"inner dimensions differ: \(3, 3\) @ \(2, 3\)"),
        (lambda a: gemm(a, a, out=a[:2].copy(), alpha=2.0), ShapeError, r"out is float32 \(2, 3\); .* \(3, 3\)"),
        (lambda a: gemm(a, a, out=a.astype(np.float64), alpha=2.0), DTypeError, r"out is float64 .* is float32"),
        (lambda a: gemm(a.astype(int), a.astype(int), alpha=2.0), DTypeError, r"int64 @ int64 cannot be computed"),
        (lambda a: gemm(a[:1, :1], a[:1, :1], out=a[:1, :1], alpha=2.0), None, ""),
        (
            lambda a: gemm(a[:2], a, out=cupy.zeros((4, 6), np.float32)[::2, ::2], alpha=2.0),
            ShapeError, r"out \(2, 3\) has strides \(48, 8\); its rows or its columns must be contiguous",
        ),
        (lambda a: gemm(a.get(), a.get()), DeviceError, r"got ndarray and ndarray; it multiplies arrays of a"),
        (lambda a: check(13, "a product"), DeviceError, r"cuBLAS: a product: CUBLAS_STATUS_EXECUTION_FAILED"),
        (lambda a: check(99, "a product"), DeviceError, r"CUBLAS_STATUS_99"),
    ],
)  # fmt: skip
def test_errors_say_what_is_wrong(call: Any, error: Any, message: str) -> None:
    """The thing, the value and the rule."""
    a, _ = put(3, 3)
    if error is None:
        call(a)
    else:
        with pytest.raises(error, match=message):
            call(a)


def test_calls_by_ctypes_reach_c(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Functions declared in C as in the header of cuBLAS get the arguments that are meant, each in its full width."""
    compiler = shutil.which("g++")
    if compiler is None:
        assert os.environ.get("CI") != "true", "CI must have g++"
        pytest.skip("g++ is not installed")
    path = tmp_path / "libcublas.so"
    source = Path(__file__).with_name("host_cublas.cpp")
    subprocess.run([compiler, "-shared", "-fPIC", "-o", str(path), str(source)], check=True)
    pathfinder = SimpleNamespace(load_nvidia_dynamic_lib=lambda name: SimpleNamespace(abs_path=str(path)))
    library_in_c = _loaded_with(pathfinder, monkeypatch)
    monkeypatch.setattr(cublas, "load", lambda: library_in_c)
    (a, host_a), (b, host_b), (out, host_out) = put(2, 3, 4), put(2, 5, 4, seed=1), put(2, 3, 5, seed=2)
    expected = -0.5 * (host_a @ host_b.swapaxes(1, 2)) + 2 * host_out
    gemm(a, b, out=out, alpha=-0.5, beta=2.0, transpose_b=True)
    np.testing.assert_array_equal(out.get(), expected)
    np.testing.assert_array_equal(gemm(a[0].T, a[1], alpha=3.0).get(), 3 * (host_a[0].T @ host_a[1]))
    with pytest.raises(
        DeviceError, match=r"product \(3, 4\) @ \(4, 3\) of float32, computed in tf32: .*_NOT_SUPPORTED"
    ):
        gemm(a[0], a[1].T, compute="tf32")


def _loaded_with(pathfinder: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    """The library that `load` loads where `pathfinder` finds it."""
    with monkeypatch.context() as patch:
        patch.setattr(importlib, "import_module", lambda name: pathfinder)
        return load.__wrapped__()


def test_a_missing_library_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the search of CuPy finds nothing, the error names the remedy."""

    def missing(name: str) -> Any:
        raise ModuleNotFoundError(f"No module named {name!r}")

    monkeypatch.setattr(importlib, "import_module", missing)
    with pytest.raises(
        DeviceError, match=r"cuBLAS cannot be loaded: No module named 'cuda.pathfinder'; install it with"
    ):
        load.__wrapped__()
