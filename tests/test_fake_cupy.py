"""The stand-in for CuPy keeps its promises: what it refuses, what it counts, and which names it has."""

import copy
import gc
import inspect
import operator
import pickle
import re
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import fake_cupy
import minitorch
from fake_cupy import TransferError, counting, cupy, no_transfers
from fake_cupy.signatures import CUDA, CUDA_ATTRIBUTES, FUNCTIONS, LINALG, UFUNCS
from minitorch.cuda.gemm import gemm

real: Any
try:
    import cupy as real
except ImportError:
    real = None

HOST = np.arange(6, dtype=np.float32).reshape(2, 3)


@pytest.fixture(autouse=True)
def _installed() -> Iterator[None]:
    with fake_cupy.installed(devices=2):
        yield


@pytest.fixture
def a() -> Any:
    return cupy.asarray(HOST)


def same(device_array: Any, expected: Any) -> None:
    assert isinstance(device_array, cupy.ndarray)
    host = device_array.get()
    assert (host.shape, host.dtype) == (np.shape(expected), np.asarray(expected).dtype)
    np.testing.assert_array_equal(host, expected)


# what it refuses


@pytest.mark.parametrize(
    "convert",
    [np.asarray, np.array, lambda a: np.asarray([a, a]), lambda a: HOST.__setitem__(0, a[0])],
    ids=["asarray", "array", "list", "assignment"],
)
def test_implicit_conversion_is_refused(a: Any, convert: Any) -> None:
    """No way of NumPy to look inside a device array."""
    with pytest.raises(TypeError, match=r"Implicit conversion to a NumPy array is not allowed. Please use `.get\(\)`"):
        convert(a)


@pytest.mark.parametrize("name", ["tanh", "sum", "concatenate", "where", "shape", "copyto", "add", "einsum"])
def test_numpy_functions_are_refused(a: Any, name: str) -> None:
    """A function of NumPy called on a device array is a TypeError that names it."""
    args = {"concatenate": ([a],), "copyto": (a, 1.0), "add": (a, 1.0), "einsum": ("ij->i", a)}
    with pytest.raises(TypeError, match=f"numpy.{name} was given a CuPy array"):
        getattr(np, name)(*args.get(name, (a,)))


@pytest.mark.parametrize("host", [HOST, np.array(1.0)], ids=["matrix", "0-d"])
@pytest.mark.parametrize(
    "mix",
    [
        operator.add, lambda a, h: h - a, operator.iadd, lambda a, h: operator.imul(h, a), operator.lt,
        operator.matmul, lambda a, h: a[h.astype(bool)], lambda a, h: a[h.astype(int)],
        lambda a, h: a.__setitem__(0, h),
        lambda a, h: cupy.add(a, h), lambda a, h: cupy.exp(a, out=h), lambda a, h: cupy.where(a > 0, a, h),
        lambda a, h: cupy.concatenate([a, h]), lambda a, h: cupy.matmul(a, h), lambda a, h: a.take(h),
        lambda a, h: a.sum(out=h), lambda a, h: np.add(h, 1.0, out=a),
    ],
)  # fmt: skip
def test_host_arrays_among_device_operands_are_refused(a: Any, mix: Any, host: Any) -> None:
    """No operator, function, index, assignment or `out` takes an array of the host together with one of the device."""
    host = host.copy()
    with pytest.raises(TypeError, match=r"Unsupported type <class 'numpy.ndarray'>"):
        mix(a, host)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda a: a.sum(where=a > 0), r"sum\(\) got an unexpected keyword argument 'where'; CuPy has \(axis,"),
        (lambda a: cupy.mean(a, where=a > 0), r"mean\(\) got an unexpected keyword argument 'where'"),
        (lambda a: cupy.exp(a, order="C"), "unexpected keyword argument 'order'"),
        (lambda a: cupy.take(a, a, 0, None, "clip"), r"take\(\) takes 4 arguments in CuPy"),
        (lambda a: a.item(0), "takes 1 positional argument"),
        (lambda a: cupy.sum([1, 2]), "cupy.sum was given no device array: <class 'list'>"),
        (lambda a: cupy.maximum([1, 2, 3], a), "Unsupported type <class 'list'> in maximum"),
        (lambda a: operator.add(a, [1, 2, 3]), "Unsupported type <class 'list'> in add"),
        (lambda a: a + None, "Unsupported type <class 'NoneType'> in add"),
        (lambda a: [1, 2][a[0, 0]], "list indices must be integers"),
        (lambda a: cupy.add.at(a, 0, 1), "cupy.add.at adds with float atomics, in another order at each run"),
        (lambda a: hash(a), "unhashable"),
        (lambda a: a.set(HOST.astype(np.float64)), "float64 array cannot be set to float32 array"),
        (lambda a: a.set([1]), "Only numpy.ndarray can be set to cupy.ndarray"),
        (lambda a: list(a.sum()), "iteration over a 0-d array"),
    ],
)
def test_what_cupy_does_not_take_is_a_type_error(a: Any, call: Any, message: str) -> None:
    """NumPy's further keywords, lists as operands, and the like are refused with a text that says so."""
    with pytest.raises(TypeError, match=message):
        call(a)


