"""The binding of oneDNN: what it finds, describes and runs, and that nothing is missed where it is not there."""

import ctypes
import gc
import os
import subprocess
import sys
import threading

import numpy as np
import pytest

import minitorch.functions as F
from minitorch import Variable, get_num_threads, set_num_threads, using_config
from minitorch.cpu.activation import BLOCK
from minitorch.cpu.onednn import eltwise, library
from minitorch.cpu.onednn.primitive import DST, FORWARD_TRAINING, SRC, WEIGHTS, chosen, plain, primitive, reorder
from minitorch.errors import DeviceError

needs_onednn = pytest.mark.skipif(library.find().library is None, reason="needs oneDNN: pip install minitorch[fast]")
RELU = 32  # dnnl_eltwise_relu
DIRECT, WINOGRAD = 1, 2  # dnnl_convolution_...


def relu(size):
    """The primitive for relu of `size` numbers."""
    return primitive("eltwise_forward", FORWARD_TRAINING, RELU, plain((size,)), plain((size,)), 0.0, 0.0)


def convolution(images, channels, outs, algorithm=DIRECT):
    """The primitive for a convolution of 3×3 without padding, all layouts left to it."""
    return primitive(
        "convolution_forward", FORWARD_TRAINING, algorithm, chosen((images, channels, 8, 8)),
        chosen((outs, channels, 3, 3)), None, chosen((images, outs, 6, 6)), (1, 1), (0, 0), (0, 0), (0, 0),
    )  # fmt: skip


# the library ---------------------------------------------------------------------------------------------------------


class FakeFunction:
    """A function of a library: types can be set on it."""

    def __init__(self, result=None):
        self.result = result

    def __call__(self, *arguments):
        return self.result


class FakeLibrary:
    """Has every function, and says that it is of this version."""

    def __init__(self, major, runtime):
        version = library.Version(major, 4, 1, None, runtime, 0)
        self.dnnl_version = FakeFunction(ctypes.pointer(version))

    def __getattr__(self, name):
        self.__dict__[name] = FakeFunction()
        return self.__dict__[name]


@pytest.mark.parametrize(
    ("major", "runtime", "how"),
    [
        (3, 1, "3.4.1, sequential, libdnnl.so.3"),
        (3, 2, "3.4.1, OpenMP, libdnnl.so.3"),
        (3, 4, "3.4.1, TBB, libdnnl.so.3: only version 3 with OpenMP or without threads of its own is used"),
        (3, 512, "3.4.1, SYCL, libdnnl.so.3: only version 3 with OpenMP or without threads of its own is used"),
        (4, 2, "4.4.1, OpenMP, libdnnl.so.3: only version 3 with OpenMP or without threads of its own is used"),
    ],
)
def test_only_what_fits_is_used(monkeypatch, major, runtime, how):
    """A library of the system is used if it is of version 3 and leaves the threads to us; else the search says why."""
    fake = FakeLibrary(major, runtime)
    monkeypatch.setattr(library, "_of_wheel", list)
    monkeypatch.setattr(ctypes, "CDLL", lambda place: fake)
    found = library._search.__wrapped__()
    assert found.how == how
    assert (found.library is fake) == ("only" not in how)
    assert found.version == (None if "only" in how else how.split(",")[0])


def test_no_library(monkeypatch):
    """Where there is none the system's own words are kept; a library without its functions is none."""

    def missing(place):
        raise OSError(f"{place}: cannot open shared object file")

    monkeypatch.setattr(library, "_of_wheel", list)
    monkeypatch.setattr(ctypes, "CDLL", missing)
    assert library._search.__wrapped__() == library.Found(None, "libdnnl.so.3: cannot open shared object file")
    monkeypatch.setattr(ctypes, "CDLL", lambda place: object())
    found = library._search.__wrapped__()
    assert found.library is None
    assert "dnnl_version" in found.how


