"""Convolution by cuDNN, as a small library of the host has its functions: calls, arguments and choice of algorithms."""

import ctypes
import gc
import importlib.util
import os
import shutil
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

import fake_cupy
from fake_cupy import cupy
from minitorch.cpu import conv as on_host
from minitorch.cpu.window import Window
from minitorch.cuda import CapturedStep, computing, conv, cudnn
from minitorch.errors import DeviceError

GEOMETRIES = [
    (Window((3, 3), pad=(1, 1)), 1),
    (Window((3, 2), (2, 1), (1, 1), (1, 2)), 2),
    (Window((2, 2), (3, 3)), 1),
    (Window((1, 1), (2, 2)), 4),
]


@pytest.fixture(scope="module")
def in_c(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """The library, made once."""
    compiler = shutil.which("g++")
    if compiler is None:
        assert os.environ.get("CI") != "true", "CI must have g++"
        pytest.skip("g++ is not installed")
    path = tmp_path_factory.mktemp("cudnn") / "libcudnn.so.9"
    subprocess.run(
        [compiler, "-shared", "-fPIC", "-o", str(path), str(Path(__file__).with_name("host_cudnn.cpp"))], check=True
    )
    return cudnn.declared(ctypes.CDLL(str(path)))


@pytest.fixture
def library(in_c: Any) -> Iterator[Any]:
    """The stand-in for CuPy, on a machine that has the library."""
    with fake_cupy.installed(), pytest.MonkeyPatch.context() as patch:
        patch.setattr(cudnn, "load", lambda: in_c)
        patch.setattr(cudnn, "_local", threading.local())
        yield in_c
        in_c.answer(0, 0, 0)
    cudnn._plan.cache_clear()


def arrays(window: Window, groups: int) -> tuple[Any, ...]:
    """Images, weights, and a gradient, on the host and on the device."""
    rng = np.random.default_rng(0)
    shapes = (2, 4, 7, 8), (6 if groups < 4 else 4, 4 // groups, *window.kernel)
    x, W = (rng.normal(size=shape).astype(np.float32) for shape in shapes)
    g = rng.normal(size=(2, len(W), *window.positions(x.shape[2:]))).astype(np.float32)
    return x, W, g, *(cupy.array(a) for a in (x, W, g))


@pytest.mark.usefixtures("library")
@pytest.mark.parametrize(("window", "groups"), GEOMETRIES, ids=str)
def test_convolutions_are_those_of_the_host(window: Window, groups: int) -> None:
    """Forward and both adjoints, with any stride, pad, dilation and groups; nothing else is launched."""
    x, W, g, *on_device = arrays(window, groups)
    fake_cupy.machine.work.clear()
    y = conv.conv2d(on_device[0], on_device[1], window, groups)
    dx = conv.deconv2d(on_device[2], on_device[1], window, groups, x.shape[2:])
    dW = conv.conv2d_weight(on_device[0], on_device[2], window, groups)
    assert fake_cupy.machine.work == []
    for actual, expected in (
        (y, on_host.conv2d(x, W, None, window, groups)),
        (dx, on_host.deconv2d(g, W, None, window, groups, x.shape[2:])),
        (dW, on_host.conv2d_weight(x, g, window, groups)),
    ):
        np.testing.assert_allclose(actual.get(), expected, rtol=1e-4, atol=1e-4)


@pytest.mark.usefixtures("library")
def test_operands_in_any_order_are_copied_first() -> None:
    """Of strides nobody is told."""
    window, groups = GEOMETRIES[0]
    x, _, _, a, b, _ = arrays(window, groups)
    transposed = cupy.array(np.ascontiguousarray(x.transpose(3, 2, 1, 0))).transpose(3, 2, 1, 0)
    y = conv.conv2d(transposed, b, window, groups)
    np.testing.assert_array_equal(y.get(), conv.conv2d(a, b, window, groups).get())


def test_plans_are_made_once_for_a_shape(library: Any) -> None:
    """The heuristics are asked once; descriptors go with their plan."""
    window, groups = GEOMETRIES[0]
    *_, a, b, _ = arrays(window, groups)
    for _ in range(3):
        conv.conv2d(a, b, window, groups)
    assert cudnn._plan.cache_info().misses == 1
    assert library.live_descriptors() == 4
    cudnn._plan.cache_clear()
    gc.collect()
    assert library.live_descriptors() == 0


@pytest.mark.usefixtures("library")
@pytest.mark.parametrize(("mode", "asked"), [("fp32", True), ("tf32", True), ("fp16", True), ("bf16", False)])
def test_modes(mode: str, asked: bool) -> None:
    """Convolutions are rounded as `computing` says; where cuDNN cannot (bfloat16), products are asked instead."""
    window, groups = GEOMETRIES[0]
    *_, a, b, _ = arrays(window, groups)
    fake_cupy.machine.work.clear()
    with computing(mode):
        conv.conv2d(a, b, window, groups)
    assert ("cublasGemmStridedBatchedEx" in fake_cupy.machine.work) != asked
    if asked:
        plan = cudnn._plan(*_key(a, b, window, groups, mode))
        assert plan is not None
        assert (plan.algorithm, plan.memory) == (4 if mode == "fp32" else 3, 96 if mode == "fp32" else 64)


def _key(x: Any, W: Any, window: Window, groups: int, mode: str) -> Any:
    shapes = x.shape, W.shape, (len(x), len(W), *window.positions(x.shape[2:]))
    sizes = window.kernel, window.stride, window.pad, window.dilation
    library = cudnn.load()
    return library, cudnn._handle(library, cupy), "y", shapes, sizes, groups, cudnn.MATH[mode]


def test_without_an_algorithm_products_are_asked(library: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """So where the heuristics fail, where workspaces are too large, and for other dtypes."""
    window, groups = GEOMETRIES[0]
    x, W, _, a, b, _ = arrays(window, groups)
    expected = on_host.conv2d(x, W, None, window, groups)
    monkeypatch.setattr(cudnn, "WORKSPACE", 10)
    np.testing.assert_allclose(conv.conv2d(a, b, window, groups).get(), expected, rtol=1e-4, atol=1e-4)
    cudnn._plan.cache_clear()
    monkeypatch.setattr(cudnn, "CANDIDATES", 1)
    np.testing.assert_allclose(conv.conv2d(a, b, window, groups).get(), expected, rtol=1e-4, atol=1e-4)
    y = conv.conv2d(a.astype(np.float64), b.astype(np.float64), window, groups)
    np.testing.assert_allclose(y.get(), expected, rtol=1e-4, atol=1e-4)


def test_full_precision_is_asked_for_whatever_an_algorithm_says_that_it_uses(library: Any) -> None:
    """One that says it may round is taken where no other is there, and told not to."""
    window, groups = GEOMETRIES[0]
    x, W, _, a, b, _ = arrays(window, groups)
    library.answer(0, 0, 1)
    np.testing.assert_allclose(
        conv.conv2d(a, b, window, groups).get(), on_host.conv2d(x, W, None, window, groups), rtol=1e-4, atol=1e-4
    )
    assert fake_cupy.machine.work == []


@pytest.mark.parametrize("status", [2006, 3000])
def test_what_cudnn_refuses_after_all_is_asked_of_products(library: Any, status: int) -> None:
    """Although its heuristics named it; it is not tried again. Other failures are errors."""
    window, groups = GEOMETRIES[0]
    x, W, _, a, b, _ = arrays(window, groups)
    expected = on_host.conv2d(x, W, None, window, groups)
    library.answer(0, status, 0)
    np.testing.assert_allclose(conv.conv2d(a, b, window, groups).get(), expected, rtol=1e-4, atol=1e-4)
    library.answer(0, 5000, 0)
    np.testing.assert_allclose(conv.conv2d(a, b, window, groups).get(), expected, rtol=1e-4, atol=1e-4)
    cudnn._plan.cache_clear()
    with pytest.raises(DeviceError, match=r"cuDNN: cudnnConvolutionForward for x \(2, 4, 7, 8\), .*: status 5000"):
        conv.conv2d(a, b, window, groups)


def test_cudnn_does_not_begin_inside_a_capture(library: Any) -> None:
    """The step says so; after a warm-up its convolutions are captured."""
    window, groups = GEOMETRIES[0]
    *_, a, b, _ = arrays(window, groups)
    step = CapturedStep(lambda: conv.conv2d(a, b, window, groups))
    with pytest.raises(DeviceError, match=r"cannot be captured: .*cuDNN begins with its first convolution in a thread"):
        step.capture()
    step.warm_up(1)
    step.capture()


def test_where_cudnn_does_not_begin_products_are_asked(library: Any) -> None:
    """A library for another CUDA is said once, and convolutions go on without it."""
    window, groups = GEOMETRIES[0]
    x, W, _, a, b, _ = arrays(window, groups)
    library.answer(1001, 0, 0)
    with pytest.warns(UserWarning, match=r"cuDNN is installed but does not begin \(cudnnCreate: status 1001\)"):
        y = conv.conv2d(a, b, window, groups)
    np.testing.assert_allclose(y.get(), on_host.conv2d(x, W, None, window, groups), rtol=1e-4, atol=1e-4)
    conv.conv2d(a, b, window, groups)


def test_errors_are_said(library: Any) -> None:
    """The call that failed, and its status."""
    with pytest.raises(DeviceError, match=r"cuDNN: cudnnCreate: status 3; see cudnnStatus_t"):
        cudnn.check(3, "cudnnCreate")


def test_where_it_is_looked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """By its name, then in NVIDIA's wheel; where there is none, or another version, there is no cuDNN."""
    tried = []

    def found(name: str) -> Any:
        tried.append(name)
        if name.startswith(str(tmp_path)):
            raise AttributeError("cudnnGetConvolutionForwardAlgorithm_v7")
        raise OSError(name)

    monkeypatch.setattr(ctypes, "CDLL", found)
    wheel = SimpleNamespace(submodule_search_locations=[str(tmp_path)])
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: wheel)
    assert cudnn.load.__wrapped__() is None
    assert tried == ["libcudnn.so.9", str(tmp_path / "lib" / "libcudnn.so.9")]

    def missing(name: str) -> Any:
        raise ModuleNotFoundError(name)

    monkeypatch.setattr(importlib.util, "find_spec", missing)
    assert cudnn.load.__wrapped__() is None


@pytest.mark.gpu
@pytest.mark.parametrize(("window", "groups"), GEOMETRIES, ids=str)
def test_a_device_computes_convolutions(window: Window, groups: int) -> None:
    """On a real device, by cuDNN or by products, they are those of the host."""
    import cupy as real

    x, W, g, *_ = arrays(window, groups)
    a, b, c = (real.asarray(i) for i in (x, W, g))
    expected = on_host.conv2d(x, W, None, window, groups)
    np.testing.assert_allclose(conv.conv2d(a, b, window, groups).get(), expected, rtol=1e-3, atol=1e-3)
    dx = conv.deconv2d(c, b, window, groups, x.shape[2:]).get()
    np.testing.assert_allclose(dx, on_host.deconv2d(g, W, None, window, groups, x.shape[2:]), rtol=1e-3, atol=1e-3)
    dW = conv.conv2d_weight(a, c, window, groups).get()
    np.testing.assert_allclose(dW, on_host.conv2d_weight(x, g, window, groups), rtol=1e-3, atol=1e-3)
