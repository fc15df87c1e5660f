"""Every primitive on a device in float32, where fused kernels compute it: the numbers of the host, and captures."""

import importlib

import numpy as np
import pytest
from op_table import all_rows

import fake_cupy
import minitorch
from fake_cupy import cupy
from minitorch import Variable
from minitorch.cuda import CapturedStep, computing, conv, gemm, kernels, lstm
from minitorch.errors import DeviceError
from minitorch.functions import loss
from minitorch.ops.recurrent import gru_cell

ROWS = all_rows()
HOST_INDEX = "a list goes to the device as an index; give an integer array that is there"
MASK = "the size of the result depends on the mask, so the host waits; use where, or integers"
SENT = "not the operation but the row sends its targets to the device"
NOT_CAPTURED = {("getitem", "a list"): HOST_INDEX, ("getitem", "a mask"): MASK, ("soft_cross_entropy", ""): SENT}


@pytest.fixture
def _installed():
    with fake_cupy.installed():
        yield


on_the_stand_in = pytest.mark.usefixtures("_installed")


def is_float(a):
    return a.dtype.kind == "f"


def computed(row, arrays):
    """What the row gives, and the gradients of its floating inputs for a gradient that is the same each time."""
    xs = [Variable(a) if row.order and is_float(a) else a for a in arrays]
    y = row.f(*xs)
    if not row.order:
        return [y]
    xp = minitorch.cuda.get_array_module(y)
    y.grad = Variable(xp.cos(xp.arange(y.size, dtype=y.dtype).reshape(y.shape)))
    y.backward()
    return [y.data, *[x.grad.data for x in xs if isinstance(x, Variable)]]


@pytest.mark.parametrize("row", ROWS, ids=str)
def test_kernels_give_the_numbers_of_the_host(row, gpu):
    """float32 on a device agrees with float64 on the host, output and gradients."""
    actual = computed(row, [gpu.array(a) for a in row.arrays(np.float32)])
    for a, e in zip(actual, computed(row, row.arrays()), strict=True):
        np.testing.assert_allclose(a.get(), e, rtol=2e-4, atol=2e-5)


@pytest.mark.parametrize("row", ROWS, ids=str)
def test_rows_are_captured(row, gpu):
    """Forward and backward can be captured, and a launch gives the bits of the eager work; or it is said why not."""
    arrays = [gpu.array(a) for a in row.arrays(np.float32)]
    step = CapturedStep(lambda: computed(row, arrays))
    expected = [a.get() for a in step.warm_up()]
    if (row.op, row.note) in NOT_CAPTURED:
        with pytest.raises(DeviceError, match="the step cannot be captured: it "):
            step.capture()
        return
    step.capture()
    for a in arrays:
        if is_float(a):
            a *= 1  # the launch is what computes, from what the arrays hold then
    for a, e in zip(step.launch(), expected, strict=True):
        np.testing.assert_array_equal(a.get(), e)


def test_all_exceptions_are_rows():
    """What is said not to be captured is in the table."""
    assert set(NOT_CAPTURED) <= {(row.op, row.note) for row in ROWS}


def test_long_joins_are_captured(gpu):
    """Of more arrays than CuPy joins without a table of addresses."""
    parts = [gpu.full((2, i), i, np.float32) for i in range(1, 12)]
    step = CapturedStep(lambda: minitorch.functions.concat([Variable(p) for p in parts], axis=-1).data)
    step.warm_up()
    step.capture()
    np.testing.assert_array_equal(step.launch().get(), np.concatenate([p.get() for p in parts], axis=1))


@on_the_stand_in
def test_accuracy_and_labels_out_of_range():
    """Accuracy is one launch; a label that is no class is not read back: it makes the loss nan."""
    y, t = cupy.array(np.eye(3, dtype=np.float32)), cupy.array([0, 1, 1])
    fake_cupy.machine.work.clear()
    with fake_cupy.no_transfers():
        share = loss.accuracy(y, t)
        wrong = loss.softmax_cross_entropy(Variable(y), t + 2)
    assert fake_cupy.machine.work == ["row_accuracy", "add", "cross_entropy_small"]
    assert share.data.get() == np.float32(2 / 3)
    assert np.isnan(wrong.data.get())


@on_the_stand_in
@pytest.mark.parametrize("groups", [1, 2])
def test_convolutions_in_runs_of_images(groups, monkeypatch):
    """A small workspace gives the same numbers; the gradient of the weights is accumulated."""
    rows = [row for row in ROWS if row.op.startswith(("conv2d", "deconv2d")) and ("groups" in row.note) == (groups > 1)]
    for row in rows:
        arrays = [cupy.array(a) for a in row.arrays(np.float32)]
        whole = computed(row, arrays)
        monkeypatch.setattr(conv, "COLUMN_BYTES", 1)
        for a, e in zip(computed(row, arrays), whole, strict=True):
            np.testing.assert_allclose(a.get(), e.get(), rtol=1e-5, atol=1e-5)
        monkeypatch.undo()