def test_only_float32_of_the_host_in_c_order_is_taken(monkeypatch):
    """Other arrays, empty ones, and all of them while the flag is off or the library away are left to NumPy."""
    monkeypatch.setattr(library, "find", lambda: library.Found(object(), ""))
    a = np.ones((4, 6), np.float32)
    assert library.takes(a, a)
    for b in (a.astype(np.float64), a.T, a[:, :3], a[:0], 1.0):
        assert not library.takes(a, b)
    with using_config("use_onednn", False):
        assert not library.takes(a)
    monkeypatch.setattr(library, "find", lambda: library.Found(None, "not there"))
    assert not library.takes(a)


# primitives ----------------------------------------------------------------------------------------------------------


@needs_onednn
def test_a_primitive_runs_on_arrays():
    """A description becomes a primitive once, which then runs on any arrays of its shapes."""
    assert relu(5) is relu(5)
    for sign in (1, -1):
        a = sign * np.arange(-2, 3, dtype=np.float32)
        y = np.full(5, np.nan, np.float32)
        relu(5).run({SRC: a, DST: y})
        np.testing.assert_array_equal(y, np.maximum(a, 0))


@needs_onednn
def test_an_array_of_another_size_never_reaches_the_library():
    """What would read or write beyond an array is refused."""
    a = np.ones(5, np.float32)
    for arrays in ({SRC: a, DST: a[:4]}, {SRC: a[:4], DST: a}, {SRC: a, DST: a.astype(np.float64)}):
        with pytest.raises(AssertionError):
            relu(5).run(arrays)


@needs_onednn
def test_arrays_that_may_not_be_written_can_be_read():
    """A constant array is as good an input as another."""
    a, y = np.arange(-2, 3, dtype=np.float32), np.empty(5, np.float32)
    a.flags.writeable = False
    relu(5).run({SRC: a, DST: y})
    np.testing.assert_array_equal(y, np.maximum(a, 0))


@needs_onednn
def test_nothing_is_left_to_the_cycle_collector():
    """A primitive that nobody has asked for before is made and run without cycles."""
    relu(7).run({SRC: np.ones(7, np.float32), DST: np.ones(7, np.float32)})
    convolution(1, 16, 48)
    gc.collect()
    gc.disable()
    try:
        relu(77).run({SRC: np.ones(77, np.float32), DST: np.ones(77, np.float32)})
        assert convolution(2, 32, 48) is not None
        assert gc.collect() == 0
    finally:
        gc.enable()


@needs_onednn
def test_errors_name_the_function_and_the_reason():
    """What the library refuses is an error in words; what it does not have is None."""
    with pytest.raises(
        DeviceError,
        match=r"^oneDNN: dnnl_eltwise_forward_primitive_desc_create: invalid arguments; see dnnl_status_t$",
    ):
        primitive("eltwise_forward", FORWARD_TRAINING, RELU, plain((5,)), plain((6,)), 0.0, 0.0)
    with pytest.raises(DeviceError, match=r"^oneDNN: dnnl_primitive_execute: status 77; see dnnl_status_t$"):
        library.check(77, "dnnl_primitive_execute")
    assert convolution(1, 16, 32) is not None
    assert convolution(1, 16, 32, algorithm=WINOGRAD) is None