def test_what_is_not_modelled_says_why(a: Any) -> None:
    """Kernels, random numbers and reductions that CuPy lacks raise NotImplementedError with the reason."""
    with pytest.raises(NotImplementedError, match=r"cupy.random: minitorch draws its own numbers"):
        cupy.random.rand(3)
    with pytest.raises(NotImplementedError, match=r"cupy.RawKernel: it has no stand-in"):
        cupy.RawKernel("", "")
    with pytest.raises(NotImplementedError, match=r"`reduce` is not supported by cupy.maximum, only by add, multiply"):
        cupy.maximum.reduce(a)
    with pytest.raises(NotImplementedError, match=r"CuPy takes neither casting nor subok"):
        a.astype(np.float64, casting="safe")


def test_names_that_only_numpy_has_are_missing() -> None:
    """The module has what CuPy 14 has: a name that only NumPy has is an AttributeError that says so."""
    with pytest.raises(
        AttributeError, match=r"module 'cupy' has no attribute 'busday_count'; NumPy has it, CuPy 14 has"
    ):
        cupy.busday_count
    with pytest.raises(AttributeError, match=r"no attribute 'counts'$"):
        cupy.counts


def test_strings_and_objects_do_not_go_to_a_device() -> None:
    """Only numbers and booleans live on a device."""
    with pytest.raises(ValueError, match=r"Unsupported dtype <U1"):
        cupy.array(["a"])


# what comes back


@pytest.mark.parametrize("op", [operator.add, operator.sub, operator.mul, operator.truediv, operator.pow, operator.mod])
@pytest.mark.parametrize("other", [2, 2.5, True, np.float32(2), np.float64(2), np.int64(3)], ids=repr)
def test_operators_compute_what_numpy_computes(a: Any, op: Any, other: Any) -> None:
    """Both ways round and in place, with Python's scalars weak and NumPy's strong in the choice of the dtype."""
    h = HOST + 1
    d = a + 1
    same(op(d, other), op(h, other))
    same(op(other, d), op(other, h))
    same(op(d, d), op(h, h))


def test_the_other_operators() -> None:
    """Comparisons, bit operators, unary operators and matrix products give device arrays with NumPy's values."""
    h, m = np.array([1, 2, 5]), np.array([2, 2, 2])
    d, e = cupy.asarray(h), cupy.asarray(m)
    for op in ["lt", "le", "eq", "ne", "gt", "ge", "and_", "or_", "xor", "lshift", "rshift", "floordiv", "matmul"]:
        same(getattr(operator, op)(d, e), getattr(operator, op)(h, m))
    for op in ["neg", "pos", "abs", "invert"]:
        same(getattr(operator, op)(d), getattr(operator, op)(h))


def test_in_place_operators_keep_identity(a: Any) -> None:
    """`a += 1` writes into the same array; an impossible cast raises."""
    view, before = a[0], a
    a += 1
    a *= a
    assert a is before
    same(view, (HOST + 1)[0] ** 2)
    ints = cupy.arange(3)
    with pytest.raises(TypeError, match=r"same_kind"):
        ints += 0.5