@on_the_stand_in
def test_a_kernel_of_one_pixel_makes_no_columns():
    """Forward and the gradient of the images are plain products."""
    x, W = (cupy.array(np.random.default_rng(i).normal(size=s).astype(np.float32)) for i, s in enumerate(
        [(2, 4, 5, 6), (3, 4, 1, 1)]))  # fmt: skip
    window = minitorch.cpu.window.Window((1, 1))
    fake_cupy.machine.work.clear()
    y = conv.conv2d(x, W, window, 1)
    conv.deconv2d(y, W, window, 1, (5, 6))
    assert fake_cupy.machine.work == ["cublasGemmStridedBatchedEx"] * 2
    np.testing.assert_allclose(y.get(), np.einsum("oc,nchw->nohw", W.get()[:, :, 0, 0], x.get()), rtol=1e-5)


@on_the_stand_in
@pytest.mark.parametrize(("mode", "code"), [("fp32", 68), ("bf16", 75), ("fp16", 74), ("tf32", 77)])
def test_convolutions_without_cudnn_are_computed_in_the_mode(mode, code):
    """All three products are told to round to it, by cuBLAS's number for that, and give float32."""
    library = importlib.import_module("minitorch.cuda.cublas").load()
    x, W = (Variable(cupy.ones(shape, np.float32)) for shape in ((2, 3, 5, 5), (4, 3, 3, 3)))
    with computing(mode):
        y = minitorch.functions.conv2d(x, W, None, 1, 1)
        y.sum().backward()
    assert {compute for _, compute in library.calls} == {code}
    assert len(library.calls) == 3
    assert {a.dtype for a in (y.data, x.grad.data, W.grad.data)} == {np.dtype(np.float32)}


MLP_STEP = [
    "cublasGemmEx", "activation_forward",  # x @ W, + b and sigmoid
    "cublasGemmEx", "activation_forward",  # h @ W, + b
    "cross_entropy_small",
    "ones",  # the gradient of the loss
    "cross_entropy_backward",
    "activation_backward_bias", "cublasGemmEx", "cublasGemmEx",  # of b, of h, of W
    "activation_backward_bias", "cublasGemmEx",  # of the sigmoid and of b, of W
    "sgd_update",
]  # fmt: skip


@on_the_stand_in
def test_the_work_of_a_step_of_the_first_example():
    """The MLP of the seed takes as many launches for a step as are listed here, and not one more."""
    minitorch.random.seed(0)
    model = minitorch.models.MLP((1000, 10))
    rng = np.random.default_rng(0)
    x, t = cupy.array(rng.random((100, 784), np.float32)), cupy.array(rng.integers(0, 10, 100))
    model.to_gpu()
    optimizer = minitorch.optimizers.SGD(0.01).setup(model)

    def step():
        y = loss.softmax_cross_entropy(model(x), t)
        model.cleargrads()
        y.backward()
        optimizer.update()
        return y.data

    for _ in range(2):
        step()
    fake_cupy.machine.work.clear()
    with fake_cupy.no_transfers():
        step()
    assert fake_cupy.machine.work == MLP_STEP


@on_the_stand_in
def test_what_the_kernels_do_not_take():
    """Other dtypes run as expressions of CuPy; an operand in another order is copied first."""
    a = cupy.array(np.random.default_rng(0).normal(size=(3, 4)))
    fake_cupy.machine.work.clear()
    minitorch.functions.sigmoid(Variable(a))
    assert "activation_forward" not in fake_cupy.machine.work
    b = a.astype(np.float32).T
    fake_cupy.machine.work.clear()
    y = minitorch.functions.sigmoid(Variable(b))
    assert fake_cupy.machine.work == ["copy", "activation_forward"]
    np.testing.assert_allclose(y.data.get(), 1 / (1 + np.exp(-b.get())), rtol=1e-6)
    assert kernels.contiguous(b).flags.c_contiguous
    assert gemm(b, a.astype(np.float32)).shape == (4, 4)


@on_the_stand_in
def test_the_work_of_recurrent_layers():
    """An LSTM takes a product and a launch for each step; all products for the gradient of its weights are one."""
    a, h, c, W = (cupy.array(np.ones(s, np.float32)) for s in ((3, 2, 8), (2, 2), (2, 2), (2, 8)))
    fake_cupy.machine.work.clear()
    y, saved = lstm.forward(a, h, c, W)
    step = ["cublasGemmEx", "lstm_cell_forward"]
    assert fake_cupy.machine.work == [*step * 3, "setitem", "setitem"]
    fake_cupy.machine.work.clear()
    lstm.backward(y, saved, h, c, W, (True,) * 4)
    back = ["lstm_cell_backward", "setitem", "cublasGemmEx"]
    ends = ["lstm_cell_backward", "cublasGemmEx", "setitem", "setitem", "cublasGemmEx", "copy"]
    assert fake_cupy.machine.work == ["setitem", "setitem", *back * 2, *ends]
    a, W, b = (cupy.array(np.ones(s, np.float32)) for s in ((2, 6), (2, 6), (6,)))
    fake_cupy.machine.work.clear()
    y, saved = gru_cell.forward(a, h, W, b)
    gru_cell.backward(y, y, saved, (True,) * 4, a, h, W, b)
    assert fake_cupy.machine.work == [
        "cublasGemmEx", "gru_cell_forward", "gru_cell_backward", "cublasGemmEx", "cublasGemmEx",
        "activation_backward_bias",
    ]  # fmt: skip