@needs_onednn
def test_layouts_that_a_primitive_chooses():
    """An array laid out anew and back is the same, and a primitive says how it wants its arguments."""
    W = np.random.default_rng(0).normal(size=(32, 16, 3, 3)).astype(np.float32)
    wanted = convolution(1, 16, 32).layout(WEIGHTS)
    blocked, back = np.empty(wanted.size // 4, np.float32), np.empty_like(W)
    reorder(plain(W.shape), wanted).run({SRC: W, DST: blocked})
    reorder(wanted, plain(W.shape)).run({SRC: blocked, DST: back})
    np.testing.assert_array_equal(back, W)
    assert plain(W.shape).same(plain(W.shape, (144, 9, 3, 1)))
    assert not plain(W.shape).same(plain(W.shape, (9, 288, 3, 1)))


@needs_onednn
def test_strides_are_counted_in_elements():
    """A layout with strides reads an array in another order."""
    a = np.arange(6, dtype=np.float32).reshape(2, 3)
    y = np.empty((3, 2), np.float32)
    reorder(plain((3, 2), (1, 3)), plain((3, 2))).run({SRC: a, DST: y})
    np.testing.assert_array_equal(y, a.T)


@needs_onednn
def test_the_callers_threads_of_openmp_are_left_alone():
    """Inside it is one thread, and what another library had set for this thread stays."""
    loaded = library.find().library
    if not hasattr(loaded, "omp_set_num_threads"):
        pytest.skip("a build without OpenMP")
    before = loaded.omp_get_max_threads()
    try:
        loaded.omp_set_num_threads(3)
        with library.on_one_thread:
            assert loaded.omp_get_max_threads() == 1
            with library.on_one_thread:
                assert loaded.omp_get_max_threads() == 1
        assert loaded.omp_get_max_threads() == 3
        relu(5).run({SRC: np.ones(5, np.float32), DST: np.ones(5, np.float32)})
        assert loaded.omp_get_max_threads() == 3
    finally:
        loaded.omp_set_num_threads(before)


@needs_onednn
def test_many_threads_share_a_primitive():
    """Threads that run one primitive at once, each on its own arrays, do not disturb each other."""
    rng, wrong = np.random.default_rng(0), []
    made = relu(20_000)

    def work(a):
        y = np.empty_like(a)
        for _ in range(50):
            y[:] = -1
            made.run({SRC: a, DST: y})
            if not np.array_equal(y, np.maximum(a, 0)):
                wrong.append(a)

    arrays = rng.normal(size=(4, 20_000)).astype(np.float32)
    threads = [threading.Thread(target=work, args=(a,)) for a in arrays]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


@needs_onednn
def test_the_first_call_may_come_from_several_threads():
    """They get one engine: primitives of one would refuse the memory of another. Making it is slow here, to be met."""
    program = """
import threading, time
from minitorch.cpu.onednn import library
create = library.created
def slowly(*arguments):
    time.sleep(0.2)
    return create(*arguments)
library.created, engines = slowly, []
threads = [threading.Thread(target=lambda: engines.append(library.engine())) for _ in range(4)]
[thread.start() for thread in threads]
[thread.join() for thread in threads]
print(len(engines), len(set(engines)))
"""
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=True)
    assert run.stdout.split() == ["4", "1"]


def test_the_library_is_looked_for_once():
    """By several threads too: what Python tells of its folders is not safe to ask from two at once."""
    program = """
import threading, time
from minitorch.cpu.onednn import library
look, looks, found = library._of_wheel, [], []
def slowly():
    looks.append(1)
    time.sleep(0.2)
    return look()
library._of_wheel = slowly
threads = [threading.Thread(target=lambda: found.append(library.find())) for _ in range(4)]
[thread.start() for thread in threads]
[thread.join() for thread in threads]
print(len(looks), len(found), len({id(each) for each in found}))
"""
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=True)
    assert run.stdout.split() == ["1", "4", "1"]


@needs_onednn
@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_fork_while_a_primitive_is_made():
    """The child makes one too: oneDNN's lock for that is not left to it by a thread that it has not."""
    program = """
import os, signal, threading
import numpy as np
from minitorch.cpu.onednn import eltwise
from minitorch.cpu.matmul import matmul
def make():
    a, n = np.ones((128, 128)), 5000
    while True:
        n += 1
        eltwise.forward("gelu_erf", np.ones(n, np.float32))
        matmul(a, a)
eltwise.forward("gelu_erf", np.ones(4998, np.float32))
threading.Thread(target=make, daemon=True).start()
bad = 0
for _ in range(60):
    child = os.fork()
    if not child:
        signal.alarm(60)
        eltwise.forward("gelu_erf", np.ones(4999, np.float32))
        matmul(np.ones((128, 128)), np.ones((128, 128)))
        os._exit(0)
    bad += os.waitpid(child, 0)[1] != 0
print(bad, flush=True)
os._exit(0)
"""
    run = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", program], capture_output=True, text=True, timeout=300, check=True
    )
    assert run.stdout.strip() == "0"