def test_reductions_stay_on_the_device(a: Any) -> None:
    """A full reduction, an element and an argmax are 0-d device arrays; nothing was transferred."""
    with no_transfers():
        results = [a.sum(), a[1, 2], a.argmax(), cupy.max(a), cupy.count_nonzero(a), cupy.allclose(a, a), a.any()]
        assert all(isinstance(r, cupy.ndarray) and r.shape == () for r in results)
    assert [r.item() for r in results] == [15.0, 5.0, 5, 5.0, 5, True, True]


def test_views_know_their_base(a: Any) -> None:
    """The base of a view, also of a view of a view, is the array that owns the memory; an owner has none."""
    views = [
        a[0],
        a[0, 1],
        a[:, ::2],
        a.T,
        a.T[1:],
        a.reshape(-1),
        a.ravel(),
        cupy.broadcast_to(a, (4, 2, 3)),
        a.view(),
    ]
    assert all(v.base is a for v in views)
    owners = [a, a.copy(), a + 1, a[a > 0], a[[0, 1]], a.T.ravel(), a.sum(axis=0), cupy.zeros(3), a.astype(np.float32)]
    assert all(o.base is None for o in owners)
    a[0, 1].fill(9)
    assert a.get()[0, 1] == 9


def test_arrays_come_back_as_themselves(a: Any) -> None:
    """Where nothing is to be done, the same array comes back; `out` too."""
    out = cupy.empty_like(a)
    assert cupy.asarray(a) is a
    assert a.astype(np.float32, copy=False) is a
    assert cupy.exp(a, out=out) is out
    assert a.sum(axis=0, out=out[0]).base is out


def test_items_are_set_from_the_device(a: Any) -> None:
    """Scalars and device arrays can be assigned to slices, index arrays and masks."""
    a[0] = 7
    a[1] = a[0] * 2
    a[a > 10] = 1
    a[cupy.array([0]), cupy.array([2])] = a[1, 0]
    same(a, np.array([[7, 7, 1], [1, 1, 1]], np.float32))
    with pytest.raises(TypeError, match=r"Unsupported type <class 'list'> in assignment"):
        a[0] = [1, 2, 3]


def test_other_types_get_their_chance(a: Any) -> None:
    """An operand with `__array_ufunc__ = None`, such as a Variable, is asked for the reflected operator."""

    class Reflecting:
        __array_ufunc__ = None

        def __radd__(self, other: Any) -> str:
            return "reflected"

    assert a + Reflecting() == "reflected"


def test_ufuncs_and_updates_in_place_ask_for_a_device_array(a: Any) -> None:
    """CuPy takes `__cupy_get_ndarray__` in ufuncs and in place, and does not look at what it is given."""

    class Offering:
        def __init__(self, given: Any) -> None:
            self.given = given

        def __cupy_get_ndarray__(self) -> Any:
            return self.given

    same(cupy.add(a, Offering(a)), 2 * HOST)
    b = a.copy()
    b -= Offering(a)
    same(b, 0 * HOST)
    with pytest.raises(AssertionError, match=r"^CuPy takes what it is given for a device array, unseen, and crashes"):
        b -= Offering(HOST)


def test_fresh_memory_is_garbage() -> None:
    """Reading what nobody wrote shows."""
    assert np.isnan(cupy.empty(3, np.float32).get()).all()
    assert (cupy.empty_like(cupy.zeros(3, np.int32)).get() == np.iinfo(np.int32).max).all()
    assert np.isnan(cupy.ndarray((2,)).get()).all()


def test_no_floating_point_warnings() -> None:
    """A device divides by zero in silence."""
    same(cupy.zeros(2) / 0, np.array([np.nan, np.nan]))


@given(st.lists(st.integers(0, 5), min_size=1, max_size=4), st.booleans())
def test_functions_compute_what_numpy_computes(indices: list[int], keepdims: bool) -> None:
    """A sample of functions with their keywords agrees with NumPy in value, shape and dtype."""
    h, i = HOST.reshape(6, 1), np.array(indices)
    d, j = cupy.asarray(h), cupy.asarray(i)
    same(cupy.take(d, j, axis=0), np.take(h, i, axis=0))
    same(d[j], h[i])
    same(cupy.var(d, axis=0, keepdims=keepdims), np.var(h, axis=0, keepdims=keepdims))
    same(cupy.reshape(d, newshape=(3, 2)), h.reshape(3, 2))
    same(cupy.pad(d, ((1, 1), (0, len(indices)))), np.pad(h, ((1, 1), (0, len(indices)))))
    same(cupy.add.reduce(d, axis=1, keepdims=keepdims), np.add.reduce(h, axis=1, keepdims=keepdims))
    same(cupy.stack([d, d]), np.stack([h, h]))
    for part, whole in zip(cupy.split(d, 3), np.split(h, 3), strict=True):
        same(part, whole)
    assert cupy.result_type(d, cupy.int64) == np.result_type(h, np.int64)


