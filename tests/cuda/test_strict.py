"""The strict mode finds what waits for a device or moves data, at the line of the user."""

import threading
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

import fake_cupy
import minitorch
import minitorch.functions as F
from fake_cupy import cupy
from minitorch import Variable, as_cupy, as_numpy
from minitorch.cuda import no_sync, sync_allowed
from minitorch.errors import DeviceError, MissingExtraError, SyncError

HOST = np.arange(6, dtype=np.float32)


@pytest.fixture
def a() -> Iterator[Any]:
    with fake_cupy.installed():
        yield as_cupy(HOST)


@pytest.mark.parametrize(
    ("work", "what"),
    [
        (lambda a: a.get(), "get"),
        (lambda a: a.sum().item(), "item"),
        (lambda a: float(a.sum()), "float"),
        (lambda a: float(Variable(a).sum()), "float"),
        (lambda a: bool(a.any()), "bool"),
        (lambda a: int(a[0]), "int"),
        (lambda a: a.tolist(), "tolist"),
        (lambda a: f"{a.sum()}", "format"),
        (lambda a: repr(Variable(a)), "cupy.asnumpy"),
        (lambda a: as_numpy(a), "cupy.asnumpy"),
        (lambda a: as_cupy(HOST), "cupy.asarray"),
        (lambda a: a.set(HOST), "set"),
        (lambda a: a[a > 1], "an index of booleans"),
        (lambda a: a.__setitem__(a > 1, 0), "an index of booleans"),
        (lambda a: a[[0, 1]], "an index of booleans or from the host"),
        (lambda a: cupy.nonzero(a), "cupy.nonzero"),
        (lambda a: a.nonzero(), "CUDA's streamSynchronize"),
        (lambda a: cupy.cuda.get_current_stream().synchronize(), "Stream.synchronize"),
        (lambda a: cupy.cuda.Event().synchronize(), "Event.synchronize"),
        (lambda a: minitorch.Device("cuda").synchronize(), "Device.synchronize"),
    ],
)
def test_what_waits_or_moves_is_refused(a: Any, work: Any, what: str) -> None:
    """Each raises in the mode, names what it is and the line; before and after, and where it is allowed, it works."""
    work(a)
    with no_sync():
        with pytest.raises(SyncError, match=rf"no_sync: {what}.* at {__file__}:\d+ in <lambda>"):
            work(a)
        with sync_allowed():
            work(a)
        with pytest.raises(SyncError):
            work(a)
    work(a)


def test_device_work_passes(a: Any) -> None:
    """A step of training on the device does nothing that the mode refuses, and gives what it gives without."""
    t = as_cupy(np.array([1]))
    with no_sync():
        x = Variable(a.reshape(1, 6))
        loss = F.softmax_cross_entropy(x * 2, t)
        loss.backward()
    expected = Variable(HOST.reshape(1, 6))
    F.softmax_cross_entropy(expected * 2, np.array([1])).backward()
    np.testing.assert_allclose(as_numpy(x.grad), as_numpy(expected.grad), rtol=1e-6)


def test_a_mix_of_host_and_device_names_the_operation(a: Any) -> None:
    """What CuPy itself refuses says which operation it was, here as elsewhere."""
    with (
        no_sync(),
        pytest.raises(DeviceError, match=r"mul: arrays on different devices: .* on the GPU, .* on the host"),
    ):
        Variable(a) * HOST


def test_the_mode_is_of_one_thread_and_nests(a: Any) -> None:
    """Another thread may read meanwhile; an inner block leaves the outer one as it was; CuPy is itself afterwards."""
    before = vars(cupy.ndarray).get("get"), cupy.asarray, cupy.cuda.runtime.memcpyAsync
    read: list[Any] = []
    with no_sync():
        with no_sync():
            pass
        thread = threading.Thread(target=lambda: read.append(a.get()))
        thread.start()
        thread.join()
        with pytest.raises(SyncError):
            a.get()
    assert len(read) == 1
    assert (vars(cupy.ndarray).get("get"), cupy.asarray, cupy.cuda.runtime.memcpyAsync) == before


def test_it_needs_a_device(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without CuPy, the extra is named."""
    monkeypatch.setitem(__import__("sys").modules, "cupy", None)
    with pytest.raises(MissingExtraError, match="CuPy is not installed"), no_sync():
        pass