# activations ---------------------------------------------------------------------------------------------------------

GELUS = {"gelu_erf": F.gelu, "gelu_tanh": lambda x: F.gelu(x, approximate="tanh")}
SIZE = BLOCK + 77


def value_and_gradient(f, a, g):
    """Of `f` at `a`, with `g` coming in."""
    x = Variable(a)
    y = f(x)
    y.grad = Variable(g)
    y.backward()
    return y.data, x.grad.data


@needs_onednn
@pytest.mark.parametrize("kind", GELUS)
def test_gelu_is_as_without(kind, monkeypatch):
    """Value and gradient are those of NumPy's kernels to a few roundings, and no bit depends on the threads."""
    runs = []
    whole = eltwise.forward
    monkeypatch.setattr(eltwise, "forward", lambda kind, a: runs.append(kind) or whole(kind, a))
    a, g = np.random.default_rng(0).normal(0, 2, (2, SIZE)).astype(np.float32)
    a[:5] = 0, -0.0, np.nan, 100, -100
    threads, results = get_num_threads(), []
    try:
        for n in (1, 2, 3):
            set_num_threads(n)
            results.append(value_and_gradient(GELUS[kind], a, g))
    finally:
        set_num_threads(threads)
    assert runs == [kind] * 3
    with using_config("use_onednn", False):
        expected = value_and_gradient(GELUS[kind], a, g)
    assert runs == [kind] * 3
    for result in results:
        np.testing.assert_array_equal(result, results[0])
        np.testing.assert_allclose(result, expected, rtol=2e-6, atol=1e-5)


@needs_onednn
@pytest.mark.parametrize("kind", GELUS)
def test_a_gradient_in_another_order_or_type(kind):
    """What comes in need not be as the array is: views and float64 give the same gradient."""
    a, g = np.random.default_rng(0).normal(size=(2, 400, 400)).astype(np.float32)
    expected = value_and_gradient(GELUS[kind], a, g)
    np.testing.assert_array_equal(value_and_gradient(GELUS[kind], a, np.asfortranarray(g)), expected)
    np.testing.assert_array_equal(value_and_gradient(GELUS[kind], a, g.astype(np.float64)), expected)


@needs_onednn
@pytest.mark.parametrize("kind", GELUS)
def test_second_derivative(kind):
    """A gradient that is differentiated goes the way of the definition, whatever computed the value."""
    a = np.random.default_rng(0).normal(size=SIZE).astype(np.float32)

    def second():
        x = Variable(a)
        GELUS[kind](x).sum().backward(create_graph=True)
        first = x.grad
        x.cleargrad()
        first.sum().backward()
        return x.grad.data

    with_library = second()
    with using_config("use_onednn", False):
        np.testing.assert_allclose(with_library, second(), rtol=1e-5, atol=1e-5)


@needs_onednn
def test_forward_with_and_backward_without():
    """The flag may change in between: the backward goes the way of its forward."""
    a = np.random.default_rng(0).normal(size=SIZE).astype(np.float32)
    x = Variable(a)
    y = F.gelu(x)
    with using_config("use_onednn", False):
        y.sum().backward()
        assert x.grad.shape == a.shape
        x2 = Variable(a)
        y2 = F.gelu(x2)
    y2.sum().backward()
    np.testing.assert_allclose(x.grad.data, x2.grad.data, atol=1e-5)


@needs_onednn
def test_nothing_is_loaded_before_it_is_used():
    """Importing functions and layers, and computing with few numbers, loads no library."""
    program = (
        "import numpy as np, minitorch.functions as F, minitorch.layers as L, minitorch.models\n"
        "F.gelu(np.ones(4, np.float32))\n"
        "print('libdnnl' in open('/proc/self/maps').read())\n"
    )
    said = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert said.stdout == "False\n"