def test_copies_and_pickles(a: Any) -> None:
    """A copy stays on the device; a pickle goes through the host."""
    with no_transfers():
        b = copy.deepcopy(a)
    assert b is not a
    same(b, HOST)
    same(pickle.loads(pickle.dumps(a)), HOST)


# what it counts


@pytest.mark.parametrize(
    ("read", "expected"),
    [
        (float, 5.0), (int, 5), (bool, True), (complex, 5 + 0j), (str, "5.0"), (repr, "array(5., dtype=float32)"),
        (lambda x: x.item(), 5.0), (lambda x: x.tolist(), 5.0), (lambda x: x.get().item(), 5.0),
        (lambda x: cupy.asnumpy(x).item(), 5.0), (lambda x: f"{x:.1f}", "5.0"), (lambda x: x in [x + 1, x], True),
    ],
)  # fmt: skip
def test_reading_is_a_transfer_and_a_synchronisation(a: Any, read: Any, expected: Any) -> None:
    """Every way to see a value copies it to the host and waits, is counted with its bytes, and can be refused."""
    x = a[1, 2]
    with counting() as traffic:
        assert read(x) == expected
    assert traffic.to_host == traffic.synchronisations >= 1
    assert traffic.to_host_bytes >= 1
    assert traffic.to_device == 0
    with pytest.raises(TransferError, match=r"to the host, inside no_transfers\(\)"), no_transfers():
        read(x)


@pytest.mark.parametrize(
    "send", [lambda a: cupy.asarray(HOST), lambda a: cupy.array(1.0), lambda a: a.set(HOST), lambda a: a[[0, 1]]]
)
def test_sending_is_a_transfer(a: Any, send: Any) -> None:
    """What the host gives to the device is counted, and can be refused."""
    with counting() as traffic:
        send(a)
    assert (traffic.to_device, traffic.to_host, traffic.synchronisations) == (1, 0, 0)
    with pytest.raises(TransferError, match=r"to the device, inside"), no_transfers():
        send(a)


@pytest.mark.parametrize(
    "wait",
    [
        lambda a: a[a > 1], lambda a: a.nonzero(), lambda a: cupy.nonzero(a), lambda a: cupy.where(a > 1), cupy.sort,
        cupy.unique, lambda a: cupy.cuda.Device().synchronize(), lambda a: cupy.cuda.Stream.null.synchronize(),
        lambda a: cupy.cuda.Event().synchronize(), lambda a: cupy.cuda.runtime.deviceSynchronize(),
    ],
)  # fmt: skip
def test_waiting_is_a_synchronisation(a: Any, wait: Any) -> None:
    """Masks, results whose size depends on values, and explicit waits are counted, and can be refused."""
    with counting() as traffic:
        wait(a)
    assert (traffic.to_device, traffic.to_host, traffic.synchronisations) == (0, 0, 1)
    with pytest.raises(TransferError, match=r"waits for the device, inside"), no_transfers():
        wait(a)


def test_repeating_by_an_array_waits(a: Any) -> None:
    """For the sum of the counts; a list of them is sent first. By one number it does neither."""
    with no_transfers():
        cupy.repeat(a, 2, axis=0)
        a.repeat(repeats=2)
    for counts, sent in ((cupy.array([1, 2]), 0), ([1, 2], 1)):
        with counting() as traffic:
            cupy.repeat(a, counts, axis=0)
            a.repeat(counts, axis=0)
        assert (traffic.to_device, traffic.synchronisations) == (2 * sent, 2)


