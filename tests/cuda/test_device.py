"""Finding the array module of a thing, moving arrays, and naming devices, with and without CuPy."""

import subprocess
import sys
import threading
from collections import namedtuple
from typing import Any

import numpy as np
import pytest

import fake_cupy
import minitorch
from minitorch import Device, Variable, as_cupy, as_numpy
from minitorch.cuda import Memory, compute_stream, get_array_module, is_array, xp_of
from minitorch.errors import ConfigError, DeviceError, DTypeError, MissingExtraError

HOST = np.arange(3, dtype=np.float32)
Pair = namedtuple("Pair", "x t")


@pytest.fixture
def no_cupy(monkeypatch: pytest.MonkeyPatch) -> None:
    """`import cupy` fails, as where it is not installed."""
    monkeypatch.setitem(sys.modules, "cupy", None)


def test_import_needs_no_cupy() -> None:
    """Importing minitorch and moving nothing to a device leaves CuPy alone."""
    code = (
        "import sys, numpy, minitorch; minitorch.cuda.xp_of(numpy.ones(1)); minitorch.cuda.get_array_module(1.0);"
        "minitorch.Device('cpu').put([1.0]); assert 'cupy' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


# array modules


def test_array_module_is_that_of_the_array(device: Any) -> None:
    """Arrays and Variables have the module that made them; scalars, lists and None have NumPy."""
    a = device.put(HOST)
    assert xp_of(a) is device.xp
    assert get_array_module(a) is device.xp
    assert get_array_module(Variable(a)) is device.xp
    assert all(get_array_module(x) is np for x in (1.5, True, np.float32(1), HOST, Variable(HOST), [1], None))


def test_only_arrays_are_arrays(device: Any) -> None:
    """Arrays of either module are arrays, 0-d ones too; Variables and scalars are not."""
    a = device.put(HOST)
    assert is_array(a)
    assert is_array(device.put(1.5))
    assert not any(map(is_array, (Variable(a), 1.0, np.float32(1), [a], None)))


def test_without_cupy_all_is_numpy(no_cupy: None) -> None:
    """Where CuPy is missing the module is NumPy, whatever is asked."""
    assert get_array_module(HOST) is np
    assert get_array_module(1.0) is np
    assert not is_array(1.0)


# to the host


def test_as_numpy_gives_host_arrays(device: Any) -> None:
    """An array or a Variable of any device comes to the host with its values and dtype."""
    a = device.put(HOST)
    for x in (a, Variable(a)):
        y = as_numpy(x)
        assert type(y) is np.ndarray
        assert y.dtype == np.float32
        np.testing.assert_array_equal(y, HOST)


@pytest.mark.parametrize("x", [2.5, True, 3, np.float32(1.5)], ids=repr)
def test_as_numpy_makes_0_d_arrays_of_scalars(x: Any) -> None:
    """A scalar becomes a 0-d array of its own dtype."""
    y = as_numpy(x)
    assert (type(y), y.shape, y.dtype, y[()]) == (np.ndarray, (), np.asarray(x).dtype, x)


def test_as_numpy_does_not_copy_host_arrays() -> None:
    """A NumPy array, also in a Variable, comes back as itself."""
    assert as_numpy(HOST) is HOST
    v = Variable(HOST)
    assert as_numpy(v) is v.data


@pytest.mark.parametrize("x", [None, pytest.param(object(), id="object"), Variable(None), [[1], [1, 2]]], ids=repr)
def test_as_numpy_refuses_what_is_no_number(x: Any) -> None:
    """What holds no numbers is a DTypeError."""
    with pytest.raises(
        DTypeError, match=r"no array can be made of \w+: give an array, a Variable that has data, or numbers"
    ):
        as_numpy(x)


# to a device


def test_as_cupy_gives_device_arrays() -> None:
    """Arrays, Variables, scalars and lists go to the device; what is there already stays as it is, uncopied."""
    with fake_cupy.installed() as cupy:
        for x in (HOST, Variable(HOST), [0.0, 1.0, 2.0]):
            y = as_cupy(x)
            assert isinstance(y, cupy.ndarray)
            np.testing.assert_array_equal(y.get(), HOST)
        assert as_cupy(2.5).item() == 2.5
        with fake_cupy.no_transfers():
            assert as_cupy(y) is y
            assert as_cupy(Variable(y)) is y


def test_as_cupy_refuses_text() -> None:
    """Arrays of strings cannot go to a device."""
    with fake_cupy.installed(), pytest.raises(DTypeError, match=r"as_cupy: .* not dtype <U1; leave it on the host"):
        as_cupy(np.array(["a"]))


def test_without_cupy_the_extra_is_named(no_cupy: None) -> None:
    """Where CuPy is missing, `as_cupy` names what to install; the error is also an ImportError."""
    assert minitorch.cuda.gpu_enable is False
    with pytest.raises(MissingExtraError, match=r"CuPy is not installed: install minitorch\[cuda13\] or .*\[cuda12\]"):
        as_cupy(HOST)


def test_without_a_device_the_driver_is_named() -> None:
    """Where CuPy imports but finds no device, the error says where to look."""
    with fake_cupy.installed(devices=0):
        assert minitorch.cuda.gpu_enable is False
        assert str(Device("auto")) == "cpu"
        with pytest.raises(DeviceError, match=r"finds no CUDA device: see whether `nvidia-smi` lists one, .* hides it"):
            as_cupy(HOST)
        with pytest.raises(DeviceError, match=r"'cuda' was asked for, but CuPy is installed but finds no CUDA device"):
            Device("cuda")


def test_a_broken_cupy_is_not_a_missing_one(monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> None:
    """A CuPy whose import fails is reported with the reason; that of a module which CuPy lacks passes as it is."""
    monkeypatch.delitem(sys.modules, "cupy", raising=False)
    monkeypatch.syspath_prepend(tmp_path)
    broken = tmp_path / "cupy.py"
    broken.write_text("raise ImportError('libcudart.so.13: cannot open')")
    assert minitorch.cuda.gpu_enable is False
    with pytest.raises(
        DeviceError, match=r"CuPy is installed but cannot be imported: libcudart.so.13: cannot open; .* another version"
    ):
        as_cupy(HOST)
    broken.write_text("import fastrlock_of_cupy")
    with pytest.raises(ModuleNotFoundError, match=r"fastrlock_of_cupy"):
        as_cupy(HOST)


def test_a_driver_that_does_not_fit_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where CUDA itself fails to start, its words come with what to install; "auto" takes the host."""

    def fails() -> bool:
        raise RuntimeError("cudaErrorInsufficientDriver: CUDA driver version is insufficient for CUDA runtime version")

    with fake_cupy.installed() as cupy:
        monkeypatch.setattr(cupy, "is_available", fails)
        assert minitorch.cuda.gpu_enable is False
        assert str(Device("auto")) == "cpu"
        with pytest.raises(
            DeviceError, match=r"CUDA does not start: cudaErrorInsufficientDriver.*update the driver, or"
        ):
            as_cupy(HOST)


def test_gpu_enable_is_asked_anew() -> None:
    """`gpu_enable` follows the machine; a name that is not there is an error as of any module."""
    with fake_cupy.installed():
        assert minitorch.cuda.gpu_enable is True
    with fake_cupy.installed(devices=0):
        assert minitorch.cuda.gpu_enable is False
    with pytest.raises(AttributeError, match=r"module 'minitorch.cuda' has no attribute 'gpu_enabled'"):
        minitorch.cuda.gpu_enabled


def test_cupy_is_there_where_a_device_works() -> None:
    """`minitorch.cuda.cupy`, which examples of the book use, is CuPy; without a device it says what is missing."""
    with fake_cupy.installed() as cupy:
        assert minitorch.cuda.cupy is cupy
    with (
        fake_cupy.installed(devices=0),
        pytest.raises(DeviceError, match=r"CuPy is installed but finds no CUDA device"),
    ):
        minitorch.cuda.cupy  # asking for it is the use


# devices


@pytest.mark.parametrize(
    ("name", "full", "kind", "index"),
    [
        ("cpu", "cpu", "cpu", 0),
        ("cuda", "cuda:0", "cuda", 0),
        ("cuda:0", "cuda:0", "cuda", 0),
        ("cuda:1", "cuda:1", "cuda", 1),
        ("auto", "cuda:0", "cuda", 0),
    ],
)
def test_devices_have_names(name: str, full: str, kind: str, index: int) -> None:
    """A device knows its kind, index, module and full name, which names it again; equal ones are equal."""
    with fake_cupy.installed(devices=2) as cupy:
        device = Device(name)
        assert (str(device), device.kind, device.index) == (full, kind, index)
        assert device.xp is (np if kind == "cpu" else cupy)
        assert {device: 1}[Device(full)] == 1
        assert Device(device) == device
        with pytest.raises(AttributeError):
            device.index = 3  # type: ignore[misc]


@pytest.mark.parametrize("name", ["gpu", "cuda:", "cuda:-1", "cuda:x", "CPU", "", "cpu:0", "cuda:1\n", 0, None])
def test_other_names_are_refused(name: Any) -> None:
    """Anything else is a ConfigError that shows it and the allowed forms."""
    with pytest.raises(ConfigError, match=r"Device: got .*'cpu', 'cuda', 'cuda:N' or 'auto'") as caught:
        Device(name)
    assert repr(name) in str(caught.value)


def test_a_device_that_is_not_there_is_refused(no_cupy: None) -> None:
    """A GPU asked for by name raises where there is none; "auto" becomes the host."""
    with pytest.raises(DeviceError, match=r"'cuda:1' was asked for, but CuPy is not installed: install minitorch"):
        Device("cuda:1")
    assert Device("auto") == Device("cpu")
    with (
        fake_cupy.installed(devices=2),
        pytest.raises(DeviceError, match=r"'cuda:2' .* there are 2, counted from cuda:0"),
    ):
        Device("cuda:2")


def test_put_moves_arrays_and_nothing_else() -> None:
    """Arrays at any depth move; containers keep their types; all else is passed on as it is."""
    other = object()
    batch = {"pair": Pair(HOST, [HOST, 7]), "rest": (HOST, "text", None, np.float32(1), other)}
    with fake_cupy.installed() as cupy:
        moved = Device("cuda").put(batch)
        assert type(moved["pair"]) is Pair
        assert type(moved["pair"].t) is list
        assert moved["pair"].t[1] == 7
        assert moved["rest"][1:] == batch["rest"][1:]
        assert moved["rest"][4] is other
        for a in (moved["pair"].x, moved["pair"].t[0], moved["rest"][0]):
            assert isinstance(a, cupy.ndarray)
        back = Device("cpu").put(moved)
        for a in (back["pair"].x, back["pair"].t[0], back["rest"][0]):
            assert type(a) is np.ndarray
            np.testing.assert_array_equal(a, HOST)


def test_put_copies_only_what_is_elsewhere() -> None:
    """An array that is there stays itself; one of another GPU is copied over, without passing through the host."""
    assert Device("cpu").put(HOST) is HOST
    with fake_cupy.installed(devices=2):
        first, second = Device("cuda:0"), Device("cuda:1")
        a = first.put(HOST)
        with fake_cupy.no_transfers():
            assert first.put(a) is a
            b = second.put(a)
        assert b is not a
        assert (a.device.id, b.device.id) == (0, 1)
        assert second.put(HOST).device.id == 1


def test_with_makes_a_gpu_current() -> None:
    """Inside `with device:` it is the current one, nested too, and the one before comes back, also after an error."""
    with fake_cupy.installed(devices=2) as cupy:
        first, second = Device("cuda:0"), Device("cuda:1")
        with second as entered:
            assert entered is second
            assert as_cupy(HOST).device.id == 1
            with first, second, Device("cpu"):
                assert cupy.cuda.Device().id == 1
            assert cupy.cuda.Device().id == 1
            with pytest.raises(KeyError), first:
                raise KeyError
            worker = []
            thread = threading.Thread(target=lambda: worker.append(cupy.cuda.Device().id))
            thread.start()
            thread.join()
            assert worker == [0]
            assert cupy.cuda.Device().id == 1
        assert cupy.cuda.Device().id == 0


def test_each_thread_and_device_has_a_stream() -> None:
    """One stream, not blocking, for each; `with` and `use` make it the current one, and `with` puts the other back."""
    with fake_cupy.installed(devices=2) as cupy:
        null = cupy.cuda.get_current_stream()
        with Device("cuda"):
            first = cupy.cuda.get_current_stream()
            assert first is compute_stream()
            assert first.is_non_blocking
            with Device("cuda:1"):
                assert cupy.cuda.get_current_stream() is not first
            assert cupy.cuda.get_current_stream() is first
        assert cupy.cuda.get_current_stream() is null
        others = []
        thread = threading.Thread(target=lambda: others.append(compute_stream()))
        thread.start()
        thread.join()
        assert others[0] is not first
        Device("cuda").use()
        assert cupy.cuda.get_current_stream() is first
        Device("cpu").use()
        assert cupy.cuda.get_current_stream() is first


def test_memory_is_counted() -> None:
    """Bytes in arrays, in the pool, free and in all, without waiting; of the host there is no report."""
    with fake_cupy.installed():
        before = Device("cuda").memory()
        a = as_cupy(np.zeros(2**18, np.float32))
        with fake_cupy.no_transfers():
            now = Device("cuda").memory()
        assert now.used - before.used == before.free - now.free == a.nbytes
        assert now.total == 2**34
        assert str(Memory(2**20, 2**21, 2**22, 2**23)) == (
            "1.0 MiB in arrays, 2.0 MiB in the pool, 4.0 MiB of 8.0 MiB free"
        )
    with pytest.raises(DeviceError, match=r"Device\('cpu'\).memory: only a GPU's is known here; .* DeviceStats"):
        Device("cpu").memory()


def test_synchronize_waits_once(device: Any) -> None:
    """Waiting for a GPU is one synchronisation, for the host none."""
    with fake_cupy.counting() as traffic:
        Device("cpu" if device.name == "cpu" else "cuda").synchronize()
    assert traffic == fake_cupy.Traffic(synchronisations=int(device.name == "fake"))


@pytest.mark.gpu
def test_a_real_gpu_works() -> None:
    """On a real device: arrays go there and come back, and `with` puts the current device back."""
    device = Device("cuda")
    assert minitorch.cuda.gpu_enable is True
    a = device.put(HOST)
    assert xp_of(a).__name__ == "cupy"
    with device, device:
        assert device.put(a) is a
    device.synchronize()
    np.testing.assert_array_equal(as_numpy(Variable(a) * 2), HOST * 2)