def test_device_work_is_no_transfer(a: Any) -> None:
    """Creation, arithmetic, products, views and index arrays on the device neither move data nor wait."""
    index = cupy.array([1, 0])
    with no_transfers(), counting() as traffic:
        b = cupy.zeros((2, 3), np.float32) + cupy.full(3, 2.0) * cupy.arange(3)
        b += gemm(gemm(a[index], a.T), a) - cupy.where(a > 1, a, 0.0)
        cupy.tanh(b).reshape(-1)[:2].fill(b.sum())
    assert traffic == fake_cupy.Traffic()


def test_joining_many_arrays_is_a_transfer(a: Any) -> None:
    """Of more than eight, CuPy sends a table of their addresses."""
    with no_transfers():
        cupy.concatenate([a] * 8)
        with pytest.raises(
            TransferError, match=r"stack of more than eight arrays, whose addresses it sends, copies 72 by"
        ):
            cupy.stack([a] * 9)


def test_work_of_the_device_is_listed(a: Any) -> None:
    """What computes or copies is in the list, each once; views are not."""
    fake_cupy.machine.work.clear()
    b = cupy.exp(a.reshape(3, 2).T[1:]) + 1
    b[0] = gemm(a, a.T)[0, 0]
    b += b.astype(np.float32, copy=False).ravel()[cupy.array(0)]
    assert fake_cupy.machine.work == ["exp", "add", "cublasGemmEx", "setitem", "getitem", "add"]


def test_counts_go_on_until_reset() -> None:
    """`counts` gathers everything since the last reset, `counting` only its block."""
    fake_cupy.reset_counts()
    x = cupy.asarray(HOST)
    with counting() as inner:
        x.get()
    assert inner == fake_cupy.Traffic(0, 0, 1, 24, 1, 24)
    assert fake_cupy.counts == fake_cupy.Traffic(1, 24, 1, 24, 1, 24)
    fake_cupy.reset_counts()
    assert fake_cupy.counts == fake_cupy.Traffic()


def test_no_transfers_holds_for_its_thread_only(a: Any) -> None:
    """A loader's thread may copy while the training thread must not."""
    with no_transfers():
        worker = threading.Thread(target=a.get)
        worker.start()
        worker.join()
        with pytest.raises(TransferError):
            a.get()
    a.get()


# devices, streams, capture


def test_arrays_live_on_the_current_device(a: Any) -> None:
    """An array belongs to the device that was current at its creation, and works only while that is current."""
    with cupy.cuda.Device(1):
        b = cupy.zeros((2, 3), np.float32)
        with pytest.raises(ValueError, match=r"array device = 0 while current = 1"):
            b + a
        moved = cupy.array(a)
        assert cupy.asarray(a) is a
    assert (a.device.id, b.device.id, moved.device.id) == (0, 1, 1)
    same(moved, HOST)
    with pytest.raises(ValueError, match=r"array device = 1 while current = 0"):
        a[0] = b[0]
    with pytest.raises(cupy.cuda.runtime.CUDARuntimeError, match=r"invalid device ordinal"):
        cupy.cuda.Device(2).use()
    assert cupy.cuda.Device().id == 0


def test_memory_in_use_is_known() -> None:
    """The pool counts the bytes of live owners, each once, also while only a view is left."""
    pool = cupy.get_default_memory_pool()
    gc.collect()
    before = pool.used_bytes()
    x = cupy.zeros((10, 10))
    view = x[0]
    assert pool.used_bytes() == before + 800
    assert cupy.cuda.runtime.memGetInfo()[0] == cupy.cuda.runtime.memGetInfo()[1] - before - 800
    del x
    assert pool.used_bytes() == before + 800
    del view
    assert pool.used_bytes() == before


@pytest.mark.parametrize(
    "work",
    [
        operator.matmul, lambda a, b: a.dot(b), lambda a, b: cupy.matmul(a, b), lambda a, b: cupy.dot(a, b),
        lambda a, b: cupy.einsum("ij,jk", a, b), lambda a, b: cupy.tensordot(a, b, 1), lambda a, b: cupy.inner(a, a),
    ],
)  # fmt: skip
def test_products_of_cupy_are_refused(a: Any, work: Any) -> None:
    """Under a capture they raise as in CuPy; elsewhere those of floats do too, and those of integers are computed."""
    ints = a.astype(int)
    stream = cupy.cuda.Stream(non_blocking=True)
    with stream:
        stream.begin_capture()
        with pytest.raises(
            NotImplementedError, match=r"calling cuBLAS API during stream capture is currently unsupport"
        ):
            work(ints, ints.T)
        with cupy.cuda.Stream.null:
            work(ints, ints.T)
        stream.end_capture()
    same(work(ints, ints.T), HOST.astype(int) @ HOST.astype(int).T)
    with pytest.raises(TypeError, match=r"by CuPy's cuBLAS, which cannot be captured: use minitorch.cuda.gemm"):
        work(a, a.T)


WAITS = r"cudaErrorStreamCaptureUnsupported: operation not permitted when stream is capturing"


@pytest.mark.parametrize(
    ("work", "error", "survives"),
    [
        (lambda a: cupy.asarray(HOST), r"the current stream is capturing, so H2D transfers are disallowed", True),
        (lambda a: a.set(HOST), r"the current stream is capturing, so H2D transfers are disallowed", True),
        (lambda a: a.get(), r"the current stream is capturing, so D2H transfers are disallowed", True),
        (lambda a: float(a[0, 0]), r"the current stream is capturing, so D2H transfers are disallowed", True),
        (lambda a: a[a > 1], WAITS, False),
        (lambda a: a.nonzero(), WAITS, False),
        (lambda a: cupy.cuda.Device().synchronize(), WAITS, False),
        (lambda a: cupy.cuda.get_current_stream().synchronize(), WAITS, False),
    ],
)
def test_capture_refuses_transfers_and_waits(a: Any, work: Any, error: str, survives: bool) -> None:
    """Under a capture whatever moves data or waits raises, and changes no count; of waiting CUDA gives it up."""
    stream = cupy.cuda.Stream(non_blocking=True)
    with stream, counting() as traffic:
        stream.begin_capture()
        with pytest.raises(RuntimeError, match=error):
            work(a)
        if survives:
            assert stream.is_capturing()
            stream.end_capture()
        else:
            with pytest.raises(RuntimeError, match=r"an error has invalidated the capture sequence"):
                stream.is_capturing()
            with pytest.raises(cupy.cuda.runtime.CUDARuntimeError, match=r"cudaErrorStreamCaptureInvalidated"):
                stream.end_capture()
        assert not stream.is_capturing()
    assert traffic == fake_cupy.Traffic()


def test_a_capture_gives_a_graph(a: Any) -> None:
    """Device work is captured; the graph counts its launches and uploads; a capture begins and ends once."""
    stream = cupy.cuda.Stream(non_blocking=True)
    with stream:
        assert cupy.cuda.get_current_stream() is stream
        stream.begin_capture()
        assert stream.is_capturing()
        a += cupy.exp(a).sum(axis=0)
        with pytest.raises(cupy.cuda.runtime.CUDARuntimeError, match=r"IllegalState"):
            stream.begin_capture()
        graph = stream.end_capture()
    graph.upload(stream)
    graph.launch(stream)
    assert (graph.uploads, graph.launches) == (1, 1)
    assert cupy.cuda.get_current_stream() is cupy.cuda.Stream.null
    with pytest.raises(cupy.cuda.runtime.CUDARuntimeError, match=r"IllegalState"):
        stream.end_capture()
    with pytest.raises(cupy.cuda.runtime.CUDARuntimeError, match=r"CaptureUnsupported"):
        cupy.cuda.Stream.null.begin_capture()


def test_events_measure_time() -> None:
    """Two recorded events have a time between them; others have none."""
    start, end = cupy.cuda.Event(), cupy.cuda.Event()
    start.record()
    cupy.cuda.Stream.null.record(end)
    assert cupy.cuda.get_elapsed_time(start, end) >= 0
    with pytest.raises(cupy.cuda.runtime.CUDARuntimeError, match=r"InvalidResourceHandle"):
        cupy.cuda.get_elapsed_time(cupy.cuda.Event(), end)


# how it is installed


def test_installed_is_undone() -> None:
    """Inside the block `import cupy` finds the stand-in; afterwards what was there before."""
    outside = sys.modules["cupy"]
    with fake_cupy.installed(devices=0) as module:
        import cupy as found
        from cupy.cuda import runtime

        assert found is module is cupy
        assert runtime.getDeviceCount() == 0
        assert not cupy.is_available()
    assert sys.modules["cupy"] is outside
    assert cupy.cuda.runtime.getDeviceCount() == 2


def test_array_modules() -> None:
    """`get_array_module` tells device arrays from the rest."""
    assert cupy.get_array_module(cupy.zeros(1), 1.0) is cupy
    assert cupy.get_array_module(HOST, 1.0) is np


BOOKS = {"Graph.launches", "Graph.size", "MemoryPointer.alive", "UnownedMemory.alive"}  # which the tests keep


def parameters(called: Any) -> str | None:
    """The names of its parameters; of what is compiled, those that its description begins with."""
    if not callable(called):
        return None
    try:
        found = [p.name for p in inspect.signature(called).parameters.values() if "VAR" not in p.kind.name]
    except (TypeError, ValueError):
        found = []
    if not found:
        described = re.match(r"[\w.]+\((.*?)\)", called.__doc__ or "")
        words = described[1].split(",") if described else []
        found = [word.split("=")[0].split(":")[0].split()[-1] for word in words if word.strip()]
    return " ".join(name for name in found if name not in ("self", "*"))


def public_names(module: Any) -> set[str]:
    """Functions of a module, and methods and properties of the classes in it, `Class.method`."""
    names = {name for name in vars(module) if not name.startswith("_")}
    inside = {name: vars(getattr(module, name)) for name in names if isinstance(getattr(module, name), type)}
    inside["runtime"] = vars(module.runtime)
    methods = {f"{owner}.{name}" for owner, members in inside.items() for name in members if not name.startswith("_")}
    return names - {"runtime"} | methods


def test_the_stand_in_has_of_cuda_what_its_table_has() -> None:
    """Neither a name nor a parameter more, so that nothing can be used that CuPy has not."""
    assert public_names(cupy.cuda) - BOOKS == set(CUDA) | {"Graph"}
    for name, expected in CUDA.items():
        if expected is not None:
            assert parameters(operator.attrgetter(name)(cupy.cuda)) == expected, name


def test_what_is_used_of_cuda_is_in_the_table() -> None:
    """Also what only `scripts/gpu` uses, which no test runs on the stand-in to its end."""
    root = Path(minitorch.__file__).parents[1]
    text = "".join(
        path.read_text() for folder in ("minitorch", "benchmarks/gpu") for path in (root / folder).rglob("*.py")
    )
    used = set(re.findall(r"(?:cupy|xp)(?:\(\))?\.cuda\.((?:runtime\.)?\w+(?:\.null)?)", text)) - {"runtime"}
    assert used >= {"Stream", "Event", "MemoryPool", "alloc_pinned_memory", "runtime.memGetInfo"}
    assert used <= set(CUDA)


@pytest.mark.skipif(real is None, reason="CuPy is not installed; it needs no GPU for this")
def test_the_table_of_cuda_agrees_with_cupy() -> None:
    """Each name is there, with these parameters."""
    for name, expected in (CUDA | dict.fromkeys(CUDA_ATTRIBUTES)).items():
        found = operator.attrgetter(name)(real.cuda)
        if expected is not None:
            assert parameters(found) == expected, name


@pytest.mark.skipif(real is None, reason="CuPy is not installed; it needs no GPU for this")
def test_tables_agree_with_cupy() -> None:
    """Every name in the tables is CuPy's, with CuPy's parameters."""
    kinds = {name: type(getattr(real, name)).__name__ for name in UFUNCS}
    assert set(kinds.values()) == {"ufunc"}
    for module, table in ((real, FUNCTIONS), (real.linalg, LINALG)):
        for name, expected in table.items():
            parameters = inspect.signature(getattr(module, name)).parameters.values()
            stars = {inspect.Parameter.VAR_POSITIONAL: "*", inspect.Parameter.VAR_KEYWORD: "**"}
            assert " ".join(stars.get(p.kind, "") + p.name for p in parameters) == expected, name
    assert {name for name in dir(cupy) if not name.startswith("_")} <= set(dir(real))
    assert {n for n in dir(cupy.ndarray) if not n.startswith("_")} <= set(dir(real.ndarray))
